"""Client addresses, as proxies write them and as attempts are counted."""

from typing import Any

import pytest

from predictions.use_cases.addresses import client_ip, counted_as

PROXY = "10.0.0.1"


@pytest.fixture
def behind_proxy(settings: Any) -> None:
    settings.BEHIND_PROXY = True


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:443 ", "192.0.2.1"),
        ("198.51.100.9, 192.0.2.1:443", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", PROXY),
        ("192.0.2.1, ", PROXY),
        ("", PROXY),
    ],
)
def test_address_behind_a_proxy_is_read_with_or_without_port(behind_proxy: None, forwarded: str, address: str) -> None:
    assert client_ip(PROXY, forwarded) == address


def test_forwarded_address_is_ignored_without_a_proxy() -> None:
    assert client_ip("192.0.2.1", "198.51.100.9") == "192.0.2.1"


def test_ipv6_addresses_of_one_network_count_as_one() -> None:
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff:1") != counted_as("2001:db8:0:1::1")


def test_mapped_ipv4_address_counts_as_itself() -> None:
    assert counted_as("::ffff:192.0.2.1") == counted_as("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("text", ["", "unix:", "a" * 300, "\xe9"])
def test_text_that_is_no_address_counts_as_none(text: str) -> None:
    assert counted_as(text) is None
