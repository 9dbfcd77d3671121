"""The load client in Python, for where there is no C compiler: `client.c` says what it does, the same commands.

    python -m ocs.bench.client_loop PLAN

It takes several times the CPU of the compiled one, from the same machine as the server.
"""

from __future__ import annotations

import asyncio
import json
import resource
import struct
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any, Final, cast

from ocs.bench.histogram import Histogram
from ocs.bench.plan import Read, read_plan
from ocs.bench.templates import COMMAND, INITIAL, NTP_EPOCH_S, TERMINATION, UPDATE, Hello, Template, fill
from ocs.diameter.base_messages import CAPABILITIES_EXCHANGE, DEVICE_WATCHDOG, DISCONNECT_PEER

NS_PER_S: Final = 1_000_000_000
_SLOT_BITS: Final = 20
_SLOT_MASK: Final = (1 << _SLOT_BITS) - 1
_MASK_32: Final = 0xFFFF_FFFF
_LATE_S: Final = 0.1
_read_one: Final = struct.Struct("!I").unpack_from


class Failed(Exception):
    """The load cannot go on; the message says why."""


def tell(**said: Any) -> None:
    """A line on stdout."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def mix(session: int, request: int, group: int) -> int:
    """A number that looks drawn by lot, the same every time."""
    return ((session * 31 + request * 17 + group * 7) & _MASK_32) * 2_654_435_761 & _MASK_32


class Session:
    """One session: who, how far, and what it waits for."""

    __slots__ = ("connection", "due_ns", "generation", "hop", "measured", "number", "request_number", "sent_ns",
                 "slot", "subscriber", "type", "updates_left", "variant")  # fmt: skip

    def __init__(self, slot: int, connection: Connection) -> None:
        self.slot, self.connection = slot, connection
        self.generation = self.number = self.subscriber = self.request_number = 0
        self.hop: int | None = None
        self.due_ns = self.sent_ns = self.updates_left = self.variant = 0
        self.type = INITIAL
        self.measured = False


class Connection(asyncio.Protocol):
    """One gateway."""

    def __init__(self, load: Load, number: int, hello: Hello) -> None:
        self.load, self.number, self.hello = load, number, hello
        self.idle: deque[Session] = deque()
        self.in_flight = 0
        self.output: list[bytes] = []
        self.closing = False
        self.up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self.hello.cer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason
        """Gone."""
        if not self.closing:
            self._fail(f"the server ended connection {self.number}")

    def _fail(self, why: str) -> None:
        if self.up.done():
            self.load.failed(why)
        else:
            self.up.set_exception(Failed(why))

    def data_received(self, data: bytes) -> None:
        """Answers, watchdogs."""
        buffer = self._buffer
        buffer += data
        now_ns, start = time.monotonic_ns(), 0
        while len(buffer) - start >= 20:
            size = _read_one(buffer, start)[0] & 0xFFFFFF
            if len(buffer) - start < size:
                break
            self._take(bytes(buffer[start : start + size]), now_ns)
            start += size
        del buffer[:start]
        self.load.wake.set()

    def _take(self, message: bytes, now_ns: int) -> None:
        command = _read_one(message, 4)[0]
        is_request, command = command >> 31, command & 0xFFFFFF
        if not is_request and command == COMMAND:
            self.load.take_answer(message, now_ns)
        elif not is_request and command == CAPABILITIES_EXCHANGE:
            code, _, _ = read_answer(message)
            if code == 2_001:
                self.up.set_result(None)
            else:
                self._fail(f"the server refused connection {self.number} with Result-Code {code}")
        elif is_request and command in {DEVICE_WATCHDOG, DISCONNECT_PEER}:
            answer = bytearray(self.hello.dwa if command == DEVICE_WATCHDOG else self.hello.dpa)
            answer[12:20] = message[12:20]
            self.output.append(bytes(answer))

    def flush(self) -> None:
        """All of one round in one write."""
        if self.output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self.output))
            self.output.clear()

    def end(self) -> None:
        """Say goodbye."""
        self.closing = True
        self.output.append(self.hello.dpr)
        self.flush()
        if self._transport is not None:
            self._transport.close()


def cpu_us() -> int:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int((used.ru_utime + used.ru_stime) * 1e6)


def read_answer(message: bytes) -> tuple[int, int, list[int]]:
    """(Result-Code, rating groups with a grant, Result-Codes of rating groups)."""
    code, granted, of_groups = 0, 0, []
    for avp, start, end in avps(message, 20, len(message)):
        if avp == 268:
            code = _read_one(message, start)[0]
        elif avp == 456:
            for inner, inner_start, inner_end in avps(message, start, end):
                if inner == 268:
                    of_groups.append(_read_one(message, inner_start)[0])
                elif inner == 431 and inner_end > inner_start:
                    granted += 1
    return code, granted, of_groups


def avps(message: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """(code, begin and end of the data) of the AVPs there."""
    found = []
    while start + 8 <= end:
        code, word = struct.unpack_from("!II", message, start)
        length = word & 0xFFFFFF
        head = 12 if word >> 31 else 8
        if length < head or start + length > end:
            raise Failed("an answer cannot be read")
        found.append((code, start + head, start + length))
        start += length + 3 & ~3
    return found


class Load:
    """All sessions of a plan over its connections."""

    def __init__(self, plan: Read) -> None:
        self.plan = plan
        self.wake = asyncio.Event()
        self.failure = ""
        numbers = plan.numbers
        self.first, self.subscribers, self.stride = numbers["subscribers"]
        (self.rotate,), (self.updates,) = numbers["rotate"], numbers["updates"]
        self.usage, self.spread = numbers["usage"]
        self.timeout_ns = numbers["answer_timeout_ms"][0] * 1_000_000
        (self.end_to_end,) = numbers["end_to_end"]
        self.variants = 1 + max(variant for _, variant in plan.templates)
        self.connections = [Connection(self, number, hello) for number, hello in plan.connections.items()]
        self.sessions: list[Session] = []
        self.flight: dict[int, Session] = {}  # by slot, in the order of sending
        self.last_session = self.opened = 0
        self.measuring = False
        for slot in range(numbers["sessions"][0]):
            session = Session(slot, self.connections[slot % len(self.connections)])
            self.sessions.append(session)
            self._begin(session)
            session.connection.idle.append(session)
        self._clear()

    def _clear(self) -> None:
        self.sent = self.answered = self.unanswered = self.late = self.ungranted = 0
        self.codes: Counter[tuple[int, int]] = Counter()
        self.histogram = Histogram()

    def failed(self, why: str) -> None:
        """It is over."""
        self.failure = self.failure or why
        self.wake.set()

    async def connect(self) -> None:
        """All connections, capabilities exchanged."""
        loop = asyncio.get_running_loop()
        for connection in self.connections:
            host, port = self.plan.addresses[connection.number % len(self.plan.addresses)]
            try:
                await loop.create_connection(lambda connection=connection: connection, host, port)  # type: ignore[misc]
            except OSError as error:
                raise Failed(f"the server cannot be reached: {error}") from error
        async with asyncio.timeout(10):
            await asyncio.gather(*(connection.up for connection in self.connections))

    # Sessions

    def _begin(self, session: Session) -> None:
        self.last_session += 1
        number = session.number = self.last_session
        index = number - 1 if self.rotate else session.slot
        session.subscriber = self.first + index % self.subscribers * self.stride % self.subscribers
        session.request_number = 0
        first_round = number <= self.plan.numbers["sessions"][0]
        session.updates_left = mix(number, 0, 0) % (self.updates + 1) if first_round else self.updates
        session.variant = number % self.variants
        session.type = INITIAL

    def _ask(self, connection: Connection, due_ns: int, now_ns: int, unix_s: int) -> bool:
        if not connection.idle:
            return False
        session = connection.idle.popleft()
        session.generation += 1
        session.hop = (session.generation << _SLOT_BITS | session.slot) & _MASK_32
        self.end_to_end = self.end_to_end + 1 & _MASK_32
        connection.output.append(self._message(session, self.plan.templates[session.type, session.variant], unix_s))
        if session.number == session.slot + 1 and session.type == INITIAL:
            self.opened += 1
        session.due_ns, session.sent_ns, session.measured = due_ns, now_ns, self.measuring
        self.sent += self.measuring
        self.flight[session.slot] = session
        connection.in_flight += 1
        return True

    def _message(self, session: Session, template: Template, unix_s: int) -> bytes:
        values = {
            "h": session.hop or 0, "e": self.end_to_end, "o": session.connection.number, "s": session.number,
            "m": session.subscriber, "c": session.number, "a": session.subscriber, "n": session.request_number,
            "t": unix_s + NTP_EPOCH_S,
        }  # fmt: skip
        usage = [
            self.usage + mix(session.number, session.request_number, group) % self.spread
            for group in range(template.groups)
        ]
        return fill(template, values, usage)

    def take_answer(self, message: bytes, now_ns: int) -> None:
        """Count an answer, and let its session go on."""
        hop = _read_one(message, 12)[0]
        session = self.flight.get(hop & _SLOT_MASK)
        if session is None or session.hop != hop:
            self.late += 1
            return
        try:
            code, granted, of_groups = read_answer(message)
        except Failed as failure:
            self.failed(str(failure))
            return
        self._land(session)
        self.answered += self.measuring
        served = code // 1_000 == 2
        self.codes.update((0, each) for each in of_groups)
        if session.measured:
            self.histogram.record(max(0, now_ns - session.due_ns) // 1_000)
            self.codes[session.type, code] += 1
            wanted = self.plan.templates[session.type, session.variant].groups
            self.ungranted += served and session.type != TERMINATION and granted != wanted
        if not served or session.type == TERMINATION:
            self._begin(session)
        else:
            session.request_number += 1
            session.type = UPDATE if session.updates_left else TERMINATION
            session.updates_left -= session.type == UPDATE
        session.connection.idle.append(session)

    def _land(self, session: Session) -> None:
        del self.flight[session.slot]
        session.hop = None
        session.connection.in_flight -= 1

    def _give_up(self, now_ns: int) -> None:
        while self.flight:
            session = next(iter(self.flight.values()))
            if now_ns - session.sent_ns <= self.timeout_ns:
                return
            self._land(session)
            self.unanswered += session.measured
            self._begin(session)
            session.connection.idle.append(session)

    # Phases

    async def _round(self, until_ns: int) -> None:
        for connection in self.connections:
            connection.flush()
        left_s = (until_ns - time.monotonic_ns()) / NS_PER_S
        self.wake.clear()
        if left_s <= 0:
            await asyncio.sleep(0)
        else:
            handle = asyncio.get_running_loop().call_later(left_s, self.wake.set)
            await self.wake.wait()
            handle.cancel()
        self._give_up(time.monotonic_ns())
        if self.failure:
            raise Failed(self.failure)

    async def phase(self, mode: str, amount: int, warmup_ns: int, measure_ns: int) -> None:
        """One phase, from its warm-up to its result."""
        self._clear()
        start_ns = time.monotonic_ns()
        begin_ns = end_ns = due_count = turn = behind_max = cpu_begin_us = 0
        tick_ns = start_ns + NS_PER_S
        while True:
            now_ns = time.monotonic_ns()
            next_ns = now_ns + NS_PER_S // 10
            if not begin_ns and now_ns >= start_ns + warmup_ns and self.opened == len(self.sessions):
                begin_ns, end_ns = now_ns, now_ns + measure_ns
                self._clear()
                self.measuring = True
                cpu_begin_us = cpu_us()
                tell(event="begin")
            if end_ns and now_ns >= end_ns:
                break
            behind, unix_s = 0, int(time.time())
            if mode == "open":
                while (due_ns := start_ns + due_count * NS_PER_S // amount) <= now_ns:
                    for tried in range(len(self.connections)):
                        place = (turn + tried) % len(self.connections)
                        if self._ask(self.connections[place], due_ns, now_ns, unix_s):
                            turn = place + 1
                            due_count += 1
                            break
                    else:
                        behind = (now_ns - due_ns) * amount // NS_PER_S
                        break
                else:
                    next_ns = min(next_ns, due_ns)
            else:
                for connection in self.connections:
                    while connection.in_flight < amount and self._ask(connection, now_ns, now_ns, unix_s):
                        pass
            behind_max = max(behind_max, behind) if self.measuring else 0
            if now_ns >= tick_ns:
                tell(event="tick", in_flight=len(self.flight), behind=behind, opened=self.opened)
                tick_ns += NS_PER_S
            await self._round(min(next_ns, end_ns or next_ns))
        ended_ns = time.monotonic_ns()
        own_cpu_us = cpu_us() - cpu_begin_us
        self.measuring = False
        tell(event="end")
        until_ns = ended_ns + self.timeout_ns + NS_PER_S // 10
        while self.flight and time.monotonic_ns() < until_ns:
            await self._round(until_ns)
        tell(
            event="result", mode=mode, seconds=(ended_ns - begin_ns) / NS_PER_S, sent=self.sent, answered=self.answered,
            unanswered=self.unanswered, late=self.late, ungranted=self.ungranted, behind_max=behind_max,
            max_us=self.histogram.max_us, sum_us=self.histogram.sum_us,
            results=[[kind, code, count] for (kind, code), count in self.codes.items()],
            histogram=self.histogram.counts(), client_cpu_us=own_cpu_us,
        )  # fmt: skip

    async def end(self) -> None:
        """Goodbye to the server."""
        for connection in self.connections:
            connection.end()
        await asyncio.sleep(_LATE_S)


async def run(path: Path) -> None:
    """Read commands from stdin until it says quit, or ends."""
    loop = asyncio.get_running_loop()
    load = Load(read_plan(path))
    await load.connect()
    tell(event="ready")
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = asyncio.create_task(reader.readline())
        while not line.done():  # watchdogs are answered meanwhile
            await load._round(time.monotonic_ns() + NS_PER_S // 10)  # noqa: SLF001
        words = line.result().decode().split()
        if not words or words[0] == "quit":
            await load.end()
            return
        mode, amount, warmup_ms, measure_ms = words[0], *map(int, words[1:])
        await load.phase(mode, amount, warmup_ms * 1_000_000, measure_ms * 1_000_000)


def main() -> int:
    """The exit status: 1 where it failed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(Path(sys.argv[1])))
    except (Failed, TimeoutError) as failure:
        tell(event="error", why=str(failure) or "no answer to a CER")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
