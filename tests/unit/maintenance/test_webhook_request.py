"""Addresses of webhooks: a caller chooses the address, and must not reach services that only this machine can reach."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from predictions.maintenance import webhook_request
from predictions.maintenance.webhook_request import Undelivered, is_public, post, problem_of

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.0.8", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::1", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org/", "file:///etc/passwd", "http://", "https:///path", "http://[::1/",
        "http://user:password@example.org/", "http://example.org/#part", "http://example.org:65536/",
        "http://example.org/a b", "http://example.org/\r\nHost: other", "http://exämple.org/", "http://localhost/",
        "http://a.localhost/", "http://127.0.0.1/", "https://[::1]/", "http://[::ffff:10.0.0.1]/", "http://10.1.2.3:8000/",
    ],
)  # fmt: skip
def test_url_that_cannot_be_a_webhook_is_refused(url: str) -> None:
    assert problem_of(url, ())


def test_url_of_a_public_or_an_allowed_host_is_accepted() -> None:
    assert not problem_of("https://example.org:8443/hooks?a=1", ())
    assert not problem_of("https://example.org:65535/", ())
    assert not problem_of("http://10.1.2.3/", ["10.1.2.3"])


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of this machine where connections are accepted. No test may reach it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server.getsockname()[1]
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::ffff:7f00:1]"])
def test_disguised_address_of_this_machine_is_refused(host: str, listening: int) -> None:
    with pytest.raises(Undelivered, match=r"address_refused|host_unknown"):
        post(f"http://{host}:{listening}/", {}, b"", ())


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["169.254.169.254"]])
def test_name_that_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, listening: int, addresses: list[str]
) -> None:
    resolving(monkeypatch, *addresses)
    with pytest.raises(Undelivered, match="address_refused"):
        post(f"http://hooks.example.org:{listening}/", {}, b"", ())


def test_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch, listening: int) -> None:
    """A name that resolves to another address after the check does not change where the connection goes."""
    resolving(monkeypatch, "93.184.215.14")
    tried: list[Any] = []

    def connect(connection: socket.socket, address: Any) -> None:
        tried.append(address)
        resolving(monkeypatch, "127.0.0.1")
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Undelivered, match="not_reached"):
        post(f"http://hooks.example.org:{listening}/", {}, b"", ())
    assert tried == [("93.184.215.14", listening)]


@pytest.mark.parametrize(
    ("answer", "code"), [(b"SSH-2.0-OpenSSH\r\n", "not_http"), (b"", "not_http"), (b"HTTP/1.1 ", "timed_out")]
)
def test_receiver_that_does_not_speak_http(monkeypatch: pytest.MonkeyPatch, answer: bytes, code: str) -> None:
    monkeypatch.setattr(webhook_request, "SECONDS", 0.3)
    told = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)
                if answer.endswith(b" "):  # the receiver never sends the status
                    told.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Undelivered, match=code):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"", ["127.0.0.1"])
        told.set()
        thread.join()


def test_receiver_without_a_valid_certificate_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"this is no TLS")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Undelivered, match="tls_failed"):
            post(f"https://127.0.0.1:{server.getsockname()[1]}/", {}, b"", ["127.0.0.1"])
        thread.join()
