"""Tiers, maximum costs, timings, zones, profiles, versions and balances arrive as the rating room has them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ocs.balances.account import Balance, Counter, Factor
from ocs.rating.prices import Rate, Tier, price
from ocs.rating.tariff import Activation, Found, NotFound, SharedGroup, find_rate
from ocs.rating.timings import Timing
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.config.folder import FILES, SUBSCRIBERS, TARIFF, edited, loaded, sound

MINUTE = 60 * NS_PER_S
SYDNEY = ZoneInfo("Australia/Sydney")


def ns(text, zone=UTC):
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * NS_PER_S


def tariff_of(folder, *more, old="", new=""):
    text = TARIFF.replace(old, new) if old else TARIFF
    assert not old or text != TARIFF
    return sound(folder, {**FILES, "tariffs/a.yaml": text + "".join(more)}).tariff


def mobile(tariff, at_ns=0, subject="standard", number="61412"):
    found = find_rate(tariff, subject, "voice", None, number, at_ns)
    assert isinstance(found, Found), found
    return found


RATE = "{price: 0.22 AUD/min, increment: 1s}"

# --- rates -----------------------------------------------------------------------------------------------------------


def test_tiers_arrive_and_go_on_with_the_increment_before_them(tmp_path):
    new = (
        "{price: 0.22 AUD/min, increment: 30s, tiers: [{from: 2 min, price: 0.10 AUD/min}, "
        "{from: 1h, price: 0.05 AUD/min, increment: 60s}, {from: 2h, free: true}]}"
    )
    rate = mobile(tariff_of(tmp_path, old=RATE, new=new)).rate
    assert rate.tiers == (
        Tier(2 * MINUTE, 100_000_000, MINUTE, 30 * NS_PER_S),
        Tier(60 * MINUTE, 50_000_000, MINUTE, MINUTE),
        Tier(120 * MINUTE, 0, 1, 1),
    )
    assert price(rate, 3 * MINUTE) == 540_000_000
    assert price(rate, 200 * MINUTE) == price(rate, 120 * MINUTE)


def test_what_comes_before_the_first_tier_may_be_free_or_a_flat_fee(tmp_path):
    tier = "tiers: [{from: 3 min, price: 0.10 AUD/min, increment: 1s}]"
    free = mobile(tariff_of(tmp_path, old=RATE, new=f"{{free: true, {tier}}}")).rate
    flat = mobile(tariff_of(tmp_path, old=RATE, new=f"{{connect_fee: 1 AUD, {tier}}}")).rate
    assert (free.free, free.measure, price(free, 4 * MINUTE)) == (False, Measure.TIME, 100_000_000)
    assert (flat.connect_fee_nanos, price(flat, 3 * MINUTE), price(flat, 4 * MINUTE)) == (10**9, 0, 100_000_000)


@pytest.mark.parametrize(("strategy", "disconnect"), [("free", False), ("disconnect", True)])
def test_a_maximum_cost_arrives(tmp_path, strategy, disconnect):
    new = f"{{price: 0.22 AUD/min, increment: 1s, max_cost: 2 AUD, max_cost_strategy: {strategy}}}"
    rate = mobile(tariff_of(tmp_path, old=RATE, new=new)).rate
    assert (rate.max_cost_nanos, rate.disconnect) == (2_000_000_000, disconnect)


# --- timings and windows ---------------------------------------------------------------------------------------------

TIMINGS = """
timings:
  peak: {week_days: mon-fri, time: "08:00-19:00"}
