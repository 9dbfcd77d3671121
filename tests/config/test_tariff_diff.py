"""`ocs tariff diff`: prices added, removed and changed, by plan, service, group, destination, window and prefix."""

from datetime import UTC, datetime

import pytest

from ocs.config.rate_text import rate_text
from ocs.config.tariff_diff import Change, compare
from ocs.rating.prices import Rate, Tier
from ocs.rating.units import NS_PER_S, Measure
from tests.config.folder import FILES, TARIFF, loaded

MINUTE = 60 * NS_PER_S
OLD, NEW = "0.22 AUD/min by 1 s", "0.25 AUD/min by 1 s"


def tariff(folder, text, **more):
    settings, found = loaded(folder, {**FILES, "tariffs/a.yaml": text, **more})
    assert settings is not None, found
    return settings.tariff


def changes(folder, text, before=TARIFF, **more):
    return compare(tariff(folder, before), tariff(folder, text, **more))


def price(**fields):
    return Change(0, "price", **{"plan": "standard", "service": "voice", **fields})


def test_nothing_differs_where_only_the_writing_does(tmp_path):
    text = TARIFF.replace("0.22 AUD/min", "0.220 AUD/60 s").replace("[612, 613]", "[613, 612]")
    assert changes(tmp_path, text) == []
    deck = TARIFF.replace("      au-mobile: {price: 0.22 AUD/min, increment: 1s}\n", "      deck: a.csv\n")
    rows = "prefix,destination,price,increment\n614,au-mobile,0.22 AUD/min,1s\n"
    assert changes(tmp_path, deck, **{"tariffs/a.csv": rows}) == []


def test_prices_that_change_are_given_before_and_after(tmp_path):
    text = TARIFF.replace("0.22", "0.25").replace("0.05 AUD", "0.06 AUD")
    assert changes(tmp_path, text) == [
        price(destination="*any", service="sms", before="0.05 AUD", after="0.06 AUD", prefixes=("*any",)),
        price(destination="au-mobile", before=OLD, after=NEW, prefixes=("614",)),
    ]


def test_prefixes_that_change_alike_stand_together(tmp_path):
    text = TARIFF.replace("[612, 613]", "[612, 613, 617, 618]").replace("[614]", "[615]")
    assert changes(tmp_path, text) == [
        price(destination="au-fixed", after="flat 0.20 AUD", prefixes=("617", "618")),
        price(destination="au-mobile", after=OLD, prefixes=("615",)),
        price(destination="au-mobile", before=OLD, prefixes=("614",)),
    ]


def test_rating_groups_and_plans_are_told_apart(tmp_path):
    groups = TARIFF.replace(
        '      "*any": {price: 0.01', '      rating_groups: {200: {"*any": {free: true}}}\n      "*any": {price: 0.01'
    )
    data = {"service": "data", "destination": "*any", "prefixes": ("*any",)}
    assert changes(tmp_path, groups) == [price(**data, rating_group="200", after="free")]
    plan = '  other:\n    data: {"*any": {free: true}}\n'
    assert changes(tmp_path, TARIFF + plan) == [price(**data, plan="other", after="free")]
    assert changes(tmp_path, TARIFF, before=TARIFF + plan) == [price(**data, plan="other", before="free")]


WINDOWS = "[{price: 0.22 AUD/min, increment: 1s}, {when: peak, weight: 5, price: 0.30 AUD/min, increment: 1s}]"
TIMED = TARIFF.replace("{price: 0.22 AUD/min, increment: 1s}", WINDOWS)
PEAK = 'timings: {peak: {week_days: mon-fri, time: "08:00-19:00"}}\n'


def test_windows_are_compared_one_by_one(tmp_path):
    window = {"destination": "au-mobile", "when": "peak", "weight": 5, "prefixes": ("614",)}
    assert changes(tmp_path, TIMED + PEAK) == [price(**window, after="0.30 AUD/min by 1 s")]
    later = TIMED + PEAK.replace("19:00", "20:00") + "time_zone: Australia/Sydney\n"
    assert changes(tmp_path, later, before=TIMED + PEAK) == [
        price(
            **window,
            before="0.30 AUD/min by 1 s, mon-fri 08:00-19:00 (UTC)",
            after="0.30 AUD/min by 1 s, mon-fri 08:00-20:00 (Australia/Sydney)",
        )
    ]


