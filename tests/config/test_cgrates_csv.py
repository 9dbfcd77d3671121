from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.balances.account import Account, Balance, Status
from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.whole import Call, cost_of
from ocs.config import cgrates_rows, cgrates_yaml
from ocs.config.cgrates_csv import FILES, read_folder, rows_of
from ocs.config.cgrates_import import Imported, import_folder
from ocs.config.cgrates_tariff import compile_rows
from ocs.config.cgrates_values import amount, time_of_day
from ocs.config.diagnostics import Problems, Severity
from ocs.config.settings import Settings
from ocs.rating.prices import Rate, Tier
from ocs.rating.tariff import Found, NotFound, Tariff, find_rate
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind, Measure
from ocs.units import parse_rfc3339
from tests.config.cgrates_folder import NAMES, TABLES, load_imported, write_lines, write_rows
from tests.vectors.cases import rating_file

MIN = 60 * NS_PER_S
HOUR_NS = 3_600 * NS_PER_S
MONDAY = parse_rfc3339("2026-11-23T12:00:00Z")
KINDS = {"0": Kind.VOICE}
EUR = 1_000_000_000


def imported(folder: Path, spoiled: dict[str, list[str]] | None = None, time_zone: str = "Europe/Berlin") -> Imported:
    write_lines(folder, {**TABLES, **(spoiled or {})})
    return import_folder(folder, KINDS, "EUR", time_zone)


def said(found: Imported, severity: Severity = Severity.ERROR) -> list[str]:
    """The messages, without the folder."""
    shown = [(each, f"{Path(each.file).parent}/") for each in found.diagnostics if each.severity is severity]
    return [str(each).replace(folder, "") for each, folder in shown]


def settings_of(found: Imported, folder: Path) -> Settings:
    settings, errors = load_imported(found, folder)
    assert settings is not None, [str(error) for error in errors]
    return settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "csv").mkdir()
    return settings_of(imported(tmp_path / "csv"), tmp_path)


def rate_at(tariff: Tariff, subject: str, service: str, number: str, at_ns: int = MONDAY) -> Rate:
    found = find_rate(tariff, subject, service, 0, number, at_ns)
    assert isinstance(found, Found), found
    return found.rate


# --- what is read ---------------------------------------------------------------------------------------------------


def test_the_files_that_are_written_are_a_sound_configuration(settings: Settings) -> None:
    assert settings.tariff.currency == "EUR"
    assert {name: policy.kind for name, policy in settings.services.items()} == {
        "call": Kind.VOICE,
        "sms": Kind.SMS,
        "data": Kind.DATA,
    }


