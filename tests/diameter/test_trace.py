"""Traces: what they take and what not, their bounds, and that they end; on a real node."""

import pytest

from ocs.diameter.applications.subscription import make_order
from ocs.diameter.applications.traced import subscribers_of
from ocs.diameter.base_answers import make_origin
from ocs.diameter.node_trace import TooManyTraces, Tracing
from ocs.diameter.peer_machine import SECOND_NS
from ocs.diameter.trace import Decision, Kind, Place, Trace
from ocs.diameter.wire import decode_message
from ocs.limits import (
    TRACE_KEPT_S,
    TRACE_MESSAGES_MAX,
    TRACE_OCTETS_MAX,
    TRACE_SESSIONS_MAX,
    TRACE_UNANSWERED_MAX,
    TRACES_MAX,
)
from ocs.rating.numbers import Numbering
from tests.diameter import node_kit
from tests.diameter.node_kit import served
from tests.diameter.samples import avp, credit_control

ORDER = make_order((), ("example.com",), Numbering())
OTHER = make_origin("other.example.com", "example.com", 1)
PLACE = Place(1, "pgw.example.com", "tcp", "127.0.0.1:4000", "127.0.0.1:3868")


def names(message):
    return subscribers_of(message, ORDER)


def subscription(kind, data):
    return avp("Subscription-Id", avp("Subscription-Id-Type", kind) + avp("Subscription-Id-Data", data))


def anonymous():
    """The AVPs of a request but for its Session-Id and whom it is about."""
    ids = avp("Subscription-Id")[:4]
    return [part for part in credit_control()[1:] if not part.startswith(ids)]


def ccr(session_id, *more, hop_by_hop_id=1):
    parts = [avp("Session-Id", session_id), *anonymous(), *more]
    return node_kit.request(272, parts, hop_by_hop_id=hop_by_hop_id)


ALICE, BOB = subscription(0, "491700000001"), subscription(0, "491700000002")


@pytest.fixture
async def kit():
    made = await node_kit.start()
    yield made
    await made.clear()


@pytest.fixture
def tracing(kit):
    return Tracing(kit.node, names)


def shown(trace):
    return [(traced.number, traced.received, traced.answers) for traced in trace.messages]


@pytest.mark.conformance("J5")
async def test_one_subscriber_is_traced_and_nobody_else(kit, tracing):
    client = await kit.connect()
    trace = tracing.begin(Kind.MSISDN, "491700000001", 60, "op")
    await client.exchange(1, ccr("a;1;1", ALICE, hop_by_hop_id=1))
    await client.exchange(2, ccr("b;1;1", BOB, hop_by_hop_id=2))
    await client.exchange(3, ccr("a;1;1", hop_by_hop_id=3))  # names nobody, but its session is known
    await client.exchange(4, ccr("c;1;1", hop_by_hop_id=4))
    assert shown(trace) == [(1, True, None), (2, False, 1), (3, True, None), (4, False, 3)]
    messages = [decode_message(traced.octets) for traced in trace.messages]
    assert [message.hop_by_hop_id for message in messages] == [1, 1, 3, 3]
    first = trace.messages[0]
    assert (first.peer, first.transport, first.at_ns) == (
        "pgw.example.com",
        node_kit.TRANSPORT.value,
        kit.clock.wall_ns(),
    )
    assert first.remote.rpartition(":")[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("kind", "value", "named"),
    [
        (Kind.MSISDN, "491700000001", subscription(2, "tel:+491700000001")),
        (Kind.IMSI, "262010000000001", subscription(1, "262010000000001")),
        (Kind.IMSI, "262010000000001", avp("Service-Information", subscription(1, "262010000000001"))),
        (Kind.IMSI, "262010000000001", avp("User-Name", "262010000000001")),
        (Kind.SESSION, "a;1;1", b""),
        (Kind.PEER, "PGW.example.com", b""),
        (Kind.PEER, "gw.example.com", b""),
    ],
)
def test_a_request_is_found_by_each_name(kind, value, named):
    message = decode_message(ccr("a;1;1", *([named] if named else [])))
    trace = Trace("t", kind, value, "op", 0, 1)
    assert trace.wants(message, PLACE, names)
    other = Trace("t", kind, f"{value}9", "op", 0, 1)
    assert not other.wants(message, PLACE, names)


