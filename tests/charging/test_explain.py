"""Explanations: they say what charging does, all of it, and why."""

from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.account import Account, Balance, Factor, Status
from ocs.charging.explain import explain, sharing_ids
from ocs.charging.explained import Asked, Explanation, Part
from ocs.charging.requests import RequestedAction, Result, Units
from ocs.charging.whole import Call, charge, cost_of
from ocs.rating.destinations import PrefixTable
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Activation, Plan, ServicePlan, SharedGroup, Tariff, Window
from ocs.rating.timings import Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.charging.sheets import payers, sheets, tariff_of
from tests.charging.world import (
    AUD,
    EVENT,
    INITIAL,
    MIB,
    MIN,
    MOBILE,
    POLICIES,
    START_NS,
    TERMINATION,
    World,
    group,
    money,
    request,
    table,
    tariff,
)

CALLED = "+61491570156"
NUMBER = "61491570156"
FREE_MINUTE = Rate("free-minute", Measure.TIME, AUD // 7, MIN, NS_PER_S, tiers=(Tier(MIN, AUD // 3, MIN, MIN),))


def account(*owned: Balance, plan: str = "standard", **terms: object) -> Account:
    return msgspec.structs.replace(Account("a", 1, "AUD", plan, balances=owned), **terms)


def call(usage: int, called: str = CALLED, at_ns: int = START_NS, **more: object) -> Asked:
    return Asked(POLICIES["voice"], called, usage, Measure.TIME, at_ns, **more)


def data(usage: int, rating_group: int | None = None) -> Asked:
    return Asked(POLICIES["data"], "", usage, Measure.OCTETS, START_NS, rating_group)


def one(explained: Explanation) -> Part:
    (part,) = explained.parts
    return part


def reasons(part: Part) -> dict[str, str]:
    return {seen.balance.id: seen.why_not for seen in part.balances}


def voice_tariff(*windows: Window, **fields: object) -> Tariff:
    plan = Plan("standard", {"voice": ServicePlan({}, PrefixTable({"614": windows}))})
    return msgspec.structs.replace(tariff(), plans={"standard": plan}, **fields)


# --- properties ------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    data=st.data(),
    usage=st.integers(1, 3 * 3_600).map(lambda second: second * NS_PER_S),
    owned=payers(Kind.VOICE, rich=False),
    negative=st.booleans(),
)
def test_what_is_explained_is_what_is_charged(data, usage, owned, negative):
    prices = data.draw(sheets(Measure.TIME, START_NS, ("", "614", "61491")))
    tariff = tariff_of(prices, "voice", {"special": MOBILE, "other": FREE_MINUTE})
    payer = account(*owned, allow_negative=negative)
    explained = explain(call(usage), payer, tariff)
    charged = charge(payer, tariff, POLICIES["voice"], Call(NUMBER, START_NS, usage, measure=Measure.TIME))
    assert explained.cost_nanos == charged.cost_nanos
    assert explained.overdraft_nanos == charged.overdraft_nanos
    assert explained.unit_usage == charged.unit_usage
    assert dict(explained.taken) == charged.taken
    consistent(explained)


@settings(max_examples=80)
@given(data=st.data(), usage=st.integers(1, 3 * 3_600).map(lambda second: second * NS_PER_S))
def test_money_alone_pays_the_price_of_each_part(data, usage):
    tariff = tariff_of(data.draw(sheets(Measure.TIME, START_NS)), "voice")
    payer = account(money(10**18))
    explained = explain(call(usage), payer, tariff)
    cost = cost_of(payer, tariff, POLICIES["voice"], Call(NUMBER, START_NS, usage, measure=Measure.TIME))
    assert [(part.at_ns, part.usage, part.price.nanos) for part in explained.parts] == [
        (part.at_ns, part.usage, part.cost_nanos) for part in cost.parts
    ]
    assert (explained.cost_nanos, explained.fee_nanos) == (cost.nanos, cost.fee_nanos)