def test_group_intervals_become_tiers_and_the_fee_is_that_of_the_first(settings: Settings) -> None:
    rate = rate_at(settings.tariff, "1001", "call", "4930")
    assert (rate.price_nanos, rate.unit_size, rate.increment) == (EUR // 10, MIN, MIN)
    assert rate.connect_fee_nanos == EUR // 20
    assert rate.tiers == (Tier(MIN, EUR // 20, MIN, NS_PER_S),)
    assert (rate.rounding, rate.rounding_nanos) == ("up", 100_000)


def test_the_longest_prefix_counts_whether_it_is_written_with_a_plus_or_not(settings: Settings) -> None:
    for number in ("4915123", "4916123"):
        rate = rate_at(settings.tariff, "1001", "call", number)
        assert (rate.max_cost_nanos, rate.disconnect) == (5 * EUR // 2, False)


def test_any_destination_is_what_no_prefix_is_for(settings: Settings) -> None:
    assert rate_at(settings.tariff, "1001", "call", "33").price_nanos == EUR // 50


def test_timings_hold_on_the_clock_of_the_place_until_the_second_that_ends_them(settings: Settings) -> None:
    def price_at(time: str) -> int:
        return rate_at(settings.tariff, "1001", "call", "4930", parse_rfc3339(f"2026-11-23T{time}+01:00")).price_nanos

    cheap, peak = EUR // 50, EUR // 10
    assert [price_at(time) for time in ("07:59:59", "08:00:00", "17:59:59", "18:00:00")] == [cheap, peak, peak, cheap]


def test_weights_decide_between_rates_that_hold_at_once(settings: Settings) -> None:
    assert rate_at(settings.tariff, "1001", "call", "4930", parse_rfc3339("2026-12-25T12:00:00Z")).free


def test_a_price_finer_than_a_nano_is_a_price_for_more_units(settings: Settings) -> None:
    rate = rate_at(settings.tariff, "1001", "data", "")
    assert rate.price_nanos / rate.unit_size == pytest.approx(0.015)
    assert (rate.increment, rate.disconnect, rate.max_cost_nanos) == (1_024, True, EUR)


def test_a_subject_without_a_profile_for_a_service_has_that_of_everybody(settings: Settings) -> None:
    assert rate_at(settings.tariff, "1001", "sms", "").price_nanos == 70_000_000


def test_accounts_open_with_what_their_actions_top_up_at_once(settings: Settings) -> None:
    accounts = {subscriber.id: subscriber for subscriber in settings.subscribers}
    assert {name: account.plan for name, account in accounts.items()} == {
        "1001": "1001",
        "491700000002": "*any",
        "1003": "*any",
    }
    assert (accounts["491700000002"].status, accounts["491700000002"].allow_negative) == (Status.DISABLED, True)
    assert accounts["491700000002"].identities == ("msisdn:491700000002",)
    assert accounts["1003"].identities == ("private:1003",)
    assert accounts["1001"].balances == (
        Balance(
            "minutes",
            Kind.VOICE,
            100 * MIN,
            weight=20,
            destinations=("DE", "!DE_MOBILE"),
            blocker=True,
            categories=("call",),
            timings=("PEAK",),
            rating_subject="*zero1m",
        ),
        Balance(
            "money",
            Kind.MONETARY,
            13 * EUR,
            weight=10,
            expires_at_ns=parse_rfc3339("2030-01-01T00:00:00Z"),
            shared_group="FAMILY",
        ),
    )


def test_members_of_a_shared_group_are_the_accounts_with_a_balance_of_it(settings: Settings) -> None:
    group = settings.tariff.shared_groups["FAMILY"]
    assert (group.members, group.strategy) == (("1001", "491700000002"), "lowest")


def test_what_is_not_imported_is_counted(tmp_path: Path) -> None:
    (tmp_path / "Chargers.csv").write_text("#Tenant,ID\ncgrates.org,DEFAULT\n\ncgrates.org,Raw\n")
    assert imported(tmp_path).left_out == {
        "Chargers.csv": 2,
        "*topup that expires +24h after it ran": 2,
        "*log": 2,
        "*topup by a schedule": 2,
        "action triggers of accounts": 1,
    }


def test_very_many_prices_stand_in_a_deck_and_what_a_line_cannot_say_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgrates_yaml, "DECK_FROM", 1)
    many = ["DR_CHEAP,UK,R_CHEAP,*up,2,0,", *TABLES["destination_rates"]]
    found = imported(tmp_path, {"destination_rates": many})
    assert found.files["tariffs/RP_CALL-call.csv"].splitlines() == [
        "prefix,destination,increment,price,rounding_decimals,rounding_method,weight",
        "44,UK,1 s,0.02 EUR/min,2,up,5",
    ]
    tariff = settings_of(found, tmp_path / "out").tariff
    assert rate_at(tariff, "1001", "call", "4420").rounding == "up"
    assert rate_at(tariff, "1001", "call", "4930").tiers
    assert "UK" not in tariff.destinations


def test_several_tenants_stay_apart(tmp_path: Path) -> None:
    profiles = [
        "one,call,*any,,RP_CALL,",
        "two,call,1001,,RP_CALL,",
        "two,sms,*any,,RP_SMS,",
        "two,data,*any,,RP_DATA,",
    ]
    found = imported(tmp_path, {"rating_profiles": profiles, "account_actions": ["two,1001,PACKAGE,,,"]})
    settings = settings_of(found, tmp_path / "out")
    assert settings.tariff.subjects.keys() == {"one:*any", "two:1001", "two:*any"}
    assert [(account.id, account.plan) for account in settings.subscribers] == [("1001@two", "two:1001")]


def test_a_name_that_is_no_id_becomes_one_and_no_two_become_the_same(tmp_path: Path) -> None:
    plans = [line.replace("RP_CALL", "RP CALL") for line in TABLES["rating_plans"]] + ["RP/CALL,DR_CHEAP,*any,5"]
    profiles = [line.replace("RP_CALL", "RP CALL") for line in TABLES["rating_profiles"]]
    found = imported(tmp_path, {"rating_plans": plans, "rating_profiles": [*profiles, "cgrates.org,call,b,,RP/CALL,"]})
    assert settings_of(found, tmp_path / "out").tariff.plans.keys() >= {"RP-CALL", "RP-CALL-2"}
    message = 'RatingPlans.csv:2:1: warning: "RP CALL" is no id here, it becomes RP-CALL'
    assert message in said(found, Severity.WARNING)


def test_a_file_with_quotes_blanks_and_blank_lines_keeps_the_places_of_its_cells(tmp_path: Path) -> None:
    (tmp_path / "Rates.csv").write_text('#Id\n\n"R, 1", 0 ,0.1,"60s",x,0s\n', encoding="utf-8-sig")
    problems = Problems()
    (row,) = read_folder(tmp_path, problems).tables["rates"]
    assert dict(row.cells) == {
        "id": "R, 1",
        "connect_fee": "0",
        "rate": "0.1",
        "rate_unit": "60s",
        "rate_increment": "x",
        "group_interval_start": "0s",
    }
    assert [(row.at(name).line, row.at(name).column) for name in ("id", "rate", "rate_increment")] == [
        (3, 1),
        (3, 12),
        (3, 22),
    ]
    assert problems.sorted() == []


# --- what is wrong --------------------------------------------------------------------------------------------------

SPOILED = [
    ("destinations", "DE", "Destinations.csv:2:1: the line has 1 columns, expected 2: id, prefix"),
    ("destinations", "DE,4x", 'Destinations.csv:2:4 prefix: "4x" is not a prefix, expected digits'),
    ("destinations", ",49", "Destinations.csv:2:1 id: is empty, expected an id"),
    (
        "timings",
        "T,*any,13,*any,*any,00:00:00",
        'Timings.csv:2:8 months: "13" is not a number from 1 to 12',
    ),
    (
        "timings",
        "T,*any,*any,*any,*any,25:00:00",
        'Timings.csv:2:23 time: "25:00:00" is not a time of day, expected a time such as 18:00:00',
    ),
    (
        "timings",
        "T,*any,*any,*any,*any,08:00:00;08:00:00",
        'Timings.csv:2:23 time: "08:00:00;08:00:00" ends where it begins',
    ),
    ("timings", "T,*any,*any,*any,,\nT,*any,*any,*any,,", 'Timings.csv:3:1: the timing "T" is given twice, first in'),
    ("rates", "R,0,x,60s,60s,0s", 'Rates.csv:2:5 rate: "x" is not a number, expected a number such as 0.05'),
    ("rates", "R,-1,1,60s,60s,0s", "Rates.csv:2:3 connect_fee: is negative, expected an amount from 0 on"),
    ("rates", "R,0.0000000001,1,60s,60s,0s", "Rates.csv:2:3 connect_fee: 0.0000000001 has more than 9 decimals"),
    (
        "rates",
        "R,0,1,60q,60s,0s",
        'Rates.csv:2:7 rate_unit: "60q" is not a length, expected a duration such as 60s or 1h30m, or a whole number',
    ),
    ("rates", "R,0,1,60s,60s,60s", "Rates.csv:2:1: there is no price before 60000000000"),
    ("rates", "R,0,1,60s,60s,0s\nR,0,1,60s,60s,0s", "Rates.csv:3:1: is the second price from 0 on, the first is"),
    (
        "destination_rates",
        "DR,FR,R_DE,*up,4,0,",
        'DestinationRates.csv:2:4 destination_id: there is no destination "FR"',
    ),
    (
        "destination_rates",
        "DR,DE,R_DF,*up,4,0,",
        'DestinationRates.csv:2:7 rates_id: there is no rate "R_DF", did you mean R_DE?',
    ),
    (
        "rating_plans",
        "RP_CALL,DR_PEAX,*any,10",
        'RatingPlans.csv:2:9 destination_rates_id: there is no destination rate "DR_PEAX", did you mean DR_PEAK?',
    ),
    ("rating_plans", "RP_CALL,DR_PEAK,NIGHT,10", 'RatingPlans.csv:2:17 timing_id: there is no timing "NIGHT"'),
    ("rating_plans", "RP_CALL,DR_PEAK,*any,1.5", 'RatingPlans.csv:2:22 weight: "1.5" is not a whole number'),
    (
        "rating_profiles",
        "t,call,*any,soon,RP_CALL,",
        'RatingProfiles.csv:2:13 activation_time: "soon" is not a point in time',
    ),
    (
        "rating_profiles",
        "t,premium,*any,,RP_CALL,",
        'RatingProfiles.csv:2:1 category: nobody knows what the category "premium" counts',
    ),
    (
        "rating_profiles",
        "t,call,a,,RP_CALL,\nt,call,a,,RP_SMS,",
        "RatingProfiles.csv:3:1: another plan has the same activation time in",
    ),
    ("shared_groups", "FAMILY,*any,*lowst,", 'SharedGroups.csv:2:13 strategy: "*lowst" is not known, expected one of'),
    (
        "actions",
        "WELCOME,*topup,,,m,*minutes,,,,,,,1,1,false,false,1",
        'Actions.csv:2:20 balance_type: "*minutes" is not known, expected one of',
    ),
    (
        "actions",
        "WELCOME,*topup,,,m,*voice,,FR,,,,,1,1,false,false,1",
        'Actions.csv:2:28 destination_ids: there is no destination "FR"',
    ),
    (
        "actions",
        "WELCOME,*topup,,,m,*voice,,,,,,,1,1,maybe,false,1",
        'Actions.csv:2:37 balance_blocker: "maybe" is no truth value, expected true or false',
    ),
    ("account_actions", "t,1001,PACK,,,", 'AccountActions.csv:2:8 action_plan_id: there is no action plan "PACK"'),
    ("account_actions", "t,1,,,,\nt,1,,,,", 'AccountActions.csv:3:3 account: the account "1" is given twice, first in'),
    ("rates", 'R,0,"1,60s,60s,0s', "Rates.csv:2:1: is not CSV: unexpected end of data"),
]


@pytest.mark.parametrize(("table", "lines", "message"), SPOILED, ids=lambda value: value if "," not in value else "")
def test_what_is_wrong_is_said_with_file_line_and_column_and_nothing_is_written(
    tmp_path: Path, table: str, lines: str, message: str
) -> None:
    found = imported(tmp_path, {table: lines.split("\n")})
    assert any(each.startswith(message) for each in said(found)), said(found)
    assert not found.usable


WARNED = [
    ("destination_rates", "DR_SMS,*any,R_SMS,*round,4,0,", 'rounding_method: warning: "*round" does not round'),
    ("destination_rates", "DR_SMS,*any,R_SMS,*up,4,3,", "max_cost_strategy: warning: the maximum cost has no effect"),
    ("shared_groups", "FAMILY,*any,*mine_random,", "strategy: warning: is not random here"),
    ("shared_groups", "FAMILY,*any,,1001", "rating_subject: warning: has no effect"),
]


@pytest.mark.parametrize(("table", "line", "message"), WARNED)
def test_what_means_nothing_here_is_warned_about(tmp_path: Path, table: str, line: str, message: str) -> None:
    lines = [other for other in TABLES[table] if other.partition(",")[0] != line.partition(",")[0]]
    found = imported(tmp_path, {table: [*lines, line]})
    assert any(message in each for each in said(found, Severity.WARNING)), said(found, Severity.WARNING)
    assert found.usable


def test_a_folder_without_any_file_that_is_imported_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "Rate.csv").write_text("R\n")
    found = import_folder(tmp_path, {}, "EUR", "UTC")
    assert not found.usable
    assert [str(each).rpartition("/")[2] for each in found.diagnostics if each.severity is Severity.WARNING] == [
        "Rate.csv: warning: is not imported, did you mean Rates.csv?"
    ]


@pytest.mark.parametrize("octets", [b"\xff\xfe", b"R,0\x00,1,60s,60s,0s", b'"', b",,,,,", b"\r\r", b"#"])
def test_no_file_makes_the_import_raise(tmp_path: Path, octets: bytes) -> None:
    write_lines(tmp_path, TABLES)
    for name in FILES:
        (tmp_path / name).write_bytes(octets)
        import_folder(tmp_path, KINDS, "EUR", "UTC")


@given(cells=st.lists(st.text(max_size=12), min_size=6, max_size=6))
def test_no_cell_makes_the_reading_of_rows_raise(cells: list[str]) -> None:
    for table in ("rates", "timings", "rating_profiles"):
        columns = rows_of(table, [{}], "t")[0].cells
        lines = [dict(zip(columns, cells, strict=True))]
        problems = Problems()
        cgrates_rows.parse({table: rows_of(table, lines, "t.csv")}, problems)
        assert all(found.line == 1 for found in problems.sorted())


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "base_units"),
    [("", 0), ("10", 10), ("60s", MIN), ("1h30m", 90 * MIN), ("1.5s", 1_500_000_000), ("10ms", 10_000_000), ("7ns", 7)],
)
def test_a_length_is_a_duration_or_a_number_of_base_units(text: str, base_units: int) -> None:
    assert amount(text) == base_units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:00", (0, 86_400)),
        ("*any", (0, 86_400)),
        ("18:00:00", (64_800, 86_400)),
        ("08:00:00;18:00:00", (28_800, 64_800)),
        ("00:00:00;11:59:59", (0, 43_200)),
        ("20:00:00;06:00:00", (72_000, 21_600)),
    ],
)
def test_a_time_of_day_lasts_until_midnight_unless_it_has_an_end(text: str, seconds: tuple[int, int]) -> None:
    assert time_of_day(text) == seconds


