"""What is fuzzed: each target takes any octets as messages of a client, and raises where a promise is broken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ocs.balances.account import Balance
from ocs.charging import engine
from ocs.charging.memory import remember
from ocs.charging.requests import Result
from ocs.config.load import load
from ocs.config.settings import PeerRule, Settings
from ocs.diameter.application import RequestContext
from ocs.diameter.applications.credit_control import CreditControl
from ocs.diameter.base_answers import make_origin
from ocs.diameter.dictionary import describe
from ocs.diameter.errors import FramingLost, PeerError, UsageError
from ocs.diameter.grammar import check_answer, check_request
from ocs.diameter.node import Node
from ocs.diameter.peer import Connection
from ocs.diameter.peer_machine import SECOND_NS, WATCHED, Input, PeerMachine, State
from ocs.diameter.wire import HEADER_OCTETS, Avp, Message, decode_avps, decode_message, split_frames
from ocs.limits import AVP_DEPTH_MAX, MESSAGE_OCTETS_MAX
from tests.charging.world import POLICIES, World, money, tariff
from tests.diameter import node_kit
from tests.diameter.applications import world as applications
from tests.diameter.node_kit import FakeClock, Notes, Service
from tests.fuzz.mutate import GROUPED, frames_of

ANSWERABLE = frozenset({3008, 5001, 5004, 5005, 5007, 5008, 5009, 5011, 5014, 5015})
RESULTS = ANSWERABLE | {int(result) for result in Result}
BASE_RESULTS = ANSWERABLE | {2001, 3001, 3002, 3003, 3004, 3005, 3007, 3010, 4003, 5010, 5012, 5017}


class Broken(AssertionError):
    """A promise that was not kept."""


def held(promise: object, what: str) -> None:
    if not promise:
        raise Broken(what)


# Octets


def wire(data: bytes) -> None:
    """Octets of a stream end in frames, or it is lost; a frame is a message or an error that can be answered."""
    whole, pieces = bytearray(data), bytearray()
    frames, lost = _split(whole)
    size = 1 + len(data) % 37
    found: list[bytes] = []
    fault = None
    for at in range(0, len(data), size):
        pieces += data[at : at + size]
        more, fault = _split(pieces)
        found += more
        if fault is not None:
            break
    held(found == frames and (fault is None) == (lost is None), "it does not matter how a stream is cut")
    for frame in frames:
        try:
            message = decode_message(frame)
        except PeerError as error:
            held(error.result_code in ANSWERABLE, "an error that can be answered")
            held(error.header is not None and isinstance(describe(error.header), str), "with its header")
            _whole(error.failed_avp)
            continue
        held(decode_message(message.encode()) == message, "what is encoded again is the same")
        held(describe(message), "it can be shown")


def _split(buffer: bytearray) -> tuple[list[bytes], FramingLost | None]:
    try:
        return split_frames(buffer, MESSAGE_OCTETS_MAX), None
    except FramingLost as lost:
        held(lost.result_code in {5011, 5015} and len(lost.header) == HEADER_OCTETS, "lost with its header")
        return lost.frames, lost


def _whole(encoded: bytes | None) -> None:
    if encoded is not None:
        held(b"".join(avp.encode() for avp in decode_avps(encoded)) == encoded, "a Failed-AVP can be read")


def groups(data: bytes) -> None:
    """Any tree of AVPs passes its grammar, strict or not, or is answered with the way to what is wrong."""
    for frame in frames_of(data):
        try:
            message = decode_message(frame)
        except PeerError:
            continue
        _walk(message.avps, 1)
        for check in (lambda m: check_request(m, True), lambda m: check_request(m, False), check_answer):
            try:
                check(message)
            except PeerError as error:
                held(error.result_code in ANSWERABLE, "an error that can be answered")
                _whole(error.failed_avp)


def _walk(avps: list[Avp], depth: int) -> None:
    for avp in avps:
        if (avp.code, avp.vendor_id) in GROUPED:
            try:
                children = avp.children(depth)
            except PeerError as error:
                held(error.result_code == 5014, "a group that cannot be cut up is 5014")
                _whole(error.failed_avp)
                continue
            held(depth < AVP_DEPTH_MAX, "groups are not opened without end")
            _walk(children, depth + 1)


# The peer machine


EVENTS = [
    event
    for event in Input
    if event not in {Input.DWA_THIRD, Input.PROBE_PENDING, Input.EXPIRED_PENDING, Input.EXPIRED_SPENT}
]


def machine(data: bytes) -> None:
    """One octet is one input, or time that goes by: always a state and, while it lives, a deadline that comes."""
    made, now_ns = PeerMachine(30), 0
    for octet in data[:400]:
        if octet >= 200:
            now_ns += (octet - 199) * SECOND_NS // 2
            if made.deadline_ns is None or now_ns < made.deadline_ns:
                continue
            event = Input.EXPIRED
        else:
            event = EVENTS[octet % len(EVENTS)]
            if event is Input.EXPIRED or (event is Input.DWA and made.dwr_sent_ns is None):
                continue
        before = (made.state, made.deadline_ns, made.dwr_sent_ns, made.answers)
        try:
            made.step(event, now_ns, (octet % 5 - 2) * SECOND_NS)
        except UsageError:
            held(
                before == (made.state, made.deadline_ns, made.dwr_sent_ns, made.answers),
                "what cannot be changes nothing",
            )
            continue
        held(isinstance(made.state, State), "a defined state")
        held((made.deadline_ns is None) == (made.state is State.CLOSED), "whoever lives has a deadline")
        if made.deadline_ns is not None:
            held(made.deadline_ns - now_ns <= 40 * SECOND_NS, "which is not far away")
        held(-1 <= made.answers <= 3, "answers are counted to three")


class Link:
    """Where a connection writes to; keeps what was written."""

    transport = "tcp"
    certificate_names = None
    remote, local = "127.0.0.1:4000", "127.0.0.1:3868"
    remote_address = local_address = ip_address("127.0.0.1")
    local_others = ()

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.open = True

    def write(self, data: bytes) -> bool:
        if self.open:
            self.written.append(data)
        return self.open

    def close(self) -> None:
        self.open = False

    abort = close

    def hold_reading(self, held: bool) -> None:
        """It may."""

    def unread(self) -> int:
        """Nothing waits."""
        return 0


class _Log:
    """Nothing that the node logs as an error may happen."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def log(event: str, **_more: object) -> None:
            held(name not in {"exception", "error"}, f"logged: {event}")

        return log


