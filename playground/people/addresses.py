"""Network addresses: the URL for phones, loopback and private addresses, networks of clients."""

from __future__ import annotations

import ipaddress
import re
import socket

from playground.settings import Settings

UNKNOWN = "unknown"  # the network of what is no address (RFC 7239, section 6.2)
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?", re.ASCII)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_for_phones(settings: Settings, port: int) -> str | None:
    """The URL at which phones reach this server; None if they cannot."""
    return settings.address or for_phones(settings.host, port)


def for_phones(host: str, port: int) -> str | None:
    """The URL at which other machines reach a server that listens on `host`; None if it listens on
    the loopback interface only."""
    if is_loopback(host):
        return None
    host = host if host not in ("0.0.0.0", "::", "") else _network_address()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address or "localhost"."""
    address = _parsed(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_private(address: str) -> bool:
    """Whether this is an address in a private network, such as that of a proxy in a cluster."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_private


def network(address: str) -> str:
    """The network of one client: the address itself, or for IPv6 its /64, all of whose addresses
    one client may use; UNKNOWN for what is no address."""
    parsed = _parsed(address)
    if parsed is None:
        return UNKNOWN
    if parsed.version == 4 or parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.IPv6Network((parsed.packed, 64), strict=False).network_address)


def _parsed(text: str) -> IPAddress | None:
    """The address in `text`, which may have a port (1.2.3.4:80, [2001:db8::1]:80) or an IPv6 zone
    (fe80::1%eth0), without both; None if there is none. An IPv4 address that is mapped to IPv6 is
    IPv4."""
    if match := _WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 6:
        return address.ipv4_mapped or ipaddress.IPv6Address(address.packed)
    return address


def _network_address() -> str:
    """This machine's address in the local network: the source address of outgoing packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation (RFC 5737); sends nothing
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostbyname(socket.gethostname())
