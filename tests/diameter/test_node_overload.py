"""A node with more requests than its application can serve: who is refused, what answers say, what is obeyed."""

import asyncio
from itertools import pairwise

import pytest

from ocs.config.settings import PeerRule
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import Client, result_of
from ocs.diameter.node_outgoing import NotDelivered
from ocs.diameter.overload_avps import FEATURES, Report, with_avps
from ocs.diameter.routes import OwnRequest
from ocs.diameter.wire import FLAG_ERROR, decode_message, encode_avp
from ocs.limits import OVERLOAD_VALIDITY_S
from tests.diameter import node_kit
from tests.diameter.node_kit import LOOPBACK, PGW, until
from tests.diameter.samples import avp, credit_control

NEW, UPDATE, LAST, EVENT = 1, 2, 3, 4
FEATURE_OFFER = avp("OC-Supported-Features", [avp("OC-Feature-Vector", 1)])


@pytest.fixture
async def kit():
    kit = await node_kit.start(PeerRule("*", LOOPBACK))
    kit.service.keep = True
    yield kit
    await kit.clear()


async def send(client, kind, *more):
    """Send a request; returns a future of its answer."""
    parts = [*credit_control(kind), *more]
    return asyncio.ensure_future(client.request(272, 4, b"".join(parts)))


class Flood:
    """A gateway that asks faster than the application answers; time goes by in tenths of a second."""

    def __init__(self, kit, client):
        self.kit = kit
        self.client = client

    async def turn(self, number=100, served=40):
        """A tenth of a second in which updates come and the oldest that wait are served."""
        kit = self.kit
        came = len(kit.service.seen) + len(kit.notes.refusals)
        for _ in range(number):
            await send(self.client, UPDATE)
        await until(lambda: len(kit.service.seen) + len(kit.notes.refusals) == came + number)
        kit.clock.advance(0.1)
        kept = kit.service.kept
        for context in kept[:served]:
            context.answer(node_kit.served(context))
        del kept[:served]

    async def until_refused(self):
        for _ in range(20):
            await self.turn()
            if self.kit.notes.shed_ones:
                return
        raise AssertionError("nothing was refused")


def olr(answer):
    """The overload report as (sequence, type, percent, validity), None where there is none."""
    found = answer.find(623)
    return None if found is None else tuple(int.from_bytes(part.data) for part in found.children())


@pytest.mark.conformance("I5", "I6", "A34")
async def test_updates_are_refused_before_their_application_sees_them_and_ends_are_not(kit):
    client = await kit.connect()
    flood = Flood(kit, client)
    await flood.until_refused()
    seen = len(kit.service.seen)
    answer = await (await send(client, NEW))
    assert result_of(answer) == 3004
    assert answer.is_error
    assert len(kit.service.seen) == seen
    assert [part.code for part in answer.avps] == [263, 268, 264, 296, 258, 416, 415, 281]
    assert (answer.find(416).data, answer.find(415).data) == (bytes((0, 0, 0, 1)), bytes(4))
    assert result_of(await (await send(client, EVENT))) == 3004
    last = await send(client, LAST)
    await until(lambda: len(kit.service.seen) == seen + 1)
    kit.service.release()
    assert result_of(await last) == 2001
    assert kit.notes.shed_ones[-2:] == [("new", 10), ("new", 10)]
    assert "overload_delay_ms" in kit.notes.limits
    assert kit.notes.refusals[-1] == 3004


@pytest.mark.conformance("I5")
@pytest.mark.parametrize("kind", [NEW, UPDATE, EVENT])
async def test_what_is_urgent_is_let_in_whatever_it_is(kit, kind):
    client = await kit.connect()
    await Flood(kit, client).until_refused()
    kit.node.overload.urgent = lambda message: message.find(301) is not None
    seen, refused = len(kit.service.seen), len(kit.notes.shed_ones)
    await send(client, kind, avp("DRMP", 15))
    await until(lambda: len(kit.service.seen) == seen + 1)
    assert len(kit.notes.shed_ones) == refused
    assert result_of(await (await send(client, NEW))) == 3004