"""
WINDOWS = "[{price: 0.10 AUD/min, increment: 1s}, {when: peak, weight: 10, price: 0.30 AUD/min, increment: 1s}]"


@pytest.mark.parametrize(
    ("written", "timing"),
    [
        ("{week_days: mon-fri, time: 08:00-19:00}", {"week_days": {1, 2, 3, 4, 5}, "start_s": 28_800, "end_s": 68_400}),
        ('{time: "20:00-06:00"}', {"start_s": 72_000, "end_s": 21_600}),
        ("{time: 20:00-00:00}", {"start_s": 72_000, "end_s": 86_400}),
        ("{time: 00:00:30 - 24:00}", {"start_s": 30}),
        ("{week_days: [fri-mon, wed]}", {"week_days": {5, 6, 7, 1, 3}}),
        ("{week_days: 'sat, sun'}", {"week_days": {6, 7}}),
        ("{week_days: mon-sun, months: 1-12, month_days: 1-31}", {}),
        ("{months: [nov-feb, 6]}", {"months": {11, 12, 1, 2, 6}}),
        ("{month_days: [1, 15, last]}", {"month_days": {1, 15, -1}}),
        ("{month_days: 25-last}", {"month_days": {25, 26, 27, 28, 29, 30, 31}}),
        ("{years: [2026, 2028-2030]}", {"years": {2026, 2028, 2029, 2030}}),
        ("{}", {}),
    ],
)
def test_timings_arrive(tmp_path, written, timing):
    subscribers = SUBSCRIBERS.replace("value: 1 GiB", "value: 1 GiB, timings: x")
    text = TARIFF + f"timings: {{x: {written}}}\ntime_zone: Australia/Sydney\n"
    tariff = sound(tmp_path, {**FILES, "tariffs/a.yaml": text, "subscribers.yaml": subscribers}).tariff
    expected = {name: frozenset(value) if isinstance(value, set) else value for name, value in timing.items()}
    assert tariff.timings == {"x": Timing("x", SYDNEY, **expected)}


@pytest.mark.parametrize("weight", ["weight: 10, ", ""])
def test_windows_hold_at_their_times_in_utc(tmp_path, weight):
    """Also without a weight, a rate with a window stands before one that always holds."""
    tariff = tariff_of(tmp_path, TIMINGS, old=RATE, new=WINDOWS.replace("weight: 10, ", weight))
    assert mobile(tariff, ns("2026-11-18T07:59:59")).rate.price_nanos == 100_000_000
    peak = mobile(tariff, ns("2026-11-18T08:00"))
    assert (peak.rate.price_nanos, peak.rate.id) == (300_000_000, "standard/voice/au-mobile/peak")
    assert peak.until_ns == ns("2026-11-18T19:00")
    assert mobile(tariff, ns("2026-11-21T12:00")).rate.price_nanos == 100_000_000


@pytest.mark.parametrize("zone", ["time_zone: Australia/Sydney\n", ""])
def test_a_timing_follows_the_clock_of_the_plan_that_uses_it(tmp_path, zone):
    """The plan's own zone, else that of its file; another plan uses the same timing elsewhere."""
    own = "" if zone else "\n    time_zone: Australia/Sydney"
    perth = f"""
  perth:
    time_zone: Australia/Perth
    voice: {{"*any": {WINDOWS}}}
    data: {{"*any": {{free: true}}}}
    sms: {{"*any": {{free: true}}}}
"""
    text = TARIFF.replace(RATE, WINDOWS).replace("  standard:", f"  standard:{own}") + perth + zone + TIMINGS
    tariff = sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tariff
    assert mobile(tariff, ns("2026-11-18T08:00", SYDNEY)).until_ns == ns("2026-11-18T19:00", SYDNEY)
    at_ns = ns("2026-11-18T08:00", ZoneInfo("Australia/Perth"))
    assert mobile(tariff, at_ns, "perth").rate.price_nanos == 300_000_000
    assert mobile(tariff, at_ns - 1, "perth").until_ns == at_ns


def test_destinations_that_share_a_prefix_are_resolved_by_weight(tmp_path):
    text = TARIFF.replace("destinations:\n", "destinations:\n  special: {prefixes: [614, 615]}\n")
    text = text.replace("      au-mobile:", "      special: {free: true, weight: 5}\n      au-mobile:")
    text = text.replace("[614]", "[614, 616]")
    tariff = sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tariff
    ids = [mobile(tariff, number=number).destination_id for number in ("614", "615", "616")]
    assert ids == ["special", "special", "au-mobile"]


def test_the_order_of_destinations_that_share_a_prefix_does_not_change_the_version(tmp_path):
    special = "  special: {prefixes: [614, 615]}\n"
    rate = "      special: {free: true, weight: 5}\n"
    text = TARIFF.replace("destinations:\n", "destinations:\n" + special).replace("[614]", "[614, 616]")
    versions = {
        sound(tmp_path, {**FILES, "tariffs/a.yaml": text.replace(mark, new)}).tariff.version
        for mark, new in (("      au-mobile:", rate + "      au-mobile:"), ("    data:", rate + "    data:"))
    }
    assert len(versions) == 1


