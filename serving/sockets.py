"""Where the service listens, as the operating system says.

A worker's configuration says 0.0.0.0 whatever the command line said, so the sockets themselves are
asked: a worker inherits the one it listens on from BentoML's supervisor.
"""

from __future__ import annotations

import ipaddress
import os
import socket

__all__ = ["exposed", "is_loopback", "listening"]


def is_loopback(host: str) -> bool:
    """Whether an address, or the name in a header Host, is this machine's own.

    >>> [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def listening() -> list[str]:
    """Return the addresses this process listens on for TCP connections."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        numbers = list(range(3, 1024))
    found = []
    for number in numbers:
        try:
            with socket.socket(fileno=os.dup(number)) as one:
                if one.family not in (socket.AF_INET, socket.AF_INET6):
                    continue
                # A bound socket that does not accept yet is about to.
                host, port, *_ = one.getsockname()
                if port and not _is_connected(one):
                    found.append(host)
        except OSError:
            continue
    return found


def exposed() -> list[str]:
    """Return those of the addresses listened on that other machines may reach."""
    return sorted({host for host in listening() if not is_loopback(host)})


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True
