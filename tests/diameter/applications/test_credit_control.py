"""The application between node and charging: what it hands over, answers, counts and logs."""

from collections import Counter

import msgspec
import pytest

from ocs.charging import house
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, GroupAnswer, RequestType, Result
from ocs.diameter.application import RequestContext
from ocs.diameter.applications.credit_control import CreditControl
from ocs.diameter.applications.observers import Refusal
from ocs.diameter.wire import Message, decode_message
from ocs.rating.units import NS_PER_S, Measure
from tests.charging.world import MIB, POLICIES, START_NS, World, money, tariff
from tests.diameter.applications.world import ORIGIN, PEER, settings
from tests.diameter.clients import builders
from tests.diameter.clients.avps import INITIAL, TERMINATION, UPDATE, mscc, received, rsu, text, total, units, usu

AUD = 1_000_000_000


class Connection:
    """Takes the answers."""

    def __init__(self) -> None:
        self.draining = False
        self.answers: list[Message] = []
        self.octets: list[bytes] = []

    def send_answer(self, context: RequestContext, data: bytes) -> None:
        self.octets.append(data)
        self.answers.append(decode_message(data))


class Counts(Counter[str]):
    """Takes every event of both protocols and sums it up by its arguments."""

    def __getattr__(self, name: str):
        def count(*arguments: object) -> None:
            self[" ".join([name, *map(str, arguments)])] += 1

        return count


class Desk:
    """The application with one account of the world behind it, in place of the dispatcher and the store."""

    def __init__(self, *balances, draining: bool = False) -> None:
        self.world = World(*balances)
        self.world.now_ns = START_NS
        self.connection = Connection()
        self.connection.draining = draining
        self.counts = Counts()
        self.refusals: list[Refusal] = []
        self.charged: list[dict] = []
        self.stored: dict[tuple[str, int, int], bytes] = {}
        self.failure: tuple[Result, str] | None = None
        self.repeat: bytes | None = None
        self.application = CreditControl(
            settings(services=POLICIES, tariff=tariff()),
            self.charge,
            self.counts,
            self.counts,
            self.refusals.append,
            lambda: START_NS,
        )

    def charge(self, request, decide, render, done, failed, *, account_id=None, emergency=None) -> None:
        self.charged.append({"request": request, "account_id": account_id, "emergency": emergency})
        if self.failure is not None:
            if emergency is not None:
                done(render(emergency))
            else:
                failed(*self.failure)
            return
        unknown = not request.subscriber and account_id is None
        account = None if unknown or account_id else self.world.account
        outcome: Outcome = decide(account, self.world.sessions.get(request.session_key))
        if outcome.repeat is not None:
            done(self.stored[request.session_key, request.type, request.number])
            return
        content = render(outcome.answer)
        if outcome.writes:
            self.stored[request.session_key, request.type, request.number] = content
        if account is not None:
            self.world.apply(outcome, request)
        done(content)

    def send(self, data: bytes) -> Message:
        before = len(self.connection.answers)
        message = received(data)
        context = RequestContext(message, ORIGIN, "agent.example.net", PEER, self.connection)
        self.application.handle(message, context)
        assert len(self.connection.answers) == before + 1
        return self.connection.answers[-1]


def result(answer: Message) -> int:
    return int.from_bytes(answer.find(268).data)


def granted(answer: Message) -> int:
    inner = {avp.code: avp for avp in answer.find(456).children()}
    return int.from_bytes(inner[431].children()[0].data)


def test_it_serves_credit_control_only():
    assert (CreditControl.application_id, CreditControl.commands) == (4, frozenset({272}))


def test_a_data_session_from_grant_to_record():
    desk = Desk(money(10 * AUD))
    assert result(desk.send(builders.open5gs())) == 2001
    assert granted(desk.connection.answers[-1]) == 1_000_000
    assert result(desk.send(builders.open5gs(UPDATE, 1, uplink=300_000, downlink=8_400, duration_s=9))) == 2001
    assert result(desk.send(builders.open5gs(TERMINATION, 2))) == 2001
    (cdr,) = desk.world.cdrs
    assert (cdr.usage, cdr.cost_nanos) == (308_400, 2_949_219)
    assert desk.counts["request 4 272 1 2001"] == 1
    assert desk.counts["request 4 272 2 2001"] == 1
    assert desk.counts["request 4 272 3 2001"] == 1
    assert desk.counts["granted data octets 1000000"] == 2
    assert desk.counts["used data octets 308400"] == 1
    assert len([key for key in desk.counts if key.startswith("used")]) == 1
    assert desk.counts["revenue AUD data 2949219"] == 1
    assert desk.refusals == []