# --- profiles and shared groups --------------------------------------------------------------------------------------

OTHER = """
  other:
    voice: {"*any": {price: 0.50 AUD/min, increment: 1s}}
    data: {"*any": {free: true}}
    sms: {"*any": {free: true}}
"""
PROFILES = """
profiles:
  gold:
    "*any": [{plan: standard}, {from: 2026-01-01T00:00:00+11:00, plan: other, fallback: [standard, "acme:gold"]}]
    sms: {plan: standard, fallback: other}
  acme:gold: {"*any": {plan: standard, fallback: other}}
  "acme:*any": {voice: {plan: other}, data: {plan: other}, sms: {plan: other}}
"""


def test_profiles_are_plans_over_time(tmp_path):
    tariff = tariff_of(tmp_path, OTHER, PROFILES)
    at_ns = ns("2026-01-01T00:00", SYDNEY)
    voice = (Activation(0, "standard"), Activation(at_ns, "other", ("standard", "acme:gold")))
    assert tariff.subjects["gold"] == {
        "data": voice,
        "sms": (Activation(0, "standard", ("other",)),),
        "voice": voice,
    }
    assert mobile(tariff, at_ns - 1, "gold").rate.price_nanos == 220_000_000
    assert mobile(tariff, at_ns - 1, "gold").until_ns == at_ns
    assert mobile(tariff, at_ns, "gold").rate.price_nanos == 500_000_000
    assert mobile(tariff, 0, "acme:gold", "49").plan_id == "other"
    assert mobile(tariff, 0, "acme:silver").plan_id == "other"
    assert find_rate(tariff, "silver", "voice", None, "61412") == NotFound("no_plan")


def test_an_account_may_name_a_profile(tmp_path):
    files = edited("subscribers.yaml", "    plan: standard\n    balances", "    plan: acme:gold\n    balances")
    settings = sound(tmp_path, {**files, "tariffs/a.yaml": TARIFF + OTHER + PROFILES})
    assert settings.subscribers[0].plan == "acme:gold"


def test_shared_groups_arrive(tmp_path):
    groups = "shared_groups:\n  family: {members: [bob, alice]}\n  firm: {members: [bob], strategy: mine_lowest}\n"
    assert tariff_of(tmp_path, groups).shared_groups == {
        "family": SharedGroup("family", ("bob", "alice")),
        "firm": SharedGroup("firm", ("bob",), "mine_lowest"),
    }


def test_a_plan_in_a_profile_need_not_sell_every_service(tmp_path):
    plan = '  calls: {voice: {"*any": {free: true}}}\n'
    profile = 'profiles: {p: {voice: {plan: calls}, "*any": {plan: standard}}}\n'
    _, found = loaded(tmp_path, {**FILES, "tariffs/a.yaml": TARIFF + plan})
    assert [each.message for each in found] == [
        f'the plan "calls" does not sell the service "{service}"' for service in ("data", "sms")
    ]
    assert tariff_of(tmp_path, plan, profile).subjects["p"]["data"] == (Activation(0, "standard"),)


# --- versions --------------------------------------------------------------------------------------------------------

NEXT = """\
valid_from: 2027-01-01T00:00:00Z
destinations: {au-mobile: {prefixes: [614, 615]}}
plans:
  standard:
    voice:
      au-mobile: {price: 0.33 AUD/min, increment: 1s}
      au-fixed: {connect_fee: 0.20 AUD}
    data: {"*any": {price: 0.01 AUD/MiB, increment: 1 KiB}}
    sms: {"*any": {price: 0.05 AUD}}
"""
AT_NS = ns("2027-01-01T00:00")


def test_a_version_replaces_what_it_defines_from_its_time_on(tmp_path):
    more = OTHER + "emergency: {numbers: [999]}\n"
    tariff = sound(
        tmp_path, {**FILES, "tariffs/a.yaml": TARIFF.replace("emergency", "#") + more, "tariffs/b.yaml": NEXT}
    ).tariff
    after = tariff.successor
    assert after is not None
    assert (tariff.valid_from_ns, after.valid_from_ns, after.successor) == (0, AT_NS, None)
    assert after.version != tariff.version
    assert after.emergency_numbers == {"999"}
    assert set(after.plans) == {"standard", "other"}
    before = mobile(tariff, AT_NS - 1)
    assert (before.rate.price_nanos, before.version, before.until_ns) == (220_000_000, tariff.version, AT_NS)
    assert (mobile(tariff, AT_NS).rate.price_nanos, mobile(tariff, AT_NS).version) == (330_000_000, after.version)
    assert isinstance(find_rate(tariff, "standard", "voice", None, "61512", AT_NS - 1), NotFound)
    assert mobile(tariff, AT_NS, number="61512").destination_id == "au-mobile"


