"""Diameter over TCP, IPv4 and IPv6 (RFC 6733 2.1): asyncio's protocol on one side, a Handler on the other.

One read may bring many messages, and all go to the handler in one call; answers of one turn of the loop go out in one
write. Both matter more for throughput than anything else here.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from ssl import SSLContext, SSLObject
from typing import Final, cast

from ocs.diameter.admission import plain_address
from ocs.diameter.errors import FramingLost
from ocs.diameter.transports import Accept, Handler, Server
from ocs.diameter.wire import split_frames
from ocs.limits import CONNECT_TIMEOUT_S, DRAIN_TIMEOUT_S, MESSAGE_OCTETS_MAX, PEER_OUTPUT_OCTETS_MAX

WRITE_HIGH_WATER_OCTETS: Final = 262_144
BACKLOG: Final = 512

_HELD_BY_OUTPUT: Final = 1  # the peer does not read its answers
_HELD_BY_HANDLER: Final = 2


class TcpLink(asyncio.Protocol):
    """One TCP connection."""

    local_others: tuple[IPv4Address | IPv6Address, ...] = ()

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._loop = asyncio.get_running_loop()
        self._handler: Handler | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._output: list[bytes] = []
        self._output_octets = 0
        self._held = 0
        self._linger: asyncio.TimerHandle | None = None
        self._fileno = -1
        self.transport = "tcp"
        self.certificate_names: frozenset[str] | None = None
        self.remote = self.local = ""
        self.remote_address: IPv4Address | IPv6Address
        self.local_address: IPv4Address | IPv6Address

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected; the addresses are kept, since a closed socket has none."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        remote = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        if not remote or not local:
            transport.abort()  # it ended before it was looked at
            return
        self._transport = transport
        secured: SSLObject | None = transport.get_extra_info("ssl_object")
        if secured is not None:
            self.transport = "tls"
            self.certificate_names = _names(secured)
        self.remote, self.remote_address = _endpoint(remote)
        self.local, self.local_address = _endpoint(local)
        connected: socket.socket = transport.get_extra_info("socket")
        self._fileno = connected.fileno()
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_OCTETS)
        self._handler = self._accept(self)
        if self._handler is None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Octets; what is no whole message yet waits, never more than one message's worth and one read."""
        handler = self._handler
        if handler is None:
            return
        self._buffer += data
        try:
            frames = split_frames(self._buffer, MESSAGE_OCTETS_MAX)
        except FramingLost as lost:
            if lost.frames:
                handler.frames_received(lost.frames)
            handler.framing_lost(lost)
            return
        if frames:
            handler.frames_received(frames)

    def pause_writing(self) -> None:
        """The peer takes its answers too slowly: no new requests from it for now."""
        self._hold(_HELD_BY_OUTPUT, held=True)

    def resume_writing(self) -> None:
        """It caught up."""
        self._hold(_HELD_BY_OUTPUT, held=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason, it is gone
        """Gone."""
        if self._linger is not None:
            self._linger.cancel()
        self._output.clear()
        self._transport = None
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.disconnected()

    # What the peer's side asks for

    def write(self, data: bytes) -> bool:
        """Queue one message. False: the connection is gone or ending."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(data)
        self._output_octets += len(data)
        if self._output_octets > PEER_OUTPUT_OCTETS_MAX:
            self._overflow()
            return False
        return True

    def close(self) -> None:
        """Send what is queued, then end; a peer that does not take it is cut off after a while."""
        self._flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._linger = self._loop.call_later(DRAIN_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """End now."""
        self._output.clear()
        if self._transport is not None:
            self._transport.abort()

    def hold_reading(self, held: bool) -> None:
        """Stop or go on reading."""
        self._hold(_HELD_BY_HANDLER, held=held)

    def unread(self) -> int:
        """Octets in the kernel, with TLS encrypted ones; none of a peer that does not take its answers.

        Those wait for that peer and not for us: they are no sign of overload.
        """
        if self._transport is None or self._transport.is_closing() or self._held & _HELD_BY_OUTPUT:
            return 0
        try:
            return int.from_bytes(fcntl.ioctl(self._fileno, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return 0  # it is being closed

    def _flush(self) -> None:
        transport = self._transport
        if not self._output or transport is None or transport.is_closing():
            return
        if self._output_octets + transport.get_write_buffer_size() > PEER_OUTPUT_OCTETS_MAX:
            self._overflow()
            return
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        self._output_octets = 0
        transport.write(data)

    def _overflow(self) -> None:
        if self._handler is not None:
            self._handler.overflowed()
        self.abort()

    def _hold(self, reason: int, *, held: bool) -> None:
        before = self._held
        self._held = before | reason if held else before & ~reason
        transport = self._transport
        if transport is None or transport.is_closing() or bool(before) == bool(self._held):
            return
        if self._held:
            transport.pause_reading()
        else:
            transport.resume_reading()


async def listen(hosts: Sequence[str], port: int, accept: Accept) -> asyncio.Server:
    """Take connections on each of `hosts`; a name may stand for several. Raises OSError."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: TcpLink(accept), hosts, port, backlog=BACKLOG)


async def connect(
    hosts: Sequence[str], port: int, accept: Accept, ssl: SSLContext | None = None, server_name: str = ""
) -> None:
    """Connect to the first of `hosts` that answers, each has CONNECT_TIMEOUT_S. Raises OSError: why none did."""
    loop = asyncio.get_running_loop()
    whys = []
    for host in hosts:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                name = (server_name or host) if ssl is not None else None
                await loop.create_connection(lambda: TcpLink(accept), host, port, ssl=ssl, server_hostname=name)
            return
        except TimeoutError:
            whys.append(f"{host}: no answer in {CONNECT_TIMEOUT_S} s")
        except OSError as error:
            whys.append(f"{host}: {error.strerror or error}")
    raise OSError("; ".join(whys))


def bound_to(server: Server) -> list[tuple[str, int]]:
    """(address, port) of each socket of a server."""
    return [(name[0], name[1]) for name in (sock.getsockname() for sock in server.sockets)]


def _names(secured: SSLObject) -> frozenset[str] | None:
    """The dNSNames of the other side's certificate, which is verified; None where it showed none."""
    certificate = secured.getpeercert()
    if not certificate:
        return None
    alternatives = cast("Sequence[tuple[str, str]]", certificate.get("subjectAltName", ()))
    return frozenset(name.lower() for kind, name in alternatives if kind == "DNS")


def _endpoint(name: tuple[str, int]) -> tuple[str, IPv4Address | IPv6Address]:
    address = plain_address(name[0])
    text = f"[{address}]:{name[1]}" if address.version == 6 else f"{address}:{name[1]}"
    return text, address