@pytest.mark.conformance("I4")
async def test_the_priority_of_a_request_is_that_of_its_answer(kit):
    kit.service.keep = False
    client = await kit.connect()
    answer = await (await send(client, NEW, avp("DRMP", 3)))
    assert [(part.code, part.flags, part.data) for part in answer.avps][-1] == (301, 0, bytes((0, 0, 0, 3)))
    refused = await (await send(client, NEW, avp("DRMP", 3), avp("Destination-Realm", "elsewhere.example.org")))
    assert refused.find(301).data == bytes((0, 0, 0, 3))
    assert (await (await send(client, NEW))).find(301) is None
    assert (await (await send(client, NEW, encode_avp(301, bytes((0, 0, 0, 16)), mandatory=False)))).find(301) is None


@pytest.mark.conformance("I4")
async def test_a_higher_priority_is_let_in_where_a_lower_one_is_refused(kit):
    client = await kit.connect()
    flood = Flood(kit, client)
    await flood.until_refused()
    seen = len(kit.service.seen)
    high = await send(client, UPDATE, avp("DRMP", 9))
    await until(lambda: len(kit.service.seen) == seen + 1)
    assert not high.done()
    assert result_of(await (await send(client, UPDATE, avp("DRMP", 11)))) == 3004


@pytest.mark.conformance("I1", "I2")
async def test_overload_is_reported_to_who_asked_and_its_end_too(kit):
    client = await kit.connect()
    kit.service.keep = False
    calm = await (await send(client, LAST, FEATURE_OFFER))
    assert (calm.find(621).data, olr(calm)) == (FEATURES[8:], None)
    kit.service.keep = True
    flood = Flood(kit, client)
    await flood.until_refused()
    for _ in range(12):
        await flood.turn()
    refused = await (await send(client, NEW, FEATURE_OFFER))
    told = olr(refused)
    kit.service.release()
    kit.service.keep = False
    assert result_of(refused) == 3004
    assert olr(await (await send(client, LAST, FEATURE_OFFER))) == told
    sequence, kind, percent, validity_s = told
    assert (kind, validity_s) == (0, OVERLOAD_VALIDITY_S)
    assert percent % 5 == 0
    assert 50 <= percent <= 100
    assert kit.notes.percent == percent
    for silent in (await (await send(client, LAST)), await (await send(client, NEW))):
        assert (silent.find(621), silent.find(623)) == (None, None)
    reports = [told]
    for _ in range(400):
        kit.clock.advance(0.1)
        reports.append(olr(await (await send(client, LAST, FEATURE_OFFER))))
        if reports[-1][2] == 0:
            break
    assert reports[-1][1:] == (0, 0, 0)
    changes = [(before, after) for before, after in pairwise(reports) if before != after]
    assert len(changes) >= percent // 5
    assert all(after[0] == before[0] + 1 for before, after in changes), "a number for each change, and no other"
    falling = [after[2] for before, after in changes if after[2] < before[2]]
    assert falling == list(range(falling[0], -1, -5))
    assert reports[-1][0] > sequence
    kit.clock.advance(OVERLOAD_VALIDITY_S)
    over = await (await send(client, LAST, FEATURE_OFFER))
    assert (over.find(621).data, olr(over)) == (FEATURES[8:], None)
    assert kit.notes.percent == 0


@pytest.mark.conformance("I8")
async def test_what_cannot_be_understood_of_overload_control_is_passed_over(kit):
    kit.service.keep = False
    client = await kit.connect()
    offers = {
        "other algorithms alone": avp("OC-Supported-Features", [avp("OC-Feature-Vector", 2)]),
        "unreadable": encode_avp(621, b"\0\0\2\x6e\0\0\0\xff", mandatory=False),
        "a vendor's": encode_avp(621, FEATURES[8:], 9, mandatory=False),
    }
    for name, offer in offers.items():
        answer = await (await send(client, NEW, offer))
        assert (result_of(answer), answer.find(621)) == (2001, None), name
    more = avp("OC-Supported-Features", [encode_avp(1, b"x" * 5, 9, mandatory=False)])
    assert (await (await send(client, NEW, more))).find(621) is not None, "no vector means the loss algorithm"