def test_versions_are_laid_over_one_another_in_the_order_of_time(tmp_path):
    more = "valid_from: 2028-01-01T00:00:00Z\nplans:\n" + OTHER[1:]
    files = {
        **FILES,
        "tariffs/z.yaml": NEXT,
        "tariffs/b.yaml": more,
        "tariffs/c.yaml": "valid_from: 2028-01-01T00:00:00Z",
    }
    tariff = sound(tmp_path, files).tariff
    last = tariff.at(ns("2028-01-01T00:00"))
    assert (last.successor, set(last.plans)) == (None, {"standard", "other"})
    assert mobile(last).rate.price_nanos == 330_000_000
    assert tariff.successor is not None
    assert set(tariff.successor.plans) == {"standard"}


def test_a_file_of_an_unknown_time_is_left_out_of_all_versions(tmp_path):
    settings, found = loaded(tmp_path, {**FILES, "tariffs/b.yaml": NEXT.replace("2027-01-01T00:00:00Z", "soon")})
    assert settings is None
    assert [(each.path, each.message) for each in found] == [("valid_from", '"soon" is not a point in time')]


def test_a_version_that_was_folded_into_the_first_keeps_its_name(tmp_path):
    later = sound(tmp_path, {**FILES, "tariffs/b.yaml": NEXT}).tariff.successor
    text = TARIFF.replace("[614]", "[614, 615]").replace("0.22", "0.33")
    assert later is not None
    assert sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tariff.version == later.version


# --- balances and accounts -------------------------------------------------------------------------------------------


def test_every_option_of_a_balance_arrives(tmp_path):
    text = """\
accounts:
  alice:
    plan: standard
    allow_negative: true
    balances:
      a: {kind: voice, value: 1h, categories: voice, timings: [peak, "!night"], disabled: true,
          rating_subject: "*zero1m"}
      b: {kind: voice, value: 1h, rating_subject: other, shared_group: family}
      c: {kind: generic, value: 7, factors: {"*any": 0.5, voice: 1/60, data: "2/4"}, rating_subject: "*zero10"}
    counters:
      spent: {kind: monetary, counts: balances}
      talked: {kind: voice, counts: usage, destinations: [au-mobile, "!au-fixed"], categories: [voice]}
      used: {kind: voice, counts: balances, balance: b}
  bob: {plan: standard}
"""
    more = OTHER + TIMINGS + "  night: {time: 20:00-06:00}\nshared_groups: {family: {members: [alice, bob]}}\n"
    settings = sound(tmp_path, {**FILES, "tariffs/a.yaml": TARIFF + more, "subscribers.yaml": text})
    alice, bob = settings.subscribers
    hour = 3_600 * NS_PER_S
    assert alice.allow_negative
    assert alice.balances == (
        Balance(
            "a",
            Kind.VOICE,
            hour,
            categories=("voice",),
            timings=("peak", "!night"),
            disabled=True,
            rating_subject="*zero1m",
        ),
        Balance("b", Kind.VOICE, hour, rating_subject="other", shared_group="family"),
        Balance(
            "c",
            Kind.GENERIC,
            7,
            rating_subject="*zero10",
            factors=(Factor("data", 1, 2), Factor("voice", 1, 60), Factor("*any", 1, 2)),
        ),
    )
    assert alice.counters == (
        Counter("spent", Kind.MONETARY, True),
        Counter("talked", Kind.VOICE, False, 0, "", ("au-mobile", "!au-fixed"), ("voice",)),
        Counter("used", Kind.VOICE, True, 0, "b"),
    )
    assert (bob.allow_negative, bob.counters) == (False, ())


def test_a_rate_without_windows_has_no_timing(tmp_path):
    found = mobile(tariff_of(tmp_path))
    assert (found.until_ns, found.rate) == (
        None,
        Rate("standard/voice/au-mobile", Measure.TIME, 220_000_000, MINUTE, NS_PER_S),
    )
