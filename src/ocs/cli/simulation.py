"""A gateway, an IMS node and a short message centre as ocs sees them: whole sessions over one Diameter connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ocs.cli.avps import Tree, decode, encode
from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import Client, RefusedError, result_of
from ocs.diameter.dictionary import describe
from ocs.diameter.wire import Message

COMMAND, APPLICATION = 272, 4
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
TYPE_NAMES: Final = {INITIAL: "INITIAL", UPDATE: "UPDATE", TERMINATION: "TERMINATION", EVENT: "EVENT"}
SUCCESS = 2001
REALM = "simulated.example.net"
END_USER_E164, END_USER_IMSI = 0, 1
LOGOUT = 1


class Subscriber(msgspec.Struct, frozen=True):
    """Who is charged: one of the two is enough."""

    msisdn: str = ""
    imsi: str = ""

    def avps(self) -> list[Tree]:
        """Subscription-Ids."""
        ids = ((END_USER_E164, self.msisdn), (END_USER_IMSI, self.imsi))
        return [{"Subscription-Id-Type": kind, "Subscription-Id-Data": data} for kind, data in ids if data]


class Service(msgspec.Struct, frozen=True):
    """How a kind of client asks. counter: AVP that usage is counted in; information: Service-Information."""

    client: str
    context: str
    counter: str
    unit: str
    information: Tree


class Step(msgspec.Struct, frozen=True):
    """One request and its answer, in numbers. granted, used: in the unit of the service; None where not sent.

    group_result: Result-Code of the rating group, None where there is none.
    """

    request: str
    used: int | None
    result: int
    group_result: int | None
    granted: int | None
    validity_time_s: int | None
    final_unit: bool
    seconds: float


class Report(msgspec.Struct, frozen=True):
    """A session that was played. left: what credit did not cover, in the unit of the service."""

    session_id: str
    steps: tuple[Step, ...]
    used: int
    left: int
    unit: str

    @property
    def served(self) -> bool:
        """Whether all of it was."""
        return self.left == 0 and all(step.result == SUCCESS for step in self.steps)


Show = Callable[[Step], None]


class Session:
    """One charging session on a connected client. verbose: takes each message as text."""

    def __init__(
        self,
        client: Client,
        service: Service,
        subscriber: Subscriber,
        destination_realm: str,
        rating_group: int | None,
        show: Show,
        verbose: Callable[[str], None] | None,
    ) -> None:
        self.id = f"{client.origin.host};{time.time_ns() // 1_000_000_000};{time.time_ns() % 1_000_000_000}"
        self.steps: list[Step] = []
        self._client = client
        self._service = service
        self._subscriber = subscriber
        self._realm = destination_realm
        self._rating_group = rating_group
        self._show = show
        self._verbose = verbose
        self._number = 0

    async def play(self, total: int, pieces: int) -> Report:
        """INITIAL, an UPDATE for each piece but the last (more where a grant is smaller), TERMINATION with the rest."""
        step = await self.ask(INITIAL, None, wants=True)
        left = total
        quota = self._quota(step)
        piece = -(-total // pieces) if total else 0
        last = step.final_unit
        used = 0
        while step.result == SUCCESS and quota and left > min(piece, quota):
            used = min(piece, quota)
            left -= used
            if last and used == quota:
                break  # the last of the credit is used up: the client ends the session with this report
            step = await self.ask(UPDATE, used, wants=True)
            quota, last, used = self._quota(step) if used == quota or step.granted else quota, step.final_unit, 0
        else:
            if step.result == SUCCESS and quota:
                used = min(left, quota)
                left -= used
        if self.steps[0].result == SUCCESS:
            await self.ask(TERMINATION, used, wants=False)
        return Report(self.id, tuple(self.steps), total - left, left, self._service.unit)

    async def event(self, units: int) -> Report:
        """One EVENT_REQUEST, direct debiting."""
        step = await self.ask(EVENT, units, wants=True)
        served = units if step.result == SUCCESS and step.group_result in (None, SUCCESS) else 0
        return Report(self.id, tuple(self.steps), served, units - served, self._service.unit)

    @staticmethod
    def _quota(step: Step) -> int:
        return step.granted or 0

    async def ask(self, kind: int, units: int | None, *, wants: bool) -> Step:
        """Send one CCR and read what its answer grants. `units`: used, or asked for by an EVENT."""
        counter = self._service.counter
        amounts: Tree = {} if units is None else {counter: units}
        group: dict[str, Any] = {}
        if wants:
            group["Requested-Service-Unit"] = amounts if kind == EVENT else {}
        if units is not None and kind != EVENT:
            group["Used-Service-Unit"] = amounts
        group["Rating-Group"] = self._rating_group
        tree = {
            "Session-Id": self.id,
            "Origin-Host": self._client.origin.host,
            "Origin-Realm": self._client.origin.realm,
            "Destination-Realm": self._realm,
            "Auth-Application-Id": APPLICATION,
            "Service-Context-Id": self._service.context,
            "CC-Request-Type": kind,
            "CC-Request-Number": self._number,
            "Event-Timestamp": int(time.time()),
            "Subscription-Id": self._subscriber.avps(),
            "Requested-Action": 0 if kind == EVENT else None,
            "Termination-Cause": LOGOUT if kind == TERMINATION else None,
            "Multiple-Services-Indicator": 1 if kind == INITIAL else None,
            "Multiple-Services-Credit-Control": group,
            "Service-Information": self._service.information,
        }
        self._number += 1
        began = time.monotonic()
        answer = await self._client.request(COMMAND, APPLICATION, encode(tree))
        step = self._step(kind, None if kind == EVENT else units, answer, time.monotonic() - began)
        self.steps.append(step)
        self._show(step)
        if self._verbose is not None:
            self._verbose(describe(answer))
        return step

    def _step(self, kind: int, used: int | None, answer: Message, seconds: float) -> Step:
        said = decode(answer.avps)
        groups = said.get("Multiple-Services-Credit-Control", {})
        group = groups[0] if isinstance(groups, list) else groups
        return Step(
            request=f"{TYPE_NAMES[kind]} {self._number - 1}",
            used=used,
            result=result_of(answer),
            group_result=group.get("Result-Code"),
            granted=group.get("Granted-Service-Unit", {}).get(self._service.counter),
            validity_time_s=group.get("Validity-Time"),
            final_unit="Final-Unit-Indication" in group,
            seconds=seconds,
        )


class Unreachable(Exception):
    """There is no server that takes the connection; the message says what is wrong."""


def simulate(
    host: str,
    port: int,
    service: Service,
    subscriber: Subscriber,
    total: int,
    *,
    pieces: int = 1,
    event: bool = False,
    rating_group: int | None = None,
    realm: str = "example.com",
    show: Show,
    verbose: Callable[[str], None] | None = None,
) -> Report:
    """Connect, play one session, say goodbye. Raises Unreachable."""

    async def run() -> Report:
        origin = make_origin(f"{service.client}.{REALM}", REALM, int(time.time()))
        client = await Client.connect(host, port, origin)
        try:
            session = Session(client, service, subscriber, realm, rating_group, show, verbose)
            return await (session.event(total) if event else session.play(total, pieces))
        finally:
            await client.close()

    try:
        return asyncio.run(run())
    except RefusedError as error:
        raise Unreachable(f"{host}:{port} refused the connection: {error}") from error
    except TimeoutError as error:
        raise Unreachable(f"{host}:{port} did not answer in time") from error
    except OSError as error:
        raise Unreachable(f"{host}:{port} cannot be reached: {error}. Is the server running (ocs serve)?") from error
