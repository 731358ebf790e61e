"""Client addresses: read from what proxies send, and grouped for the counts of attempts and rates."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

BRACKETED = re.compile(r"\[([^\]]+)\](?::\d+)?")
WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+")


def client_ip(remote: str, forwarded: str) -> str:
    """The client's address.

    Args:
        remote: the other end of the connection.
        forwarded: the header X-Forwarded-For, whose last entry counts if a proxy stands in front. If that entry is no
            address, the connection's counts.
    """
    if forwarded and settings.BEHIND_PROXY and (address := _parse(forwarded.rsplit(",", 1)[-1])):
        return str(address)
    return remote


def counted_as(text: str) -> str | None:
    """The key under which the attempts and the rate of an address are counted; None if the text is no address.

    An IPv6 address counts as its /64 network, since one client has all addresses of it.
    """
    address = _parse(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), 64), strict=False).network_address)
    return str(address) if address else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """The address in `ip`, `ip:port`, `[v6]` or `[v6]:port`; None if it is none of these."""
    text = text.strip()
    match = BRACKETED.fullmatch(text) or WITH_PORT.fullmatch(text)
    try:
        address = ip_address(match[1] if match else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