async def test_an_overload_ends_when_nothing_comes_any_more(kit):
    client = await kit.connect()
    await Flood(kit, client).until_refused()
    assert kit.node.overload.controller.shedding
    kit.service.release()
    kit.clock.advance(30)
    assert not kit.node.overload.controller.shedding
    assert (kit.notes.delay_s, kit.notes.percent) == (0, 0)
    assert kit.clock.armed == 1, "the watchdog alone"


async def test_a_reload_changes_the_target(kit):
    await kit.connect()
    slower = node_kit.settings(PeerRule("*", LOOPBACK), overload_delay_ms=700)
    kit.node.reload(slower)
    assert kit.node.overload.controller.target_ns == 700_000_000


# Requests of ours


class Busy(Client):
    """A gateway that reports an overload in its answers."""

    report = b""

    def _answer(self, message):
        if message.command_code != 258:
            super()._answer(message)
            return
        self.requests.append(message)
        self.send(with_avps(base_answer(message, 2001, self.origin), self.report))


def rar(host="pgw.example.com", realm="example.com"):
    parts = avp("Auth-Application-Id", 4) + avp("Re-Auth-Request-Type", 0)
    return OwnRequest(258, 4, realm, parts, host, "pgw.example.com;1;2")


async def ask(kit, number, **where):
    """How many of so many requests were held back."""
    reasons = []
    for _ in range(number):
        try:
            await kit.node.send(rar(**where))
        except NotDelivered as error:
            reasons.append(error.reason)
    assert set(reasons) <= {"held_back"}
    return len(reasons)


@pytest.mark.conformance("I3")
async def test_as_many_requests_as_a_host_asked_for_are_held_back(kit):
    gateway = await Busy.connect(*kit.address, PGW)
    kit.opened.append(gateway)
    assert await ask(kit, 10) == 0
    assert all(request.find(621).data == FEATURES[8:] for request in gateway.requests)
    gateway.report = Report(7, 40).encode()
    assert await ask(kit, 1) == 0
    assert await ask(kit, 100) == 40
    assert await ask(kit, 10, host=None) == 0, "the report of a host is about that host"
    gateway.report = Report(6, 100).encode()
    assert await ask(kit, 100) == 40, "an older report is none"
    kit.clock.advance(OVERLOAD_VALIDITY_S + 1)
    gateway.report = b""
    assert await ask(kit, 10) == 0


@pytest.mark.conformance("I3", "I2")
@pytest.mark.parametrize("end", [Report(8, 0), Report(8, 40, 0)], ids=["no reduction", "no validity"])
async def test_the_end_of_an_overload_is_obeyed_at_once(kit, end):
    gateway = await Busy.connect(*kit.address, PGW)
    kit.opened.append(gateway)
    gateway.report = Report(7, 40).encode()
    await ask(kit, 1)
    gateway.report = end.encode()
    assert await ask(kit, 100) <= 1


@pytest.mark.conformance("I3")
async def test_a_report_of_a_realm_is_about_requests_to_no_host_of_it(kit):
    gateway = await Busy.connect(*kit.address, make_origin("pgw.example.com", "example.com", 1))
    kit.opened.append(gateway)
    gateway.report = Report(7, 100, of_realm=True).encode()
    await ask(kit, 1)
    gateway.report = b""
    assert await ask(kit, 10, host=None) == 10
    assert await ask(kit, 10) == 0


def test_a_longer_answer_says_how_long_it_is():
    request = decode_message(node_kit.ccr())
    answer = base_answer(request, 3004, PGW)
    longer = decode_message(with_avps(answer, FEATURES))
    assert longer.flags & FLAG_ERROR
    assert longer.avps[:-1] == decode_message(answer).avps
    assert longer.avps[-1].encode() == FEATURES