def test_a_call_is_granted_time():
    desk = Desk(money(10 * AUD))
    assert granted(desk.send(builders.kamailio(requested_s=30))) == 30


def test_a_short_message_is_debited():
    desk = Desk(money(10 * AUD))
    assert result(desk.send(builders.smsc())) == 2001
    assert desk.world.account.balances[0].value == 10 * AUD - 5 * AUD // 100


@pytest.mark.conformance("B2")
@pytest.mark.parametrize("retransmission", [False, True])
def test_a_repeat_gets_the_stored_content_with_its_own_identifiers(retransmission):
    desk = Desk(money(10 * AUD))
    block = mscc(rsu(), rating_group=100)
    desk.send(builders.gateway(INITIAL, 0, block))
    flags = 0x50 if retransmission else 0x40
    answer = desk.send(builders.gateway(INITIAL, 0, block, flags=flags, hop_by_hop=5, end_to_end=6))
    assert (answer.hop_by_hop_id, answer.end_to_end_id, answer.is_retransmission) == (5, 6, False)
    first, second = desk.connection.octets
    assert first[20:] == second[20:]
    assert desk.counts["repeat"] == 1
    assert desk.counts["request 4 272 1 2001"] == 2
    assert desk.counts["retransmission agent.example.net"] == int(retransmission)
    assert [count for key, count in desk.counts.items() if key.startswith("granted")] == [1]


@pytest.mark.conformance("B4")
def test_usage_that_is_reported_again_is_debited_once():
    desk = Desk(money(10 * AUD))
    desk.send(builders.open5gs())
    report = builders.open5gs(UPDATE, 1, uplink=1_000_000)
    desk.send(report)
    before = desk.world.account
    desk.send(report)
    assert desk.world.account == before
    assert desk.connection.octets[-1] == desk.connection.octets[-2]


@pytest.mark.conformance("B7")
def test_a_termination_without_groups_releases_everything():
    desk = Desk(money(10 * AUD))
    desk.send(builders.gateway(INITIAL, 0, mscc(rsu(), rating_group=100), mscc(rsu(), rating_group=101)))
    assert desk.world.account.balances[0].held > 0
    assert result(desk.send(builders.gateway(TERMINATION, 1))) == 2001
    assert desk.world.account.balances[0].held == 0
    assert desk.connection.answers[-1].find_all(456) == []


@pytest.mark.conformance("B21")
def test_rating_groups_come_one_by_one_in_updates():
    desk = Desk(money(10 * AUD))
    assert result(desk.send(builders.gateway())) == 2001
    for number, rating_group in enumerate((100, 101, 102, 103, 104), start=1):
        answer = desk.send(builders.gateway(UPDATE, number, mscc(rsu(), rating_group=rating_group)))
        assert (result(answer), granted(answer)) == (2001, POLICIES["data"].grant.slice)


def test_an_unknown_subscriber_is_told_so_and_logged():
    desk = Desk()
    answer = desk.send(builders.gateway(INITIAL, 0, mscc(rsu(), rating_group=1), ids=b""))
    assert (result(answer), answer.is_error) == (5030, False)
    assert answer.find(415) is not None
    assert desk.counts["denied data unknown_account"] == 1
    assert desk.refusals == [
        Refusal(
            session_id="0001-diamproxy.pgw1.example.net;5b8d80;1",
            request="I/0",
            service="data",
            subscriber="",
            peer="agent.example.net",
            result_code=5030,
            why="unknown_account",
        )
    ]


def test_a_refused_group_is_counted_and_logged_with_its_group():
    desk = Desk()
    answer = desk.send(builders.gateway(INITIAL, 0, mscc(rsu(), rating_group=100)))
    assert result(answer) == 4012
    assert desk.counts["denied data no_credit"] == 1
    assert desk.counts["request 4 272 1 4012"] == 1
    (refusal,) = desk.refusals
    assert (refusal.rating_group, refusal.result_code, refusal.subscriber) == (100, 4012, "msisdn:491700000001")


