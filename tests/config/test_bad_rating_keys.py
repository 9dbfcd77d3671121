"""What can be wrong with tiers, timings, profiles, versions and shared groups is named with its place.

As in test_bad_values: `¦` marks where the problem has to be reported.
"""

from typing import NamedTuple

import pytest

from tests.config.folder import FILES, SUBSCRIBERS, TARIFF, lines, loaded

T, U = "tariffs/a.yaml", "subscribers.yaml"
MOBILE = "plans.standard.voice.au-mobile"
PRICED = "price: 0.22 AUD/min, increment: 1s"


class Case(NamedTuple):
    file: str
    text: str
    said: str


def rate(written: str, path: str, said: str) -> Case:
    """Another rate of au-mobile."""
    return Case(T, TARIFF.replace(f"{{{PRICED}}}", written), f"{MOBILE}{path}: {said}")


def tier(written: str, path: str, said: str) -> Case:
    return rate(f"{{{PRICED}, tiers: [{written}]}}", f".tiers{path}", said)


def more(written: str, said: str) -> Case:
    """Something added to the tariff file."""
    return Case(T, TARIFF + written, said)


def timing(written: str, path: str, said: str) -> Case:
    return more(f"timings: {{x: {{{written}}}}}\n", f"timings.x.{path}: {said}")


def balance(written: str, path: str, said: str, old: str = "value: 1 GiB") -> Case:
    """More of a balance: of the volume, or of another one."""
    name = {"value: 1 GiB": "volume", "value: 100 min": "minutes", "value: 50.00 AUD": "money"}[old]
    text = SUBSCRIBERS.replace(old, f"{old}, {written}")
    return Case(U, text, f"accounts.alice.balances.{name}.{path}: {said}")


WEEK_DAY = "expected mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri"
MONTH_DAY = "expected 1 to 31, last, or a range such as 1-7"
TIME = "expected begin and end of a time of day such as 08:00-19:00, or 20:00-06:00 over midnight"
SUBJECT = "accounts.alice.balances.volume.rating_subject"
FREE_GROUPS = 'data: {"*any": {free: true}}, sms: {"*any": {free: true}}'

