"""Conditions of rates: how they are written, chosen among, and what is wrong with them."""

from pathlib import Path

import pytest

from ocs.config.tariff_diff import compare
from ocs.rating.tariff import Found, find_rate
from tests.config.folder import FILES, edited, lines, loaded, sound

PLAIN = '      "*any": {price: 0.01 AUD/MiB, increment: 1 KiB}\n'
HEAD = "peers:\n"


def files(*rates: str, home: str = 'home_networks: ["26201", 310260]\n') -> dict[str, str]:
    found = edited("tariffs/a.yaml", PLAIN, '      "*any":\n' + "".join(f"        - {rate}\n" for rate in rates))
    found["server.yaml"] = FILES["server.yaml"].replace(HEAD, home + HEAD)
    return found


RATES = (
    "{price: 0.01 AUD/MiB, increment: 1 KiB}",
    "{price: 0.02 AUD/MiB, increment: 1 KiB, conditions: {rat: [nr, eutra]}}",
    "{price: 0.03 AUD/MiB, increment: 1 KiB, conditions: {rat: nr, apn: iot.*}}",
    '{free: true, weight: 1, conditions: {roaming: true, plmn: ["208*", 23430], location: "26201", qci: 5}}',
    "{price: 0.09 AUD/MiB, increment: 1 KiB, conditions: {direction: terminating}}",
)


@pytest.mark.conformance("C10", "C16")
@pytest.mark.parametrize(
    ("facts", "cents"),
    [
        ({}, 1),
        ({"rat": "eutra"}, 2),
        ({"rat": "geran"}, 1),
        ({"rat": "nr", "apn": "iot.meter"}, 3),
        ({"rat": "nr", "apn": "internet"}, 2),
        ({"rat": "nr", "roaming": "true", "plmn": "20801", "location": "26201", "qci": "5"}, 0),
        ({"rat": "nr", "roaming": "true", "plmn": "20801", "location": "26202", "qci": "5"}, 2),
        ({"direction": "terminating"}, 9),
    ],
)
def test_the_most_special_rate_that_holds_counts(tmp_path: Path, facts: dict[str, str], cents: int) -> None:
    tariff = sound(tmp_path, files(*RATES)).tariff
    found = find_rate(tariff, "standard", "data", 100, "", 0, None, tuple(sorted(facts.items())))
    assert isinstance(found, Found)
    assert (found.rate.price_nanos, found.rate.free) == (cents * 10**7, not cents)


def test_the_tariff_knows_what_its_rates_ask_for(tmp_path: Path) -> None:
    tariff = sound(tmp_path, files(*RATES)).tariff
    assert tariff.asks == {"rat", "apn", "roaming", "plmn", "location", "qci", "direction"}
    assert tariff.home_networks == {"26201", "310260"}
    assert sound(tmp_path).tariff.asks == frozenset()


def test_a_version_to_come_is_asked_for_beforehand(tmp_path: Path) -> None:
    plans = 'plans: {standard: {data: {"*any": [' + RATES[1] + "]}}}\n"
    later = {"tariffs/b.yaml": "valid_from: 2030-01-01T00:00:00Z\n" + plans}
    tariff = loaded(tmp_path, {**FILES, **later})[0]
    assert tariff is not None
    assert tariff.tariff.asks == {"rat"}


@pytest.mark.parametrize("other", [RATES[1].replace("0.02", "0.04"), RATES[1].replace("eutra", "utran")])
def test_another_condition_is_another_rate_and_another_version(tmp_path: Path, other: str) -> None:
    one = sound(tmp_path, files(RATES[0], RATES[1])).tariff
    two = sound(tmp_path, files(RATES[0], other)).tariff
    assert one.version != two.version
    assert [change.when for change in compare(one, two)] in (["rat=eutra|nr"], ["rat=eutra|nr", "rat=nr|utran"])


BASE = "plans.standard.data.*any"


@pytest.mark.parametrize(
    ("rates", "home", "said"),
    [
        ((RATES[1], RATES[1]), "", "holds at the same times as the rate in"),
        (
            (RATES[0], "{free: true, conditions: {roaming: true}}"),
            "",
            "conditions.roaming: nobody is roaming: server.yaml has no home_networks",
        ),
        ((RATES[0], "{free: true, conditions: {}}"), "", "conditions: the conditions ask for nothing"),
        ((RATES[0], "{free: true, conditions: {rat: 5g}}"), "", 'conditions.rat: "5g" is no access technology'),
        ((RATES[0], "{free: true, conditions: {rat: 6}}"), "", "expected"),
        ((RATES[0], "{free: true, conditions: {plmn: 262}}"), "", 'conditions.plmn: "262" is not a network'),
        ((RATES[0], "{free: true, conditions: {qci: 0}}"), "", 'conditions.qci: "0" is not a QoS class'),
        ((RATES[0], "{free: true, conditions: {apn: Internet}}"), "", 'conditions.apn: "Internet" is not an access'),
        ((RATES[0], RATES[1]), "home_networks: [262]\n", 'home_networks[0]: "262" is not a network'),
        ((RATES[0], RATES[1]), "home_networks: [26201, 26201]\n", 'the network "26201" is given twice'),
    ],
)
def test_what_is_wrong_with_conditions(tmp_path: Path, rates: tuple[str, ...], home: str, said: str) -> None:
    _, found = loaded(tmp_path, files(*rates, home=home))
    printed = lines(tmp_path, found)
    assert any(said in line and ":" in line for line in printed), printed
    assert not any("warning" in line for line in printed if said in line)


def test_conditional_rates_fill_no_gap_and_hide_nothing(tmp_path: Path) -> None:
    heavy = "{free: true, weight: 9, conditions: {rat: nr}}"
    assert sound(tmp_path, files(RATES[0], heavy))
    timed = (
        "{price: 0.01 AUD/MiB, increment: 1 KiB, when: day}",
        heavy,
    )
    spoilt = files(*timed)
    spoilt["tariffs/a.yaml"] += 'timings: {day: {time: "08:00-20:00"}}\n'
    _, found = loaded(tmp_path, spoilt)
    assert [line for line in lines(tmp_path, found) if "no rate on" in line]