async def test_a_peer_is_traced_with_its_watchdogs_and_goodbye(kit, tracing):
    trace = tracing.begin(Kind.PEER, "pgw.example.com", 3_600, "op")
    client = await kit.connect()
    other = await kit.connect(OTHER)
    kit.clock.advance(30)
    await node_kit.until(lambda: len(trace.messages) == 4)
    await other.close()
    await client.close()
    commands = [decode_message(traced.octets).command_code for traced in trace.messages]
    assert commands == [257, 257, 280, 280, 282, 282]
    assert [traced.received for traced in trace.messages] == [True, False, False, True, True, False]
    assert [traced.answers for traced in trace.messages] == [None, 1, None, 3, None, 5]


async def test_what_an_application_decided_stands_with_its_answer(kit, tracing):
    client = await kit.connect()
    trace = tracing.begin(Kind.SESSION, "a;1;1", 60, "op")
    kit.service.keep = True
    client.send(ccr("b;1;1", hop_by_hop_id=1) + ccr("a;1;1", hop_by_hop_id=2))
    await node_kit.until(lambda: len(kit.service.kept) == 2)
    unwanted, wanted = kit.service.kept
    assert (unwanted.traced, wanted.traced) == (False, True)
    wanted.decision = Decision(4012, "no_credit", costs=(("AUD", 5),))
    wanted.answer(served(wanted))
    unwanted.answer(served(unwanted))
    assert [traced.decision for traced in trace.messages] == [None, wanted.decision]


async def test_it_ends_by_itself_and_is_forgotten_later(kit, tracing):
    client = await kit.connect()
    trace = tracing.begin(Kind.SESSION, "a;1;1", 20, "op", ["b;1;1"])
    assert kit.node.tap is tracing
    await client.exchange(1, ccr("a;1;1"))
    kit.clock.advance(20)
    assert (trace.running, trace.why, kit.node.tap) == (False, "time", None)
    assert (trace._sessions, trace._unanswered) == ({}, {})
    await client.exchange(2, ccr("a;1;1", hop_by_hop_id=2))
    assert len(trace.messages) == 2
    kit.clock.advance(TRACE_KEPT_S - 1)
    assert trace.id in tracing.traces
    kit.clock.advance(1)
    assert tracing.traces == {}


async def test_there_are_a_few_at_a_time(kit, tracing):
    traces = [tracing.begin(Kind.SESSION, f"{n}", 20, "op") for n in range(TRACES_MAX)]
    with pytest.raises(TooManyTraces):
        tracing.begin(Kind.SESSION, "more", 60, "op")
    assert kit.notes.limits == ["traces"]
    assert tracing.end(traces[0].id, "op")
    assert not tracing.end(traces[0].id, "op")
    tracing.begin(Kind.SESSION, "more", 3_600, "op")
    kit.clock.advance(20)
    tracing.begin(Kind.SESSION, "an ended one makes room", 60, "op")
    tracing.stop()
    assert kit.node.tap is None
    assert kit.clock.armed == 0


def taken(trace, count, octets=b"x" * 20):
    for number in range(count):
        message = decode_message(ccr("a;1;1", hop_by_hop_id=number))
        trace.take(message, octets, PLACE, received=True, at_ns=number, subscribers=names)


def test_the_oldest_messages_make_room():
    trace = Trace("t", Kind.SESSION, "a;1;1", "op", 0, SECOND_NS)
    taken(trace, TRACE_MESSAGES_MAX + 3)
    assert (len(trace.messages), trace.lost, trace.messages[0].number) == (TRACE_MESSAGES_MAX, 3, 4)
    assert trace.octets == TRACE_MESSAGES_MAX * 20
    assert [traced.number for traced in trace.after(10, 2)] == [11, 12]
    assert len(trace._unanswered) == TRACE_UNANSWERED_MAX


def test_few_long_messages_make_room_too():
    trace = Trace("t", Kind.SESSION, "a;1;1", "op", 0, SECOND_NS)
    taken(trace, 10, bytes(TRACE_OCTETS_MAX // 8))
    assert (len(trace.messages), trace.lost, trace.octets) == (8, 2, TRACE_OCTETS_MAX)


def test_the_sessions_of_a_subscriber_are_bounded():
    trace = Trace("t", Kind.IMSI, "1", "op", 0, 1, (f"s{n}" for n in range(TRACE_SESSIONS_MAX + 1)))

    def wanted(session_id):
        return trace.wants(decode_message(ccr(session_id)), PLACE, names)

    assert (wanted("s0"), wanted("s1"), wanted(f"s{TRACE_SESSIONS_MAX}")) == (False, True, True)