CASES = [
    tier("¦{from: 60s}", "[0]", "the tier has no price, expected price, or free: true"),
    tier(
        "¦{price: 0.10 AUD/min}",
        "[0]",
        '"from" is missing, expected a duration such as 60s, a volume such as 10 MiB, or a whole number',
    ),
    tier(
        "{from: ¦0s, price: 0.10 AUD/min}",
        "[0].from",
        "the tier begins at 0, expected more than 0: before it stands the price of the rate itself",
    ),
    tier(
        "{from: 1h, price: 0.10 AUD/min}, {from: ¦1h, price: 0.05 AUD/min}",
        "[1].from",
        "the tier does not begin after the one before it, expected more than 1 h",
    ),
    tier(
        "{from: ¦1 MiB, price: 0.10 AUD/min}",
        "[0].from",
        "the tier begins at a volume, but the rate counts time, expected a duration",
    ),
    tier(
        "{from: 60s, price: ¦0.10 AUD/MiB}",
        "[0].price",
        "is a price per volume, but the service counts time, expected a price per time such as 0.22 AUD/min",
    ),
    tier(
        "{from: 60s, price: ¦0 AUD/min}",
        "[0].price",
        "the price is 0, expected an amount above 0, or free: true where it costs nothing",
    ),
    tier(
        "{from: 60s, price: ¦1 EUR/min}", "[0].price", "the price is in EUR, expected AUD, the currency of the tariff"
    ),
    tier(
        "{from: 60s, price: ¦0.10 AUD/min, free: true}",
        "[0].price",
        "free: true and price exclude each other, expected one of them",
    ),
    tier(
        "{from: 60s, price: 0.10 AUD/min, increment: ¦0s}",
        "[0].increment",
        "the increment is 0, expected a duration such as 1s",
    ),
    rate("{" + PRICED + ", tiers: ¦[]}", ".tiers", "the list is empty, expected at least one entry"),
    rate(
        "¦{tiers: [{from: 60s, price: 0.10 AUD/min, increment: 1s}]}",
        "",
        "the rate has no price, expected price, connect_fee or free: true for what comes before the first tier",
    ),
    rate(
        "{connect_fee: 1 AUD, tiers: [¦{from: 60s, price: 0.10 AUD/min}]}",
        ".tiers[0]",
        '"increment" is missing, expected a duration such as 1s',
    ),
    rate(
        "{" + PRICED + ", rounding: ¦{decimals: 2}, tiers: [{from: 60s, price: 0.001 AUD/min}]}",
        ".rounding",
        "rounding makes 1 min cost nothing, expected more decimals, or the method up",
    ),
    rate(
        "{" + PRICED + ", max_cost: ¦2 AUD}", ".max_cost", '"max_cost_strategy" is missing, expected free or disconnect'
    ),
    rate(
        "{" + PRICED + ", max_cost_strategy: ¦free}",
        ".max_cost_strategy",
        "there is no max_cost that max_cost_strategy could speak of",
    ),
    rate(
        "{" + PRICED + ", max_cost: ¦0 AUD, max_cost_strategy: free}",
        ".max_cost",
        "the maximum cost is 0, expected an amount above 0, or no max_cost at all",
    ),
    rate(
        "{connect_fee: 1 AUD, max_cost: ¦2 AUD, max_cost_strategy: free}",
        ".max_cost",
        "a max_cost without a price has no meaning: it does not limit the connect fee, "
        "expected a price, or no max_cost",
    ),
    rate("{when: ¦peek, " + PRICED + "}", ".when", 'there is no timing "peek", expected one of timings'),
    rate(
        "[{" + PRICED + "}, ¦{" + PRICED + "}]",
        "[1]",
        f"holds at the same times as the rate in {T}:9:19, with the same weight, "
        "expected another weight, or another timing in when",
    ),
    timing("week_days: ¦1", "week_days", f'"1" is not a day of the week, {WEEK_DAY}, did you mean mon?'),
    timing(
        "week_days: [mon-¦fry]".replace("¦", "").replace("[mon", "[¦mon"),
        "week_days[0]",
        f'"fry" is not a day of the week, {WEEK_DAY}, did you mean fri?',
    ),
    timing("week_days: ¦Monday", "week_days", f'"Monday" is not a day of the week, {WEEK_DAY}, did you mean mon?'),
    timing("month_days: ¦32", "month_days", f'"32" is not a day of the month, {MONTH_DAY}'),
    timing("month_days: ¦last-3", "month_days", f'"last-3" runs backwards, {MONTH_DAY}'),
    timing("month_days: ¦7-1", "month_days", f'"7-1" runs backwards, {MONTH_DAY}'),
    timing("years: ¦99", "years", '"99" is not a year, expected a year such as 2026, or a range such as 2026-2028'),
    timing("months: ¦[]", "months", "the list is empty, expected at least one entry"),
    timing("time: ¦8:00-19:00", "time", f'"8:00-19:00" is not a time of day, {TIME}, did you mean 08:00-19:00?'),
    timing("time: ¦20:00", "time", f'"20:00" is not a time of day, {TIME}'),
    timing("time: ¦08:60-19:00", "time", f'"08:60-19:00" has a time that no clock shows, {TIME}'),
    timing("time: ¦08:00-24:01", "time", f'"08:00-24:01" has a time that no clock shows, {TIME}'),
    timing(
        "time: ¦08:00-08:00",
        "time",
        f'"08:00-08:00" begins and ends at the same time, {TIME}, 00:00-24:00 is the whole day',
    ),
    more(
        "time_zone: ¦Australia/Sidney\n",
        'time_zone: there is no time zone "Australia/Sidney", expected a name such as Australia/Sydney, or UTC, '
        "did you mean Australia/Sydney?",
    ),
    more(
        "profiles: {x: {voice: {plan: ¦standart}}}\n",
        'profiles.x.voice.plan: there is no plan "standart", expected a plan of the tariff files, '
        "did you mean standard?",
    ),
    more(
        "profiles: {x: {¦voce: {plan: standard}}}\n",
        'profiles.x.voce: server.yaml has no service "voce", expected one of its services, or "*any", '
        "did you mean voice?",
    ),
    more(
        "profiles: {x: {voice: {plan: standard, fallback: ¦y}}}\n",
        'profiles.x.voice.fallback: there is no profile or plan "y", expected a profile or plan of the tariff files',
    ),
    more(
        "profiles: {x: {voice: [{plan: standard}, {from: ¦1970-01-01T00:00:00Z, plan: standard}]}}\n",
        'profiles.x.voice[1].from: "standard" begins at the same time, expected one plan at a time',
    ),
    more(
        'profiles: {x: {"*any": {plan: standard, fallback: y}}, y: {"*any": {plan: standard, fallback: [¦x]}}}\n',
        "profiles.y.*any.fallback[0]: the fallbacks run in a circle: x -> y -> x",
    ),
    more(
        "profiles: {¦a:b:c: {voice: {plan: standard}}}\n",
        'profiles.a:b:c: "a:b:c" is not an id, expected an id, TENANT:ID, or "*any"',
    ),
    more("profiles: {x: ¦{}}\n", "profiles.x: the mapping is empty, expected at least one entry"),
    more(
        "shared_groups: {x: {members: [alice, ¦alice]}}\n",
        'shared_groups.x.members[1]: the member "alice" is given twice',
    ),
    more(
        "shared_groups: {x: {members: [alice], strategy: ¦mine_frist}}\n",
        'shared_groups.x.strategy: "mine_frist" is not known here, '
        "expected mine_first, mine_lowest, mine_highest, lowest or highest, did you mean mine_first?",
    ),
    more(
        "valid_from: ¦2027-01-01T00:00:00Z\n",
        "valid_from: before this there is no tariff at all, expected no valid_from in the first version",
    ),
    balance(
        "categories: [¦voce]",
        "categories[0]",
        'server.yaml has no service "voce", expected one of its services, did you mean voice?',
    ),
    balance("timings: ¦peak", "timings", 'there is no timing "peak", expected a timing of the tariff files'),
    balance(
        "shared_group: ¦family",
        "shared_group",
        'there is no shared group "family", expected a shared group of the tariff files',
    ),
    balance(
        "rating_subject: ¦gold",
        "rating_subject",
        'there is no plan or profile "gold", expected a plan or profile of the tariff files',
    ),
    balance(
        'rating_subject: ¦"*zero1m"',
        "rating_subject",
        '"*zero1m" is a time, but the balance has none, expected a number of what it counts, such as *zero1024',
    ),
    balance(
        'rating_subject: ¦"*zero60"',
        "rating_subject",
        '"*zero60" has no unit, expected a time such as *zero1s',
        "value: 100 min",
    ),
    balance(
        'rating_subject: ¦"*zero0s"',
        "rating_subject",
        '"*zero0s" is not a rating subject, '
        "expected a profile or plan, or free slices such as *zero1s, *zero1m, or *zero1024 of what is counted",
        "value: 100 min",
    ),
    balance(
        'rating_subject: ¦"*zero1s"',
        "rating_subject",
        "free slices have no meaning with money, expected a profile or plan",
        "value: 50.00 AUD",
    ),
    balance(
        'factors: ¦{"*any": 2}',
        "factors",
        "factors have no meaning with money, expected no such key",
        "value: 50.00 AUD",
    ),
    balance(
        'rating_subject: standard, factors: ¦{"*any": 2}',
        "factors",
        "factors have no meaning with a rating subject that has prices, expected one of them",
    ),
    balance(
        'factors: {"*any": ¦1/0}',
        "factors.*any",
        '"1/0" is not a factor, expected a fraction such as 1/60 or a decimal such as 0.5',
    ),
    balance(
        'factors: {"*any": ¦0}',
        "factors.*any",
        "the factor is 0, expected a fraction such as 1/60 or a decimal such as 0.5",
    ),
    balance(
        "factors: {¦vioce: 1/60}",
        "factors.vioce",
        'server.yaml has no service "vioce", expected one of its services, did you mean voice?',
    ),
    Case(
        U,
        SUBSCRIBERS + "    counters: {x: {kind: voice, counts: usage, balance: ¦x}}\n",
        "accounts.bob.counters.x.balance: a counter of usage counts no balance, expected counts: balances",
    ),
    Case(
        U,
        SUBSCRIBERS + "    counters: {x: ¦{kind: voice}}\n",
        'accounts.bob.counters.x: "counts" is missing, expected usage or balances',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.said[:60])
def test_a_problem_is_named_with_its_place(case, tmp_path):
    before, mark, _ = case.text.partition("¦")
    assert mark
    place = f"{case.file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    settings, found = loaded(tmp_path, {**FILES, case.file: case.text.replace("¦", "")})
    assert settings is None
    assert lines(tmp_path, [each for each in found if each.severity.value == "error"]) == [f"{place} {case.said}"]


WARNED = [
    tier(
        "{from: ¦90s, price: 0.10 AUD/min}",
        "[0].from",
        "warning: the tier begins within an increment of 1 min: what that fills up is taken off the tier",
    )._replace(text=TARIFF.replace("increment: 1s}", "increment: 60s, tiers: [{from: ¦90s, price: 0.10 AUD/min}]}")),
    more(
        "shared_groups: {x: {members: [alice, ¦bobb]}}\n",
        'shared_groups.x.members[1]: warning: the shared group "x" has a member that no account of subscribers.yaml '
        'is: "bobb", did you mean bob?',
    ),
    Case(
        U,
        SUBSCRIBERS + "    counters: {x: {kind: voice, counts: balances, balance: ¦x}}\n",
        'accounts.bob.counters.x.balance: warning: the account has no balance "x"',
    ),
    more(
        "profiles:\n  ¦p0: {voice: {plan: standard, fallback: p1}}\n"
        + "".join(f"  p{n}: {{voice: {{plan: standard, fallback: p{n + 1}}}}}\n" for n in (1, 2, 3))
        + "  p4: {voice: {plan: standard}}\n",
        'profiles.p0: warning: "p0" leads over 4 fallbacks, but only 3 are ever asked',
    ),
]


@pytest.mark.parametrize("case", WARNED, ids=lambda case: case.said[:60])
def test_a_warning_is_named_with_its_place(case, tmp_path):
    before, mark, _ = case.text.partition("¦")
    assert mark
    place = f"{case.file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    settings, found = loaded(tmp_path, {**FILES, case.file: case.text.replace("¦", "")})
    assert settings is not None
    assert f"{place} {case.said}" in lines(tmp_path, found)


def test_a_long_chain_of_fallbacks_is_no_trouble(tmp_path):
    chain = "".join(f'\n  p{n}: {{"*any": {{plan: standard, fallback: p{n + 1}}}}}' for n in range(3_000))
    settings, found = loaded(
        tmp_path, {**FILES, T: TARIFF + f"profiles:{chain}\n  p3000: {{voice: {{plan: standard}}}}\n"}
    )
    assert settings is not None
    assert found[-1].message == '"p2996" leads over 4 fallbacks, but only 3 are ever asked'


def test_a_balance_in_a_group_of_others_is_warned_about(tmp_path):
    files = {
        **FILES,
        T: TARIFF + "shared_groups: {x: {members: [bob]}}\n",
        U: SUBSCRIBERS.replace("value: 1 GiB", "value: 1 GiB, shared_group: x"),
    }
    _, found = loaded(tmp_path, files)
    assert lines(tmp_path, found) == [
        (
            f"{U}:9:56 accounts.alice.balances.volume.shared_group: warning: nobody else may use it: "
            '"alice" is no member of the shared group "x", expected alice among its members'
        )
    ]
