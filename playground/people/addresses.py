"""Network addresses: the URL for phones, and checks for loopback and private addresses."""

from __future__ import annotations

import ipaddress
import socket

from playground.settings import Settings


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
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(address: str) -> bool:
    """Whether this is an address in a private network, such as that of a proxy in a cluster."""
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _network_address() -> str:
    """This machine's address in the local network: the source address of outgoing packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation (RFC 5737); sends nothing
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostbyname(socket.gethostname())