def peer(data: bytes) -> None:
    """Messages on one connection of a node: requests are answered once, nothing escapes, timers stay few."""
    clock = FakeClock()
    node = Node(node_kit.settings(), [Service()], Notes(), origin_state_id=1, clock=clock, jitter_ns=lambda: 0)
    node.log = _Log()
    link = Link()
    connection = Connection(node, link)
    node.connections.add(connection)
    asked: list[Message] = []
    for frame in frames_of(data)[:40]:
        if len(frame) < HEADER_OCTETS:
            continue
        before = len(link.written)
        state = connection.machine.state
        connection.frames_received([frame])
        clock.advance(frame[-1] % 16)
        said = [decode_message(written) for written in link.written[before:]]
        try:
            message = decode_message(frame)
        except PeerError as error:
            message = error.header
        answers = [one for one in said if not one.is_request]
        if message is not None and message.is_request and state in WATCHED:
            held(len(answers) == 1, f"one answer, not {len(answers)}")
            asked.append(message)
        for answer in answers:
            held(message is not None and answer.hop_by_hop_id == message.hop_by_hop_id, "under its id")
            held(answer.end_to_end_id == message.end_to_end_id, "under both ids")
            code = answer.find(268)
            held(code is not None and int.from_bytes(code.data) in BASE_RESULTS, f"a legal Result-Code, not {code}")
        held(clock.armed <= 2, "timers do not pile up")
        held(len(node.known) <= 1 and not node.inflight, "nothing is left behind")
        if not link.open:
            held(connection.machine.state is State.CLOSED, "who is gone is closed")
            connection.disconnected()
            held(not node.connections, "and forgotten")
            return


# Credit control


