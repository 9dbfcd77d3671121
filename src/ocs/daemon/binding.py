"""Listening sockets, and what to say where one cannot be had."""

from __future__ import annotations

import errno
import socket
from typing import Final

BACKLOG: Final = 128


class CannotListen(Exception):
    """An address that cannot be listened on; the message says which, why, and what to do."""


def explain(what: str, host: str, port: int, error: OSError) -> CannotListen:
    """The exception for `error`; `what` is "Diameter" or "HTTP"."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        key = "listeners" if what == "Diameter" else "http.bind"
        return CannotListen(
            f"{what} cannot listen on {where}: the port is taken by another program, perhaps another ocs. "
            f"Stop that one (ss -ltnp 'sport = :{port}' shows it), or set another port at {key} in server.yaml."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotListen(f"{what} cannot listen on {where}: this machine has no such address.")
    if error.errno == errno.EACCES:
        return CannotListen(f"{what} cannot listen on {where}: ports below 1024 need a privilege.")
    return CannotListen(f"{what} cannot listen on {where}: {error.strerror or error}")


def bind_tcp(what: str, host: str, port: int) -> socket.socket:
    """A listening TCP socket of the first address that `host` resolves to; CannotListen where there is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise explain(what, host, port, error) from error
    return bound
