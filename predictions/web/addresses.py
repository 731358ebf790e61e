"""Client addresses, as proxies write them."""

import re
from ipaddress import IPv6Address, ip_address, ip_network

BRACKETED = re.compile(r"\[([^\]]+)\](?::\d+)?")
WITH_PORT = re.compile(r"(\d+\.\d+\.\d+\.\d+):\d+")


def read_address(text: str) -> str | None:
    """The address in `ip`, `ip:port`, `[v6]` or `[v6]:port`; None if it is none of these."""
    text = text.strip()
    match = BRACKETED.fullmatch(text) or WITH_PORT.fullmatch(text)
    try:
        return str(ip_address(match[1] if match else text))
    except ValueError:
        return None


def counted_as(address: str) -> str:
    """What attempts of this valid address are counted under: an IPv6 address counts as its /64."""
    parsed = ip_address(address)
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False).network_address)
