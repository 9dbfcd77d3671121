"""Sends the Diameter requests of a capture again, and compares the answers with those that were captured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ocs.diameter.base_answers import Origin, make_origin
from ocs.diameter.capture_streams import Captured
from ocs.diameter.client import Client, RefusedError
from ocs.diameter.errors import PeerError
from ocs.diameter.wire import AVP_FLAG_MANDATORY, FLAG_REQUEST, Avp, Message, decode_message, message_bytes

INFLIGHT_MAX: Final = 64
"""So many sessions have a request out at once."""
SECOND_NS: Final = 1_000_000_000

_SESSION_ID, _ORIGIN_HOST, _ORIGIN_REALM, _DESTINATION_REALM, _DESTINATION_HOST = 263, 264, 296, 283, 293
_RESULT_CODE, _EXPERIMENTAL_RESULT, _EXPERIMENTAL_RESULT_CODE = 268, 297, 298
_ROUTE_RECORD, _GROUP, _RATING_GROUP = 282, 456, 432
_NUMBERS: Final = {416: "type", 415: "number"}
# What belongs to the connection (application 0), and what servers ask clients: Re-Auth and Abort-Session.
_OF_SERVERS: Final = frozenset({258, 274})


class Unreachable(Exception):
    """There is no server that takes the connection, or it went away; the message says what is wrong."""


class Wish(msgspec.Struct, frozen=True):
    """How to send.

    speed: 1 as captured, 10 ten times as fast, 0 as fast as answers come. suffix: goes behind each Session-Id, so that
    the server has not seen it. keep_hosts: send origin and destination as captured.
    """

    origin_host: str
    origin_realm: str
    speed: float = 0
    suffix: str = ""
    keep_hosts: bool = False


class Recorded(msgspec.Struct):
    """A request of the capture, and the results of its answer, None where that is not in the capture."""

    at_ns: int
    message: Message
    session_id: str
    results: dict[str, int] | None = None


class Difference(msgspec.Struct, frozen=True):
    """Results that differ: "" of the message, "group 100" of a rating group; `now` is None where no answer came."""

    session: str
    request: str
    captured: dict[str, int]
    now: dict[str, int] | None


class Report(msgspec.Struct):
    """What became of it. compared: how many answers could be compared; different ones are in `differences`."""

    requests: int = 0
    answered: int = 0
    unanswered: int = 0
    compared: int = 0
    not_captured: int = 0
    differences: list[Difference] = []

    @property
    def same(self) -> bool:
        """Whether everything was answered as it had been."""
        return not self.differences and not self.unanswered


def recorded(messages: Iterable[Captured]) -> list[Recorded]:
    """The requests of clients, each with the results of its answer, by Hop-by-Hop and End-to-End id."""
    requests: list[Recorded] = []
    waiting: dict[tuple[int, int, int], Recorded] = {}
    for captured in messages:
        try:
            message = decode_message(captured.octets)
        except PeerError:
            continue  # what nobody can read is not sent again
        if message.application_id == 0 or message.command_code in _OF_SERVERS:
            continue
        key = (message.hop_by_hop_id, message.end_to_end_id, message.command_code)
        if message.is_request:
            session = message.find(_SESSION_ID)
            name = "" if session is None else session.data.decode("utf-8", "replace")
            waiting[key] = Recorded(captured.at_ns, message, name)
            requests.append(waiting[key])
        elif key in waiting:
            waiting.pop(key).results = results_of(message)
    return requests


def results_of(answer: Message) -> dict[str, int]:
    """The result of an answer under "", and those of its rating groups under "group N"."""
    results = {"": _result(answer.avps)}
    for avp in answer.avps:
        if avp.code == _GROUP and not avp.vendor_id:
            try:
                children = avp.children()
            except PeerError:
                continue
            number = next((child.data for child in children if child.code == _RATING_GROUP), None)
            name = "group" if number is None else f"group {int.from_bytes(number)}"
            results[name] = _result(children)
    return results


def _result(avps: list[Avp]) -> int:
    for avp in avps:
        if avp.vendor_id:
            continue
        if avp.code == _RESULT_CODE:
            return int.from_bytes(avp.data)
        if avp.code == _EXPERIMENTAL_RESULT:
            try:
                inner = [child for child in avp.children() if child.code == _EXPERIMENTAL_RESULT_CODE]
            except PeerError:
                return 0
            return int.from_bytes(inner[0].data) if inner else 0
    return 0


async def replay(host: str, port: int, requests: list[Recorded], wish: Wish, progress: Callable[[int], None]) -> Report:
    """Send all, those of one session one after another. progress: how many are through. Raises Unreachable."""
    origin = make_origin(wish.origin_host, wish.origin_realm, 0)
    applications = sorted({request.message.application_id for request in requests}) or [4]
    try:
        client = await Client.connect(host, port, origin, applications)
    except RefusedError as error:
        raise Unreachable(f"{host}:{port} refused the connection as {wish.origin_host}: {error}") from error
    except TimeoutError as error:
        raise Unreachable(f"{host}:{port} did not answer in time") from error
    except OSError as error:
        raise Unreachable(f"{host}:{port} cannot be reached: {error}. Is the server running (ocs serve)?") from error
    try:
        return await _Replay(client, wish, progress).run(requests)
    finally:
        await client.close()


def run(host: str, port: int, requests: list[Recorded], wish: Wish, progress: Callable[[int], None]) -> Report:
    """`replay` for whoever has no loop."""
    return asyncio.run(replay(host, port, requests, wish, progress))


class _Replay:
    def __init__(self, client: Client, wish: Wish, progress: Callable[[int], None]) -> None:
        self.report = Report(differences=[])
        self._client = client
        self._wish = wish
        self._progress = progress
        self._room = asyncio.Semaphore(INFLIGHT_MAX)
        self._end_to_end: dict[int, int] = {}
        assert client.cea is not None
        self._replaced = {} if wish.keep_hosts else _hosts(client.origin, client.cea)

    async def run(self, requests: list[Recorded]) -> Report:
        """In the order of the capture: a request waits for the one before it in its session, and for its time."""
        last: dict[str, asyncio.Task[None]] = {}
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for request in requests:
                if self._wish.speed:
                    due_s = (request.at_ns - requests[0].at_ns) / SECOND_NS / self._wish.speed
                    await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
                await self._room.acquire()
                before = last.get(request.session_id) if request.session_id else None
                task = tasks.create_task(self._one(request, before))
                if request.session_id:
                    last[request.session_id] = task
        if self._client.lost.done() and self.report.unanswered:
            raise Unreachable(f"the server ended the connection: {self.report.unanswered} requests have no answer")
        return self.report

    async def _one(self, request: Recorded, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        report = self.report
        results: dict[str, int] | None = None
        try:
            results = results_of(await self._client.exchange(*self._encoded(request)))
            report.answered += 1
        except (ConnectionError, TimeoutError):
            report.unanswered += 1
        finally:
            self._room.release()
            report.requests += 1
        if request.results is None:
            report.not_captured += 1
        else:
            report.compared += results is not None
            if results != request.results:
                report.differences.append(Difference(request.session_id, _name(request), request.results, results))
        self._progress(report.requests)

    def _encoded(self, request: Recorded) -> tuple[int, bytes]:
        """(Hop-by-Hop id, octets): what was captured, under ids of ours; a repeat keeps the id of its first."""
        message = request.message
        hop_by_hop_id, fresh = self._client.next_ids()
        end_to_end_id = self._end_to_end.setdefault(message.end_to_end_id, fresh)
        body = b"".join(self._avp(avp) for avp in message.avps)
        flags = message.flags | FLAG_REQUEST
        return hop_by_hop_id, message_bytes(
            flags, message.command_code, message.application_id, hop_by_hop_id, end_to_end_id, body
        )

    def _avp(self, avp: Avp) -> bytes:
        if avp.vendor_id:
            return avp.encode()
        if avp.code == _SESSION_ID and self._wish.suffix:
            return avp.around(avp.data + self._wish.suffix.encode())
        if avp.code == _ROUTE_RECORD and not self._wish.keep_hosts:
            return b""  # the way that it went then
        new = self._replaced.get(avp.code)
        return avp.encode() if new is None else Avp(avp.code, 0, AVP_FLAG_MANDATORY, new).encode()


def _hosts(origin: Origin, cea: Message) -> Mapping[int, bytes]:
    """What stands in requests instead of the hosts and realms of the capture: who sends now, and who answers."""
    host, realm = cea.find(_ORIGIN_HOST), cea.find(_ORIGIN_REALM)
    found = {_DESTINATION_HOST: host, _DESTINATION_REALM: realm}
    theirs = {code: avp.data for code, avp in found.items() if avp is not None}
    return {_ORIGIN_HOST: origin.host.encode(), _ORIGIN_REALM: origin.realm.encode(), **theirs}


def _name(request: Recorded) -> str:
    """The command, and where it has them the type and number of the request."""
    words = [str(request.message.command_code)]
    for code, name in _NUMBERS.items():
        avp = request.message.find(code)
        if avp is not None:
            words.append(f"{name} {int.from_bytes(avp.data)}")
    return " ".join(words)