@settings(max_examples=80)
@given(data=st.data(), usage=st.integers(1, 3 * 3_600).map(lambda second: second * NS_PER_S))
def test_a_session_and_an_event_cost_what_is_explained(data, usage):
    world = World(money(10**18), Balance("minutes", Kind.VOICE, 100 * NS_PER_S))
    world.tariff = tariff_of(data.draw(sheets(Measure.TIME, START_NS)), "voice")
    explained = explain(call(usage), world.account, world.tariff)
    units = Units(time_ns=usage)
    asked = request(EVENT, 0, group(None, units), service="voice", called=CALLED, session_id="e",
                    action=RequestedAction.DIRECT_DEBITING)  # fmt: skip
    other = World(money(10**18), Balance("minutes", Kind.VOICE, 100 * NS_PER_S))
    other.tariff = world.tariff
    answer = other.send(asked)
    assert (explained.event.result, explained.event.granted) == (answer.groups[0].result, answer.groups[0].granted)
    refused = answer.groups[0].result is not Result.SUCCESS  # a maximum cost that disconnects: nothing is charged
    assert other.outcome.writes[0].entry.cost_nanos == (0 if refused else explained.cost_nanos)
    answer = world.send(request(INITIAL, 0, group(None, units), service="voice", called=CALLED))
    granted = answer.groups[0]
    assert (explained.initial.granted, explained.initial.validity_time_s) == (granted.granted, granted.validity_time_s)
    assert explained.initial.change_at_ns == granted.tariff_change_at_ns
    assert explained.initial.holds == world.sessions["s"].groups[0].holds
    world.now_ns += usage
    world.send(request(TERMINATION, 1, group(None, used=[units]), service="voice"))
    assert world.outcome.writes[0].entry.cost_nanos == explained.cost_nanos
    assert dict(explained.taken) == world.spent()


def consistent(explained: Explanation) -> None:
    """The parts of an explanation make its whole, down to each balance."""
    assert sum(part.usage for part in explained.parts) == explained.asked.usage
    assert sum(part.cost_nanos for part in explained.parts) == explained.cost_nanos
    taken: dict[str, int] = {}
    for part in explained.parts:
        assert sum(payment.usage for payment in part.payments) in (part.usage, 0)
        assert sum(payment.nanos for payment in part.payments) == part.cost_nanos
        assert sum(seen.usage for seen in part.balances) == part.unit_usage
        for seen in part.balances:
            assert bool(seen.why_not) == (not seen.amount and not seen.usage), seen
            taken[seen.balance.id] = taken.get(seen.balance.id, 0) + seen.amount
        for payment in part.payments:
            if payment.kind == "overdraft":
                for name, amount in payment.taken:
                    taken[name] = taken.get(name, 0) + amount
            if payment.priced is not None:
                assert payment.priced.nanos == payment.nanos
                assert payment.priced.nanos <= max(0, payment.priced.price_nanos - payment.priced.before_nanos)
    assert {name: amount for name, amount in taken.items() if amount} == dict(explained.taken)


# --- where the rate comes from ---------------------------------------------------------------------------------------