# --- the same price both ways ---------------------------------------------------------------------------------------


def fixtures() -> Iterator[Any]:
    for name, fixture in rating_file()["fixtures"].items():
        tables = fixture["tariff"]
        if name == "engine_csv":  # its plan TDRT has a prefix with and without a plus, which is one prefix here
            tables = {
                **tables,
                "rating_profiles": [row for row in tables["rating_profiles"] if row["subject"] != "trp"],
            }
        if name == "round_updown":  # a price that rounding makes nothing is refused here
            tables = {
                **tables,
                "rating_profiles": [row for row in tables["rating_profiles"] if row["subject"] != "down"],
            }
        yield pytest.param(tables, id=name)


@pytest.mark.parametrize("deck_from", [0, cgrates_yaml.DECK_FROM], ids=["decks", "yaml"])
@pytest.mark.parametrize("tables", list(fixtures()))
def test_what_is_written_costs_what_the_rows_cost_at_all_times(
    tmp_path: Path, tables: dict[str, Any], deck_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgrates_yaml, "DECK_FROM", deck_from)
    (tmp_path / "csv").mkdir()
    assert tables.keys() <= NAMES.keys()
    write_rows(tmp_path / "csv", tables)
    found = import_folder(tmp_path / "csv", KINDS, "EUR", "UTC")
    written = settings_of(found, tmp_path).tariff
    problems = Problems()
    rows = cgrates_rows.parse({name: rows_of(name, lines, name) for name, lines in tables.items()}, problems)
    compiled = compile_rows(rows, found.services, "EUR")
    one_tenant = len({profile.tenant for profile in rows.profiles}) == 1
    tried = 0
    for profile in rows.profiles:
        kind = found.services[profile.category]
        policy = ServicePolicy(profile.category, kind, (), GrantPolicy(1, 1, 1, 1))
        theirs = Account("a", 1, "EUR", f"{profile.tenant}:{profile.subject}")
        name = profile.subject.replace(":", "-")
        ours = Account("a", 1, "EUR", name if one_tenant else f"{profile.tenant}:{name}")
        for prefix in {row.prefix for lines in rows.destinations.values() for row in lines} | {"999999"}:
            for hour in (0, 30, 84, 131):
                usage = 95 * NS_PER_S if MEASURE_OF_KIND[kind] is Measure.TIME else 95
                call = Call(f"{prefix}1", MONDAY + hour * HOUR_NS, usage)
                costs = [cost_of(who, tariff, policy, call) for who, tariff in ((theirs, compiled), (ours, written))]
                assert costs[0][:2] == costs[1][:2] or all(isinstance(cost, NotFound) for cost in costs)
                tried += 1
    assert tried