@pytest.mark.conformance("B39")
def test_an_unknown_context_is_refused_in_grammar():
    desk = Desk()
    answer = desk.send(builders.gateway(context="32270@3gpp.org"))
    assert (result(answer), answer.is_error) == (5031, False)
    assert answer.find(279).data == text("Service-Context-Id", "32270@3gpp.org")
    assert (answer.find(416).data, answer.find(415).data) == ((1).to_bytes(4), (0).to_bytes(4))
    assert desk.charged == []
    assert desk.counts["request 4 272 1 5031"] == 1
    assert desk.refusals[0].session_id == "0001-diamproxy.pgw1.example.net;5b8d80;1"


def test_a_bound_that_is_hit_is_counted():
    desk = Desk()
    both = usu(total(2**48)) + usu(total(1))
    assert result(desk.send(builders.gateway(UPDATE, 1, mscc(both, rating_group=1)))) == 5004
    assert desk.counts["limit usage"] == 1


@pytest.mark.conformance("A34")
def test_while_draining_only_new_sessions_are_refused():
    desk = Desk(money(10 * AUD))
    desk.send(builders.open5gs())
    desk.connection.draining = True
    answer = desk.send(builders.open5gs(suffix="2;2;app_gy"))
    assert (result(answer), answer.is_error) == (3004, True)
    assert result(desk.send(builders.open5gs(UPDATE, 1, uplink=1))) == 2001
    assert result(desk.send(builders.open5gs(TERMINATION, 2))) == 2001
    assert len(desk.charged) == 3


def test_what_cannot_be_charged_now_is_too_busy_so_that_the_client_goes_elsewhere():
    desk = Desk(money(10 * AUD))
    desk.failure = (Result.TOO_BUSY, "store_down")
    answer = desk.send(builders.open5gs())
    assert (result(answer), answer.is_error, answer.find(415)) == (3004, True, None)
    assert desk.refusals[0].why == "store_down"
    assert desk.counts["request 4 272 1 3004"] == 1


def test_what_charging_fails_at_is_answered_in_grammar():
    desk = Desk(money(10 * AUD))
    desk.failure = (Result.UNABLE_TO_COMPLY, "decide_failed")
    answer = desk.send(builders.open5gs())
    assert (result(answer), answer.is_error) == (5012, False)
    assert answer.find(415) is not None


# Emergency and free calls


@pytest.mark.conformance("C20")
@pytest.mark.parametrize("called", ["tel:112", "sip:000@ims.example.com;user=phone", "sip:112@ims.example.com"])
def test_an_emergency_call_goes_to_the_house_with_an_answer_for_the_worst(called):
    desk = Desk()
    assert result(desk.send(builders.kamailio(called=called))) == 2001
    (charged,) = desk.charged
    assert charged["account_id"] == house.HOUSE_ACCOUNT
    assert charged["emergency"] == ChargingAnswer(
        Result.SUCCESS,
        (GroupAnswer(100, 1000, Result.SUCCESS, Measure.TIME, POLICIES["voice"].grant.slice, 3_600),),
    )