SYDNEY = ZoneInfo("Australia/Sydney")
PEAK = Timing("peak", SYDNEY, start_s=7 * 3_600, end_s=19 * 3_600)
DEAR = Rate("dear", Measure.TIME, 60 * AUD // 100, MIN, NS_PER_S)
NINE_NS = 1_795_384_800 * NS_PER_S  # 2026-11-22T22:00:00Z: nine in the morning in Sydney


def test_prefixes_are_looked_at_longest_first_and_windows_say_whether_they_hold():
    never = Timing("leap", SYDNEY, years=frozenset({2020}))
    long = PrefixTable({"61491": (Window("x", DEAR, never),), "614": (Window("m", MOBILE), Window("p", DEAR, PEAK, 5))})
    plan = Plan("standard", {"voice": ServicePlan({}, long)})
    explained = explain(
        call(MIN, at_ns=NINE_NS), account(money(AUD)), msgspec.structs.replace(tariff(), plans={"standard": plan})
    )
    part = one(explained)
    (subject,) = part.tried
    assert [seen.prefix for seen in subject.prefixes] == ["61491", "614"]
    assert [(seen.holds, seen.taken) for seen in subject.prefixes[0].windows] == [(False, False)]
    always, peak = subject.prefixes[1].windows
    assert (always.holds, always.since, always.taken) == (True, None, False)
    assert (peak.holds, peak.taken, peak.window.weight) == (True, True, 5)
    assert f"{peak.since:%H:%M}" == "07:00"
    assert (part.prefix, part.destination_id, part.rate) == ("614", "p", DEAR)


def test_a_call_over_a_change_has_a_part_for_each_price():
    begin = Timing("begin", ZoneInfo("UTC"), start_s=0, end_s=START_NS // NS_PER_S % 86_400 + 30)
    explained = explain(call(MIN), account(money(AUD)), voice_tariff(Window("m", MOBILE), Window("p", DEAR, begin, 1)))
    first, second = explained.parts
    assert (first.usage, first.rate, first.cost_nanos) == (30 * NS_PER_S, DEAR, 30 * AUD // 100)
    assert (second.usage, second.rate, second.cost_nanos) == (30 * NS_PER_S, MOBILE, 11 * AUD // 100)
    assert (first.until_ns, second.at_ns, second.position) == (START_NS + 30 * NS_PER_S,) * 2 + (30 * NS_PER_S,)
    assert explained.cost_nanos == 41 * AUD // 100
    assert [seen.available for part in explained.parts for seen in part.balances] == [AUD, 70 * AUD // 100]


def test_subjects_fall_back_and_the_next_version_is_named():
    next_ns = START_NS + 3_600 * NS_PER_S
    other = Plan("other", {"voice": ServicePlan({}, table({"614": MOBILE}))})
    small = tariff()
    plans = {**small.plans, "other": other, "bare": Plan("bare", {"voice": ServicePlan({}, table({"7": MOBILE}))})}
    subjects = {"gold": {"voice": (Activation(5, "bare", ("nobody", "other")),)}}
    later = msgspec.structs.replace(small, version="v2", valid_from_ns=next_ns)
    made = msgspec.structs.replace(small, plans=plans, subjects=subjects, successor=later)
    explained = explain(call(MIN), account(money(AUD), plan="gold"), made)
    part = one(explained)
    assert [(seen.subject, seen.reason) for seen in part.tried] == [
        ("gold", "no_destination"),
        ("nobody", "no_plan"),
        ("other", ""),
    ]
    assert part.tried[0].activation == Activation(5, "bare", ("nobody", "other"))
    assert (explained.version, explained.next_version, explained.next_from_ns, part.until_ns) == (
        *("v1", "v2", next_ns, next_ns),
    )


@pytest.mark.parametrize(
    ("asked", "reason", "result"),
    [
        (call(MIN, "7"), "no_destination", Result.END_USER_SERVICE_DENIED),
        (data(1, 5), "unknown_rating_group", Result.END_USER_SERVICE_DENIED),
        (msgspec.structs.replace(call(MIN), measure=Measure.OCTETS), "no_rate", Result.RATING_FAILED),
    ],
)
def test_what_has_no_rate_says_which_lack_it_is(asked, reason, result):
    explained = explain(asked, account(money(AUD)), tariff())
    assert one(explained).reason == reason
    assert (explained.event.result, explained.event.why) == (result, reason)
    assert (explained.cost_nanos, explained.taken) == (0, ())


def test_emergency_calls_are_explained_without_an_account():
    explained = explain(call(MIN, "tel:112"), None, tariff())
    assert explained.house == ("*emergency", "112")
    assert (explained.event.result, explained.initial.result, explained.cost_nanos) == (2001, 2001, 0)


def test_unknown_and_disabled_accounts_are_told_apart():
    assert explain(call(MIN), None, tariff()).event.why == "unknown_account"
    disabled = explain(call(MIN), account(money(AUD), status=Status.DISABLED), tariff())
    assert (disabled.usable, disabled.event.why) == (False, "disabled_account")
    assert disabled.cost_nanos == 22 * AUD // 100


# --- the price -------------------------------------------------------------------------------------------------------


def test_tiers_increments_and_the_exact_price_are_shown():
    rate = Rate("r", Measure.OCTETS, AUD // 100, MIB, 1_024, tiers=(Tier(2_048, AUD // 300, 1_000, 100),))
    made = tariff(data=rate)
    price = one(explain(data(3_000), account(money(AUD)), made)).price
    assert [(seen.tier.start, seen.charged) for seen in price.tiers] == [(0, 2_048), (2_048, 1_000)]
    exact = Fraction(2_048 * (AUD // 100), MIB) + Fraction(1_000 * (AUD // 300), 1_000)
    assert Fraction(price.numerator, price.denominator) == exact
    assert price.price_nanos == price.nanos == round(exact)


def test_a_maximum_cost_shows_in_what_is_charged():
    rate = Rate("r", Measure.OCTETS, AUD, MIB, 1, max_cost_nanos=AUD // 2)
    part = one(explain(data(MIB), account(money(AUD)), tariff(data=rate)))
    assert (part.price.price_nanos, part.price.nanos, part.cost_nanos) == (AUD, AUD // 2, AUD // 2)


def test_what_a_call_used_before_places_it_in_the_tiers_without_a_fee():
    rate = Rate("r", Measure.OCTETS, AUD, MIB, 1, AUD // 10, tiers=(Tier(MIB, 0, 1, 1),))
    made = tariff(data=rate)
    first = explain(data(MIB), account(money(5 * AUD)), made)
    assert (first.cost_nanos, first.fee_nanos) == (AUD + AUD // 10, AUD // 10)
    later = explain(msgspec.structs.replace(data(MIB), position=MIB), account(money(5 * AUD)), made)
    assert (later.cost_nanos, later.fee_nanos, one(later).price.start) == (0, 0, MIB)


# --- the balances ----------------------------------------------------------------------------------------------------


def test_every_balance_says_why_it_pays_or_does_not():
    long_ago = START_NS - 1
    owned = (
        Balance("pays", Kind.VOICE, 10 * NS_PER_S, weight=9, destinations=("mobile",)),
        Balance("empty", Kind.VOICE, 0, weight=8),
        Balance("rest", Kind.VOICE, MIN, weight=7),
        Balance("idle", Kind.VOICE, MIN, weight=6),
        Balance("volume", Kind.DATA, MIB),
        Balance("off", Kind.VOICE, MIN, disabled=True),
        Balance("old", Kind.VOICE, MIN, expires_at_ns=long_ago),
        Balance("fixed", Kind.VOICE, MIN, destinations=("fixed",)),
        Balance("texts", Kind.VOICE, MIN, categories=("sms",)),
        Balance("nights", Kind.VOICE, MIN, timings=("never",)),
        money(AUD),
    )
    part = one(explain(call(MIN), account(*owned), tariff()))
    assert reasons(part) == {
        "pays": "",
        "empty": "no_value",
        "rest": "",
        "idle": "not_needed",
        "volume": "kind",
        "off": "disabled",
        "old": "expired",
        "fixed": "destination",
        "texts": "category",
        "nights": "timing",
        "money": "not_needed",
    }
    seen = {found.balance.id: found for found in part.balances}
    assert [found.balance.id for found in part.balances][:5] == ["pays", "empty", "rest", "idle", "money"]
    assert (seen["pays"].precision, seen["pays"].usage, seen["rest"].usage) == (3, 10 * NS_PER_S, 50 * NS_PER_S)


def test_a_blocker_keeps_what_comes_after_it_from_paying():
    owned = (Balance("first", Kind.VOICE, NS_PER_S, blocker=True), Balance("u", Kind.GENERIC, MIN), money(AUD))
    explained = explain(call(MIN), account(*owned), tariff())
    assert reasons(one(explained)) == {"first": "", "u": "blocked", "money": "blocked"}
    assert (explained.event.why, explained.affordable) == ("blocked", NS_PER_S)
    assert explained.overdraft_nanos == one(explained).overdraft_nanos > 0
    by_money = (money(AUD // 10, "little", blocker=True, weight=1), money(AUD))
    assert reasons(one(explain(call(MIN), account(*by_money), tariff()))) == {"little": "", "money": "blocked"}


def test_slices_and_factors_are_told():
    owned = (
        Balance("sliced", Kind.VOICE, 2 * MIN, weight=2, rating_subject="*zero1m"),
        Balance("half", Kind.GENERIC, 100 * NS_PER_S, factors=(Factor("voice", 1, 2),)),
    )
    part = one(explain(call(3 * MIN + NS_PER_S), account(*owned), tariff()))
    sliced, half = part.balances
    assert (sliced.slice_size, sliced.usage, sliced.amount) == (MIN, 2 * MIN, 2 * MIN)
    assert (half.factor, half.usage, half.amount) == ((1, 2), 61 * NS_PER_S, 30_500_000_000)
    begun = one(explain(call(61 * NS_PER_S), account(owned[0]), tariff())).balances[0]
    assert (begun.usage, begun.amount, begun.sliced.covered) == (61 * NS_PER_S, 2 * MIN, 61 * NS_PER_S)


def test_a_balance_with_a_subject_of_its_own_pays_at_that_price():
    half = Rate("half", Measure.TIME, 11 * AUD // 100, MIN, NS_PER_S)
    small = tariff()
    plans = {**small.plans, "half": Plan("half", {"voice": ServicePlan({}, table({"614": half}))})}
    owned = (
        Balance("cheap", Kind.VOICE, MIN, rating_subject="half"),
        Balance("lost", Kind.VOICE, MIN, rating_subject="nobody", weight=3),
        money(AUD),
    )
    explained = explain(call(2 * MIN), account(*owned), msgspec.structs.replace(small, plans=plans))
    part = one(explained)
    assert reasons(part) == {"lost": "no_rate", "cheap": "", "money": ""}
    assert [(payment.kind, payment.priced.rate.id, payment.nanos) for payment in part.payments] == [
        ("units", "half", 11 * AUD // 100),
        ("money", "mobile", 22 * AUD // 100),
    ]
    assert explained.cost_nanos == 33 * AUD // 100


def test_what_no_credit_covers_is_an_overdraft_and_what_it_covers_is_affordable():
    explained = explain(call(10 * MIN), account(money(22 * AUD // 100)), tariff())
    assert (explained.event.why, explained.affordable) == ("no_credit", MIN)
    assert (explained.cost_nanos, explained.overdraft_nanos) == (220 * AUD // 100, 198 * AUD // 100)
    assert explained.taken == (("money", 220 * AUD // 100),)
    assert [payment.kind for payment in one(explained).payments] == ["money", "overdraft"]
    nothing = explain(call(MIN), account(), tariff())
    assert (nothing.taken, nothing.affordable) == ((("*default", 22 * AUD // 100),), 0)


def test_a_connect_fee_that_is_owed_is_a_step_of_its_own():
    made = explain(call(MIN, "61291234567"), account(money(AUD // 10)), tariff())
    assert [(payment.kind, payment.nanos) for payment in one(made).payments[:2]] == [
        ("fee", AUD // 10),
        ("overdraft", AUD // 10),
    ]
    assert (made.fee_nanos, made.overdraft_nanos) == (AUD // 5, AUD // 10)


def test_shared_balances_are_named_with_their_owner():
    groups = {"family": SharedGroup("family", ("a", "b", "c"))}
    small = msgspec.structs.replace(tariff(), shared_groups=groups)
    mine = account(money(AUD // 100, shared_group="family"))
    theirs = Account("b", 1, "AUD", "standard", balances=(money(AUD, shared_group="family"),))
    over = msgspec.structs.replace(theirs, id="c", status=Status.DISABLED)
    assert sharing_ids(mine, small, START_NS) == ("b", "c")
    explained = explain(call(MIN), mine, small, (theirs, over))
    seen = one(explained).balances
    assert [(found.owner, found.balance.id, found.why_not, found.amount) for found in seen] == [
        ("", "money", "", AUD // 100),
        ("b", "money", "", 21 * AUD // 100),
        ("c", "money", "disabled", 0),
    ]


def test_free_usage_looks_at_no_balance():
    part = one(explain(data(MIB, 900), account(money(AUD)), tariff()))
    assert (part.rate.free, part.balances, part.price, part.cost_nanos) == (True, (), None, 0)