def test_another_name_of_a_destination_is_a_change(tmp_path):
    assert changes(tmp_path, TARIFF.replace("au-mobile", "mobile"), **{"subscribers.yaml": "accounts: {}\n"}) == [
        price(destination="mobile", before=f"{OLD} (au-mobile)", after=f"{OLD} (mobile)", prefixes=("614",))
    ]


def test_profiles_free_destinations_and_emergency_numbers_are_compared(tmp_path):
    text = TARIFF.replace("destinations:\n", "destinations:\n  help: {prefixes: [61800], free: true}\n").replace(
        "112]", "911]"
    )
    later = "{from: 2026-01-01T00:00:00Z, plan: standard, fallback: standard}"
    text += f"profiles: {{gold: {{voice: [{{plan: standard}}, {later}]}}}}\n"
    found = changes(tmp_path, text)
    assert {(each.what, each.prefixes, each.before, each.after) for each in found} == {
        ("emergency", ("112",), "free, matched exactly", ""),
        ("emergency", ("911",), "", "free, matched exactly"),
        ("free", ("61800",), "", "free for everybody"),
        ("profile", (), "", "standard; standard, else standard, from 2026-01-01T00:00:00Z"),
    }


NEXT = "valid_from: 2027-01-01T00:00:00Z\ndestinations: {au-mobile: {prefixes: [614, 615]}}\n"
AT_NS = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S


def test_a_change_is_said_once_with_the_time_from_which_it_holds(tmp_path):
    text = TARIFF.replace("0.22", "0.25")
    found = changes(tmp_path, text, **{"tariffs/b.yaml": NEXT})
    assert found == [
        price(destination="au-mobile", before=OLD, after=NEW, prefixes=("614",)),
        Change(AT_NS, "price", "standard", "voice", "", "au-mobile", "", 0, "", NEW, ("615",)),
    ]


def test_one_time_alone_may_be_compared(tmp_path):
    before, after = tariff(tmp_path, TARIFF), tariff(tmp_path, TARIFF, **{"tariffs/b.yaml": NEXT})
    assert compare(before, after, AT_NS - 1) == []
    assert [each.prefixes for each in compare(before, after, AT_NS)] == [("615",)]


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Rate("r", Measure.TIME, free=True), "free"),
        (Rate("r", Measure.TIME, connect_fee_nanos=200_000_000, fee_per_group=True), "flat 0.20 AUD per rating group"),
        (
            Rate("r", Measure.OCTETS, 10_000_000, 2**20, 2**10, 50_000_000),
            "0.01 AUD/MiB by 1 KiB, connect fee 0.05 AUD",
        ),
        (Rate("r", Measure.EVENTS, 50_000_000), "0.05 AUD"),
        (Rate("r", Measure.EVENTS, 50_000_000, 10, 5), "0.05 AUD/10 by 5"),
        (
            Rate(
                "r",
                Measure.TIME,
                tiers=(Tier(MINUTE, 100_000_000, MINUTE, NS_PER_S), Tier(2 * MINUTE, 0, 1, 1)),
                max_cost_nanos=5_000_000_000,
                disconnect=True,
            ),
            "nothing, from 1 min 0.10 AUD/min by 1 s, from 2 min nothing, at most 5.00 AUD, then ended",
        ),
        (
            Rate("r", Measure.EVENTS, 50_000_000, rounding_nanos=10_000_000, rounding="up"),
            "0.05 AUD, rounded up to 2 decimals",
        ),
        (
            Rate("r", Measure.EVENTS, 50_000_000, rounding_nanos=10**9, rounding="middle", max_cost_nanos=10**9),
            "0.05 AUD, at most 1.00 AUD, then free, rounded half up to 0 decimals",
        ),
    ],
)
def test_rates_in_words(rate, text):
    assert rate_text(rate, "AUD") == text
