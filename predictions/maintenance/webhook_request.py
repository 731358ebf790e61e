"""One POST to an address that a caller chose: bounded in time, to public addresses only, without redirects.

The host is resolved once. All of its addresses are checked, and the connection goes to one of those that were checked,
so a name that resolves to other addresses a moment later cannot bypass the check. Proxy settings of the environment are
ignored.
"""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

SECONDS = 5.0
PORTS = {"http": 80, "https": 443}
# A name or an IPv4 address, a port, and printable ASCII: so a URL adds no header, and has no user and no fragment.
# Names in other scripts are written in Punycode. The OpenAPI schema has the same pattern. \x22 is the quotation mark,
# which as a plain character would end a string of the code that OpenAPI Generator writes.
URL = (
    r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([/?][!\x22$-~]*)?$"
)
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")
LONGEST_STATUS_LINE = 1024
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Networks that Python does not count as private: protocol assignments, IPv4 written as IPv6, 6to4, local NAT64.
REFUSED = [
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "::/96", "2002::/16", "64:ff9b:1::/48")
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Undelivered(Exception):
    """`code` says why; it may be shown to the owner of the webhook."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def problem_of(url: str, allowed_hosts: Collection[str]) -> str:
    """Why a webhook cannot be sent to this URL, in a sentence; empty if the URL itself is valid."""
    if not re.fullmatch(URL, url):
        return "Must be like https://shop.example.org/hook: ASCII, without a user or a fragment; a host by its name."
    host = urlsplit(url).hostname or ""
    if host not in allowed_hosts and _is_private_literal(host):
        return "Must be an address on the public internet. WEBHOOK_ALLOWED_HOSTS can name others."
    return ""


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local:
            return False
    if any(address in network for network in REFUSED):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def post(url: str, headers: Mapping[str, str], body: bytes, allowed_hosts: Collection[str]) -> int:
    """Send the request. Returns the status of the receiver's answer; the rest of the answer is not read.

    Raises:
        Undelivered: no status was received; `code` says why.
    """
    until = time.monotonic() + SECONDS
    parts = urlsplit(url)
    addresses = _resolve(parts, allowed_hosts)
    try:
        with _connect(addresses, until) as connection:
            return _exchange(connection, parts, _message(parts, headers, body), until)
    except TimeoutError:
        raise Undelivered("timed_out") from None
    except ssl.SSLError:
        raise Undelivered("tls_failed") from None
    except OSError:
        raise Undelivered("not_reached") from None


def _resolve(parts: SplitResult, allowed_hosts: Collection[str]) -> list[tuple[int, Any]]:
    """The family and the address of each socket to which the host resolves. All were checked."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Undelivered("host_unknown") from None
    addresses = [ipaddress.ip_address(str(info[4][0])) for info in found]
    if host not in allowed_hosts and not all(map(is_public, addresses)):
        raise Undelivered("address_refused")
    return [(info[0], info[4]) for info in found]


def _connect(addresses: Sequence[tuple[int, Any]], until: float) -> socket.socket:
    """Connect to the first address that can be reached: the host may have IPv6, and this machine not."""
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(until))
            connection.connect(address)
        except OSError:
            connection.close()
            _left(until)
        else:
            return connection
    raise Undelivered("not_reached")


def _message(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Host": parts.netloc, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body


def _exchange(connection: socket.socket, parts: SplitResult, message: bytes, until: float) -> int:
    if parts.scheme == "http":
        return _ask(connection, message, until)
    context = ssl.create_default_context()
    connection.settimeout(_left(until))
    with context.wrap_socket(connection, server_hostname=parts.hostname) as secured:
        return _ask(secured, message, until)


def _ask(connection: socket.socket, message: bytes, until: float) -> int:
    """Send the message and read the status. A receiver that sends its status byte by byte gets no more time."""
    connection.settimeout(_left(until))
    connection.sendall(message)
    answer = b""
    while b"\n" not in answer and len(answer) < LONGEST_STATUS_LINE:
        connection.settimeout(_left(until))
        if not (piece := connection.recv(256)):
            break
        answer += piece
    if (found := STATUS_LINE.match(answer)) is None:
        raise Undelivered("not_http")
    return int(found.group(1))


def _left(until: float) -> float:
    if (seconds := until - time.monotonic()) <= 0:
        raise TimeoutError
    return seconds