class _Counts:
    """Takes all counts."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_: None


class _Sender:
    draining = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_answer(self, _context: Any, data: bytes) -> None:
        self.sent.append(data)


RULE = PeerRule("*", ())
ORIGIN = make_origin("ocs.example.com", "example.com", 1)


class House:
    """An account with money and what charges it: the application, the engine, and what the store would keep."""

    def __init__(self, settings: Settings, *balances: Balance, plan: str = "standard") -> None:
        self.world = World(*balances, plan=plan)
        self.world.tariff = settings.tariff
        self.services = settings.services
        self.clock_ns = self.world.now_ns
        self.application = CreditControl(
            settings, self.charge, _Counts(), _Counts(), lambda _: None, lambda: self.clock_ns
        )

    def charge(self, request: Any, decide: Any, render: Any, done: Any, failed: Any, **more: Any) -> None:
        """As the dispatcher does it, at once; whoever is named has the account, whoever is not has none."""
        if more["account_id"] is not None:
            failed(Result.TOO_BUSY, "the house is elsewhere")
            return
        world = self.world
        session = world.sessions.get(request.session_key)
        account = world.account if request.subscriber or session is not None else None
        outcome = decide(account, session)
        if outcome.repeat == b"":
            failed(Result.TOO_BUSY, "its page is elsewhere")
            return
        if outcome.repeat is not None:
            done(outcome.repeat)
            return
        held(outcome.answer is not None and not outcome.needs, "a decision")
        in_full = engine.decide_in_full(
            account, session, request, world.tariff, self.policy(request, session), self.clock_ns
        )
        held(outcome == in_full, "the quick way comes to the same")
        content = render(outcome.answer)
        self.keep(outcome, request, content)
        done(content)

    def policy(self, request: Any, session: Any) -> Any:
        if session is not None and (request.is_refund or request.type.name in ("UPDATE", "TERMINATION")):
            return self.services.get(session.service, self.services[request.service])
        return self.services[request.service]

    def keep(self, outcome: Any, request: Any, content: bytes) -> None:
        """As `World.apply`, but what is remembered is the encoded answer."""
        world = self.world
        for write in outcome.writes:
            world.account = write.account
            world.journal.append(write.entry)
        world.cdrs.extend(outcome.cdrs)
        if outcome.session is not None:
            session, _ = remember(outcome.session, *request.memory_key, content)
            world.sessions[session.key] = session
        world.check()

    def take(self, frame: bytes) -> Message | None:
        """What the node does with a request: checks, hands over, answers. The answer, None where it is no request."""
        try:
            message = decode_message(frame)
            if not message.is_request:
                return None
            check_request(message, RULE.strict)
        except PeerError as error:
            held(error.result_code in ANSWERABLE, "an error that can be answered")
            return None
        if message.command_code != 272 or message.application_id != 4:
            return None
        sender = _Sender()
        context = RequestContext(message, ORIGIN, "pgw.example.com", RULE, sender)
        try:
            self.application.handle(message, context)
        except PeerError as error:  # the node answers these
            context.error(error.result_code, error.failed_avp, error.reason)
        held(len(sender.sent) == 1, f"one answer, not {len(sender.sent)}")
        return decode_message(sender.sent[0])


def credit_control(data: bytes) -> None:
    """Requests on one account: each is answered once with a legal code, and the ledger is right after each."""
    charged(House(applications.settings(tariff=tariff(), services=POLICIES), money(50_000_000_000)), data)


def sample(data: bytes) -> None:
    """The same with tariff, services and an account of the sample configuration, which has more of everything."""
    settings = _sample_settings()
    subscriber = settings.subscribers[0]
    charged(House(settings, *subscriber.balances, plan=subscriber.plan), data)


@cache
def _sample_settings() -> Settings:
    settings, problems = load(Path(__file__).parent.parent.parent / "config")
    held(settings is not None, f"the sample configuration can be used: {problems}")
    assert settings is not None
    return settings


def charged(house: House, data: bytes) -> None:
    """Bring the requests to the house, one after another."""
    for frame in frames_of(data)[:12]:
        if len(frame) < HEADER_OCTETS:
            continue
        answer = house.take(frame)
        if answer is None:
            continue
        code = answer.find(268)
        held(code is not None and int.from_bytes(code.data) in RESULTS, f"a legal Result-Code, not {code}")
        for avp in answer.find_all(456):
            inside = [int.from_bytes(child.data) for child in avp.children() if child.code == 268]
            held(inside and set(inside) <= RESULTS, f"each rating group has a legal one, not {inside}")
        _walk(answer.avps, 1)
        check_answer(answer)
        house.clock_ns += (frame[-1] + 1) * SECOND_NS
        house.world.now_ns = house.clock_ns


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "groups": groups,
    "machine": machine,
    "peer": peer,
    "credit_control": credit_control,
    "sample": sample,
}
