"""TLS 1.2 and 1.3 on TCP, from the first octet (RFC 6733 13.1): certificates, handshakes and their bounds.

A handshake is not on anybody else's way: the connection is counted, and has its turn, only when it is through. The
certificate that the other side showed is held against its Origin-Host later, by whoever judges its CER or CEA.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ocs.config.settings import Tls
from ocs.diameter.transports import Accept
from ocs.diameter.transports.tcp import BACKLOG, TcpLink
from ocs.diameter.transports.tcp import connect as tcp_connect
from ocs.limits import TLS_HANDSHAKE_TIMEOUT_S, TLS_HANDSHAKES_MAX

# Forward secrecy and authenticated encryption alone; TLS 1.3 has nothing else.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
TOO_MANY: Final = "too many handshakes are under way"
_ACCEPTS_AT_ONCE: Final = 64
_PAUSE_S: Final = 1.0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18

Refused = Callable[[str, str], None]
"""Told of a handshake that failed: where it came from ("host:port"), and why."""


class TlsError(OSError):
    """The certificates cannot be used; the text says which file, why, and what to do."""


class Contexts(msgspec.Struct, frozen=True):
    """What connections are made with. expires_at_s: Unix time at which our certificate is no longer valid."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    expires_at_s: int


def load(tls: Tls) -> Contexts:
    """Read the files. Raises TlsError."""
    server = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    server.verify_mode = ssl.CERT_REQUIRED if tls.client_certificates else ssl.CERT_OPTIONAL
    client = _context(ssl.PROTOCOL_TLS_CLIENT, tls)
    client.check_hostname = False  # it is the Origin-Host that counts, and that is known after the CEA
    client.verify_mode = ssl.CERT_REQUIRED
    expires_at_s = not_after_s(Path(tls.certificate).read_text())
    if expires_at_s <= time.time():
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(expires_at_s))
        raise TlsError(f"the certificate {tls.certificate} expired at {when}: put a new one there and reload")
    return Contexts(server, client, expires_at_s)


def _context(protocol: ssl._SSLMethod, tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    for what, path in (("certificate", tls.certificate), ("key", tls.key), ("ca", tls.ca)):
        _read(what, path)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except ValueError as error:
        raise TlsError(f"tls.key {tls.key} has a passphrase: store it without one, readable by ocs alone") from error
    except ssl.SSLError as error:
        why = "the key does not belong to the certificate" if "MISMATCH" in str(error) else error.reason or str(error)
        raise TlsError(
            f"tls.certificate {tls.certificate} with tls.key {tls.key}: {why}; both have to be PEM files"
        ) from error
    try:
        context.load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise TlsError(f"tls.ca {tls.ca}: {error.reason or error}; it has to be a PEM file of roots") from error
    return context


def _read(what: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"tls.{what} {path} cannot be read: {error.strerror}") from error


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted")


async def listen(
    hosts: Sequence[str], port: int, accept: Accept, contexts: Callable[[], Contexts], refused: Refused
) -> TlsServer:
    """Take connections on each of `hosts`; `contexts` is asked for each, so that new certificates count at once.

    At most TLS_HANDSHAKES_MAX handshakes are under way, each for TLS_HANDSHAKE_TIMEOUT_S. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    server = TlsServer(accept, contexts, refused)
    try:
        for host in hosts:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                server.open(family, address)
    except OSError:
        server.close()
        raise
    return server


async def connect(hosts: Sequence[str], port: int, accept: Accept, contexts: Contexts, server_name: str = "") -> None:
    """As `tcp.connect`, with TLS; `server_name` is the identity that is wanted, told to the peer (SNI)."""
    await tcp_connect(hosts, port, accept, contexts.client, server_name)


class TlsServer:
    """Listening sockets, and the handshakes of what they took.

    The loop's own server would bind one set of certificates for its whole life.
    """

    def __init__(self, accept: Accept, contexts: Callable[[], Contexts], refused: Refused) -> None:
        self.sockets: list[socket.socket] = []
        self._accept = accept
        self._contexts = contexts
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()

    def open(self, family: int, address: tuple[Any, ...]) -> None:
        """Listen on one address. Raises OSError."""
        listening = socket.socket(family, socket.SOCK_STREAM)
        self.sockets.append(listening)
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        self._listen(listening)

    def close(self) -> None:
        """Take no more connections; handshakes that are under way are given up."""
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self.sockets.clear()
        for task in self._under_way:
            task.cancel()

    def _listen(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            self._loop.add_reader(listening, self._take, listening)

    def _take(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                taken, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # No descriptor is left, most likely: what waits in the backlog waits a little longer.
                self._refused("", str(error))
                self._loop.remove_reader(listening)
                self._loop.call_later(_PAUSE_S, self._listen, listening)
                return
            taken.setblocking(False)
            if len(self._under_way) >= TLS_HANDSHAKES_MAX:
                taken.close()
                self._refused("", TOO_MANY)
                continue
            task = self._loop.create_task(self._shake(taken))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _shake(self, taken: socket.socket) -> None:
        remote = ""
        try:
            name = taken.getpeername()
            remote = f"{name[0]}:{name[1]}"
            await self._loop.connect_accepted_socket(
                lambda: TcpLink(self._accept),
                taken,
                ssl=self._contexts().server,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S,
            )
        except OSError as error:
            self._refused(remote, explain(error))
            taken.close()
        except asyncio.CancelledError:
            taken.close()
            raise


def explain(error: BaseException) -> str:
    """Why a handshake failed, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return f"no handshake in {TLS_HANDSHAKE_TIMEOUT_S} s"
    return str(error) or type(error).__name__


def not_after_s(pem: str) -> int:
    """Unix time at which the first certificate of a PEM text is no longer valid (RFC 5280 4.1.2.5)."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = pem[pem.index(begin) : pem.index(end) + len(end)]
    certificate = _inside(ssl.PEM_cert_to_DER_cert(first))[0][1]
    fields = _inside(_inside(certificate)[0][1])
    # version [0] is absent in version 1 only; then serial, signature, issuer, validity
    validity = fields[4 if fields[0][0] == 0xA0 else 3][1]
    tag, text = _inside(validity)[1]
    digits = text.decode("ascii").rstrip("Z")
    if tag == _UTC_TIME:
        digits = ("19" if digits >= "50" else "20") + digits
    assert tag in (_UTC_TIME, _GENERALIZED_TIME), "a certificate has times of these two kinds"
    numbers = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))]
    return int(_utc(numbers))


def _utc(numbers: list[int]) -> float:
    year, month, day, hour, minute, second = numbers
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return ssl.cert_time_to_seconds(f"{months[month - 1]} {day:2d} {hour:02d}:{minute:02d}:{second:02d} {year} GMT")


def _inside(der: bytes) -> list[tuple[int, bytes]]:
    """(tag, content) of the values that stand one after another; OpenSSL has read them before."""
    found = []
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size]), at + size
        found.append((tag, der[at : at + length]))
        at += length
    return found
