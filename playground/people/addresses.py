"""Where a phone finds the page, and who sits at this machine."""

from __future__ import annotations

import ipaddress
import socket


def for_phones(listens_on: str, port: int) -> str | None:
    """The address of the page for other machines; None where it listens to this one alone."""
    if is_loopback(listens_on):
        return None
    host = listens_on if listens_on not in ("0.0.0.0", "::", "") else _on_the_network()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether this is an address, or a name, of the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _on_the_network() -> str:
    """This machine's address in the local network: where a packet out of it would come from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # set aside for documents; nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostbyname(socket.gethostname())
