"""Diameter over SCTP (RFC 6733 2.1): one message of SCTP is one of Diameter, on the kernel's one-to-one sockets.

asyncio's own transports would merge messages and uvloop's refuse the socket, so this one reads and writes by itself,
told by either loop when it can. Everything is sent on stream 0 and taken from any stream; out of order as soon as the
other side has shown that it is through the exchange of capabilities, in order until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections import deque
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, cast

from ocs.diameter.admission import plain_address
from ocs.diameter.errors import FramingLost
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.transports import Accept, Handler
from ocs.diameter.transports.sctp_socket import (
    MSG_NOTIFICATION,
    ORDERED,
    UNORDERED,
    Association,
    SocketAddress,
    connect_error,
    connecting_socket,
    listening_socket,
    local_addresses,
    peer_addresses,
    read_notification,
)
from ocs.diameter.wire import HEADER_OCTETS
from ocs.limits import CONNECT_TIMEOUT_S, DRAIN_TIMEOUT_S, MESSAGE_OCTETS_MAX, PEER_OUTPUT_OCTETS_MAX

WRITE_HIGH_WATER_OCTETS: Final = 262_144
# A full queue is answered by ABORT, where TCP would try again; net.core.somaxconn bounds it, too.
BACKLOG: Final = 1_024
READ_OCTETS: Final = MESSAGE_OCTETS_MAX
READ_BATCH: Final = 64
ACCEPT_BATCH: Final = 64
ACCEPT_PAUSE_S: Final = 1

_HELD_BY_OUTPUT: Final = 1  # the peer does not read its answers
_HELD_BY_HANDLER: Final = 2
_VERSION_1: Final = 1 << 24
_ABORT: Final = struct.pack("=ii", 1, 0)
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class SctpLink:
    """One association. A full queue of the kernel leaves messages in ours, which is bounded."""

    transport = "sctp"
    certificate_names: frozenset[str] | None = None

    def __init__(self, connected: socket.socket) -> None:
        """`connected` belongs to the link from now on. Raises OSError where its association is gone already."""
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._fd = connected.fileno()
        remote, local = connected.getpeername(), connected.getsockname()
        theirs, ours = peer_addresses(connected), local_addresses(connected)
        if not theirs or not ours:
            raise OSError(errno.ENOTCONN, "the association is gone")
        # The primary one, from which the association was asked for.
        self.remote_address: IPv4Address | IPv6Address = plain_address(remote[0])
        self.local_address: IPv4Address | IPv6Address = ours[0]
        self.local_others: tuple[IPv4Address | IPv6Address, ...] = tuple(ours[1:])
        self.remote = _endpoint(theirs, remote[1])
        self.local = _endpoint(ours, local[1])
        self._handler: Handler | None = None
        self._ancillary = ORDERED
        self._spoken = False
        self._part = bytearray()
        self._output: deque[bytes] = deque()
        self._output_octets = 0
        self._flush_soon = False
        self._writing = False
        self._reading = False
        self._held = 0
        self._closing = False
        self._gone = False
        self._linger: asyncio.TimerHandle | None = None

    def start(self, accept: Accept) -> None:
        """Hand the link to its handler, and read."""
        self._handler = accept(self)
        if self._handler is None:
            self.abort()
        elif not self._gone:
            self._watch()

    # What the peer's side asks for

    def write(self, data: bytes) -> bool:
        """Queue one message. False: the connection is gone or ending."""
        if self._closing or self._gone:
            return False
        self._output.append(data)
        self._output_octets += len(data)
        if self._output_octets > PEER_OUTPUT_OCTETS_MAX:
            self._overflow()
            return False
        if not self._flush_soon and not self._writing:
            self._flush_soon = True
            self._loop.call_soon(self._flush)
        return True

    def close(self) -> None:
        """Send what is queued, then SHUTDOWN; a peer that does not take it is cut off after a while."""
        if self._closing or self._gone:
            return
        self._closing = True
        self._linger = self._loop.call_later(DRAIN_TIMEOUT_S, self.abort)
        self._watch()
        self._flush()

    def abort(self) -> None:
        """End now, with ABORT."""
        if not self._gone:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self._end()

    def hold_reading(self, held: bool) -> None:
        """Stop or go on reading."""
        self._hold(_HELD_BY_HANDLER, held=held)

    def unread(self) -> int:
        """The kernel tells the length of the next message alone: what waits is not known."""
        return 0

    # Reading

    def _readable(self) -> None:
        """Take what is there, all messages in one call of the handler."""
        if self._spoken:
            # The other side speaks after we did: it is through with the exchange of capabilities (RFC 6733 2.1).
            self._ancillary = UNORDERED
        frames: list[bytes] = []
        lost, over = None, False
        for _ in range(READ_BATCH):
            received = self._receive()
            if received is None:
                break
            data, flags = received
            whole = None
            if not data:
                over = True
            elif flags & MSG_NOTIFICATION:
                over = self._notified(data)
            else:
                whole = self._joined(data, flags)
            if whole is not None and not self._closing:
                lost = fault_of(whole)
                if lost is None:
                    frames.append(whole)
            if over or lost is not None:
                break
        self._hand_over(frames, lost)
        if over:
            self._end()

    def _receive(self) -> tuple[bytes, int] | None:
        """(octets, flags), no octets at the end of the association; None: there is nothing now."""
        try:
            data, _, flags, _ = self._socket.recvmsg(READ_OCTETS)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b"", 0
        return data, flags

    def _hand_over(self, frames: list[bytes], lost: FramingLost | None) -> None:
        handler = self._handler
        if frames and handler is not None:
            handler.frames_received(frames)
        if lost is not None and handler is not None and not self._closing and not self._gone:
            handler.framing_lost(lost)

    def _joined(self, data: bytes, flags: int) -> bytes | None:
        """A whole message; None while it is not; one above the bound as soon as it is."""
        if not self._part and flags & socket.MSG_EOR:
            return data
        self._part += data
        if not flags & socket.MSG_EOR and len(self._part) <= MESSAGE_OCTETS_MAX:
            return None
        whole = bytes(self._part)
        self._part.clear()
        return whole

    def _notified(self, data: bytes) -> bool:
        """Take a notification; True: the association is over."""
        said = read_notification(data)
        if said is Association.OVER:
            return True
        if said is Association.TORN:
            self._part.clear()
        elif not isinstance(said, Association) and self._handler is not None:
            self._handler.path_changed(str(said.address), said.state)
        return False

    # Writing

    def _flush(self) -> None:
        """Give the kernel what it takes; the rest goes when it says so."""
        self._flush_soon = False
        output = self._output
        while output and not self._gone:
            data = output[0]
            try:
                self._socket.sendmsg((data,), self._ancillary)
                self._spoken = True
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    self._end()
                    return
                if self._handler is not None:
                    self._handler.unsendable(len(data))
            output.popleft()
            self._output_octets -= len(data)
        if self._gone:
            return
        if bool(output) != self._writing:
            self._writing = bool(output)
            if self._writing:
                self._loop.add_writer(self._fd, self._flush)
            else:
                self._loop.remove_writer(self._fd)
        if self._closing and not output:
            self._shut_down()
        elif self._output_octets > WRITE_HIGH_WATER_OCTETS:
            self._hold(_HELD_BY_OUTPUT, held=True)
        elif self._output_octets <= WRITE_HIGH_WATER_OCTETS // 4:
            self._hold(_HELD_BY_OUTPUT, held=False)

    def _shut_down(self) -> None:
        """SHUTDOWN: the kernel still delivers what it took. The end is read, since closing over unread data aborts."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()

    def _overflow(self) -> None:
        if self._handler is not None:
            self._handler.overflowed()
        self.abort()

    # Both

    def _hold(self, reason: int, *, held: bool) -> None:
        self._held = self._held | reason if held else self._held & ~reason
        self._watch()

    def _watch(self) -> None:
        """Read, or do not, as things stand; an association that is ending is read to its end."""
        wanted = not self._gone and (self._closing or not self._held)
        if wanted == self._reading or self._handler is None:
            return
        self._reading = wanted
        if wanted:
            self._loop.add_reader(self._fd, self._readable)
        else:
            self._loop.remove_reader(self._fd)

    def _end(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._linger is not None:
            self._linger.cancel()
        if self._reading:
            self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
        self._reading = self._writing = False
        self._socket.close()
        self._output.clear()
        self._part.clear()
        handler, self._handler = self._handler, None
        if handler is not None:
            self._loop.call_soon(handler.disconnected)


class SctpServer:
    """A listening socket, and what it does with those who come."""

    def __init__(self, listening: socket.socket, accept: Accept) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = listening
        self._accept = accept
        self._pause: asyncio.TimerHandle | None = None
        self._fd = listening.fileno()
        self._loop.add_reader(self._fd, self._take)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket, none when it is closed."""
        return () if self._socket.fileno() < 0 else (self._socket,)

    def close(self) -> None:
        """Take no more; associations that were taken go on."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._fd)
            self._socket.close()

    def _take(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                connected, _ = self._socket.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._loop.remove_reader(self._fd)
                    self._pause = self._loop.call_later(ACCEPT_PAUSE_S, self._loop.add_reader, self._fd, self._take)
                return
            connected.setblocking(False)
            _begin(connected, self._accept)


async def listen(hosts: Sequence[str], port: int, accept: Accept) -> SctpServer:
    """Take associations on all of `hosts` under one port: each of them has all these addresses of ours.

    Raises OSError; TransportMissing where the kernel has no SCTP.
    """
    addresses = await _resolve(hosts, port)
    return SctpServer(listening_socket(addresses, BACKLOG), accept)


async def connect(hosts: Sequence[str], port: int, accept: Accept, sources: Sequence[str] = ()) -> None:
    """One association with the peer that has all of `hosts`. Raises OSError: why there is none.

    sources: addresses or names of ours that it is to have; none, or an unspecified one: all of this host.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connecting = connecting_socket(await _resolve(hosts, port), await _resolve(sources, 0))
            try:
                await _writable(loop, connecting.fileno())
                error = connect_error(connecting)
                if error is not None:
                    raise error
            except BaseException:
                connecting.close()
                raise
    except TimeoutError:
        raise OSError(f"{', '.join(hosts)}: no answer in {CONNECT_TIMEOUT_S} s") from None
    except OSError as error:
        raise type(error)(f"{', '.join(hosts)}: {error.strerror or error}") from error
    if not _begin(connecting, accept):
        raise OSError(f"{', '.join(hosts)}: the association ended at once")


def fault_of(data: bytes) -> FramingLost | None:
    """What is wrong with a message of SCTP as one message of Diameter; None: nothing that matters here.

    Less than a header, another version, or a length that is not that of the message: whoever sends that means something
    else than we do, so it is answered like a stream that cannot be cut into messages any more.
    """
    octets = len(data)
    word = int.from_bytes(data[:4], "big")
    if word == _VERSION_1 | octets and HEADER_OCTETS <= octets <= MESSAGE_OCTETS_MAX and not octets & 3:
        return None
    length = word & 0xFF_FFFF
    if octets < HEADER_OCTETS:
        reason, code, limit = f"{octets} octets are less than a header", ResultCode.INVALID_MESSAGE_LENGTH, ""
        data = bytes(HEADER_OCTETS)
    elif word >> 24 != 1:
        reason, code, limit = f"version {word >> 24} in the header", ResultCode.UNSUPPORTED_VERSION, ""
    elif max(length, octets) > MESSAGE_OCTETS_MAX:
        reason, limit = f"message of {max(length, octets)} octets", "message_octets"
        code = ResultCode.INVALID_MESSAGE_LENGTH
    else:
        reason, limit = f"message length {length} in an SCTP message of {octets} octets", ""
        code = ResultCode.INVALID_MESSAGE_LENGTH
    return FramingLost(code, [], data[:HEADER_OCTETS], reason, limit)


def _begin(connected: socket.socket, accept: Accept) -> bool:
    """False: the association was gone before it was looked at."""
    try:
        link = SctpLink(connected)
    except OSError:
        connected.close()
        return False
    link.start(accept)
    return True


async def _resolve(hosts: Sequence[str], port: int) -> list[SocketAddress]:
    """Addresses of all `hosts`, each once."""
    loop = asyncio.get_running_loop()
    found: dict[SocketAddress, None] = {}
    for host in hosts:
        for _, _, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            found[cast("SocketAddress", address)] = None
    return list(found)


async def _writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    """Wait until a socket can be written to."""
    future: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_writer(fd, settle)
    try:
        await future
    finally:
        loop.remove_writer(fd)


def _endpoint(addresses: Sequence[IPv4Address | IPv6Address], port: int) -> str:
    """All addresses of one side for people, such as 10.0.0.1+10.1.0.1:3868."""
    return "+".join(f"[{each}]" if each.version == 6 else str(each) for each in addresses) + f":{port}"