@pytest.mark.conformance("C20")
def test_an_emergency_call_goes_on_without_a_store():
    desk = Desk()
    desk.failure = (Result.TOO_BUSY, "store_down")
    answer = desk.send(builders.kamailio(called="tel:112"))
    assert (result(answer), granted(answer)) == (2001, POLICIES["voice"].grant.slice // NS_PER_S)
    assert result(desk.send(builders.kamailio(TERMINATION, 1, called="tel:112", used_s=9))) == 2001
    assert desk.connection.answers[-1].find(456).children()[-1].code != 431


@pytest.mark.conformance("I5")
@pytest.mark.parametrize(
    ("called", "urgent"),
    [("tel:112", True), ("tel:1-1-2", True), ("sip:000@ims.example.com", True), ("tel:+61112000", False), ("", False)],
)
def test_an_emergency_call_is_known_before_it_is_refused_in_an_overload(called, urgent):
    application = Desk().application
    request = builders.kamailio(called=called) if called else builders.open5gs()
    assert application.is_urgent(received(request)) is urgent


def test_a_request_that_cannot_be_read_is_not_urgent():
    message = received(builders.kamailio(called="tel:112"))
    broken = msgspec.structs.replace(message, avps=[avp for avp in message.avps if avp.code != 415])
    assert not Desk().application.is_urgent(broken)


def test_a_free_number_goes_to_the_house_but_can_wait():
    desk = Desk()
    desk.send(builders.kamailio(called="tel:+6118055555"))
    (charged,) = desk.charged
    assert (charged["account_id"], charged["emergency"]) == (house.HOUSE_ACCOUNT, None)


@pytest.mark.parametrize("called", ["tel:1121", "tel:+61412345678"])
def test_other_numbers_are_charged_to_the_subscriber(called):
    desk = Desk(money(AUD))
    desk.send(builders.kamailio(called=called))
    assert (desk.charged[0]["account_id"], desk.charged[0]["emergency"]) == (None, None)


def test_a_call_that_ends_at_the_subscriber_is_no_emergency_call():
    desk = Desk(money(AUD))
    desk.send(builders.kamailio(called="tel:112", role=1))
    assert (desk.charged[0]["account_id"], desk.charged[0]["emergency"]) == (None, None)


def test_an_emergency_message_is_one_unit():
    desk = Desk()
    desk.failure = (Result.TOO_BUSY, "store_down")
    answer = desk.send(builders.smsc(recipients=("112",), block=mscc(rsu(units(1)))))
    assert (result(answer), granted(answer)) == (2001, 1)


# Configuration


def test_new_settings_count_from_the_next_request_on():
    desk = Desk(money(10 * AUD))
    assert result(desk.send(builders.gateway(context="v9.gy@operator.example"))) == 5031
    renamed = {"data": type(POLICIES["data"])("data", POLICIES["data"].kind, ("gy",), POLICIES["data"].grant)}
    waiting = []
    desk.application.charge = lambda *arguments, **_: waiting.append(arguments)
    message = received(builders.gateway(INITIAL, 0, mscc(rsu(), rating_group=100)))
    desk.application.handle(message, RequestContext(message, ORIGIN, "", PEER, desk.connection))
    desk.application.reconfigure(settings(services=renamed, tariff=tariff()))
    _, decide, render, done, _ = waiting[0]
    done(render(decide(desk.world.account, None).answer))
    assert granted(desk.connection.answers[-1]) == POLICIES["data"].grant.slice == 10 * MIB
    desk.application.charge = desk.charge
    assert result(desk.send(builders.gateway(INITIAL, 0, context="v9.gy@operator.example"))) == 2001
    assert desk.charged[-1]["request"].type is RequestType.INITIAL


def test_ignored_avps_are_counted():
    desk = Desk(money(AUD))
    desk.send(builders.gateway())
    assert desk.counts["ignored_avps 2"] == 1


def test_usage_beyond_the_grant_is_counted_with_its_record():
    desk = Desk(money(10 * AUD))
    desk.send(builders.gateway(INITIAL, 0, mscc(rsu(total(MIB)), rating_group=100)))
    desk.send(builders.gateway(TERMINATION, 1, mscc(usu(total(3 * MIB)), rating_group=100)))
    assert desk.counts[f"overrun data octets {2 * MIB}"] == 1


def test_late_usage_and_late_numbers_are_counted():
    desk = Desk(money(10 * AUD))
    desk.send(builders.gateway(INITIAL, 0, mscc(rsu(total(MIB)), rating_group=100)))
    desk.send(builders.gateway(UPDATE, 5, mscc(usu(total(1)), rsu(), rating_group=100)))
    desk.send(builders.gateway(UPDATE, 4, mscc(usu(total(1)), rsu(), rating_group=100)))
    desk.send(builders.gateway(TERMINATION, 6))
    answer = desk.send(builders.gateway(UPDATE, 7, mscc(usu(total(1)), rating_group=100)))
    assert result(answer) == 5002
    assert desk.counts["number_gap"] == 1
    assert desk.counts["late_usage data"] == 1
