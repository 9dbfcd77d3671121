"""Values with units are read exactly, written back the same, and refused with a hint on what was meant."""

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs import units
from ocs.rating.units import Measure
from ocs.units import MalformedError, Money, Price, Quantity

AMOUNTS = st.integers(0, units.VALUE_MAX)
CURRENCIES = st.sampled_from(["AUD", "EUR", "JPY", "KWD", "CLF"])
MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.22 AUD", Money(220_000_000, "AUD")),
        ("50.00 AUD", Money(50_000_000_000, "AUD")),
        ("50AUD", Money(50_000_000_000, "AUD")),
        ("0 JPY", Money(0, "JPY")),
        ("-1.5 EUR", Money(-1_500_000_000, "EUR")),
        ("0.000000001 AUD", Money(1, "AUD")),
        ("0.0000000010000 AUD", Money(1, "AUD")),
        ("9223372036.854775807 AUD", Money(2**63 - 1, "AUD")),
    ],
)
def test_money_is_read_to_the_nano(text, expected):
    assert units.parse_money(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.22 AUD/min", Price(220_000_000, "AUD", MINUTE, Measure.TIME)),
        ("0.22 AUD / min", Price(220_000_000, "AUD", MINUTE, Measure.TIME)),
        ("1 AUD/h", Price(1_000_000_000, "AUD", 60 * MINUTE, Measure.TIME)),
        ("0.10 AUD/30 s", Price(100_000_000, "AUD", MINUTE // 2, Measure.TIME)),
        ("0.01 AUD/MiB", Price(10_000_000, "AUD", 1_048_576, Measure.OCTETS)),
        ("0.01 AUD/MB", Price(10_000_000, "AUD", 1_000_000, Measure.OCTETS)),
        ("5 AUD/100 MiB", Price(5_000_000_000, "AUD", 104_857_600, Measure.OCTETS)),
        ("0.05 AUD", Price(50_000_000, "AUD", 1, Measure.EVENTS)),
        ("0.05 AUD/1", Price(50_000_000, "AUD", 1, Measure.EVENTS)),
        ("4 AUD/100", Price(4_000_000_000, "AUD", 100, Measure.EVENTS)),
        ("-0.22 AUD/s", Price(-220_000_000, "AUD", MINUTE // 60, Measure.TIME)),
    ],
)
def test_a_price_is_an_amount_per_unit(text, expected):
    assert units.parse_price(text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("60 s", 60),
        ("5 min", 300),
        ("1h", 3_600),
        ("1 d", 86_400),
        ("100 ms", Fraction(1, 10)),
        ("1.5 h", 5_400),
        ("0.000000001 s", Fraction(1, 10**9)),
        ("1 h 30 min", 5_400),
        ("1h30min5s", 5_405),
    ],
)
def test_durations(text, seconds):
    assert units.parse_duration(text) == seconds * 10**9
    assert units.parse_quantity(text) == Quantity(seconds * 10**9, Measure.TIME)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("1 B", 1),
        ("1 KiB", 1_024),
        ("100 MiB", 104_857_600),
        ("0.5 GiB", 2**29),
        ("1 TiB", 2**40),
        ("1 kB", 1_000),
        ("1 KB", 1_000),
        ("1 MB", 10**6),
        ("1GB", 10**9),
        ("2 TB", 2 * 10**12),
    ],
)
def test_volumes_are_binary_or_decimal_as_written(text, octets):
    assert units.parse_octets(text) == octets
    assert units.parse_quantity(text) == Quantity(octets, Measure.OCTETS)


def test_counts():
    assert units.parse_count("20") == 20
    assert units.parse_quantity("0") == Quantity(0, Measure.EVENTS)


NOT_MONEY = {
    "0,10 AUD": "use a dot for decimals: 0.10 AUD",
    "1,000 AUD": "write the digits without separators",
    "1_000 AUD": "write the digits without separators",
    "1'000 AUD": "write the digits without separators",
    ".5 AUD": "write the zero before the dot: 0.5 AUD",
    "044 AUD": "drop the leading zeros",
    "0.22": "the currency is missing",
    "0.22 aud": "did you mean 0.22 AUD?",
    "AUD 0.22": "the currency goes after the amount",
    "$0.22": "write the currency as its ISO 4217 code, after the amount",
    "1e3 AUD": "",
    "0x10 AUD": "",
    "٣ AUD": "",
    "1. AUD": "",
    "": "",
    "AUD": "",
    "0.22 AUD/min": "",
    " 0.22 AUD": "",
    "0.0000000001 AUD": "",
    "9223372036.854775808 AUD": "",
    f"{'9' * 5_000} AUD": "",
}


@pytest.mark.parametrize(("text", "hint"), NOT_MONEY.items(), ids=[text[:20] for text in NOT_MONEY])
def test_what_is_not_money_is_refused_with_a_hint(text, hint):
    with pytest.raises(MalformedError) as refused:
        units.parse_money(text)
    assert refused.value.hint == hint
    assert refused.value.expected == "an amount with currency such as 50.00 AUD"


NOT_A_PRICE = {
    "0.22": "the currency is missing",
    "0.22/min": "the currency is missing",
    "0,22 AUD/min": "use a dot for decimals: 0.22 AUD/min",
    "0.22 aud/min": "did you mean 0.22 AUD/min?",
    "0.22 AUD/m": "did you mean min?",
    "0.22 AUD/minute": "did you mean min?",
    "0.22 AUD/mib": "did you mean MiB?",
    "0.22 AUD/": "",
    "0.22 AUD/mni": "",
    "0.22 AUD/0 s": "",
    "0.22 AUD/1/2": "",
    "/min": "",
}


@pytest.mark.parametrize(("text", "hint"), NOT_A_PRICE.items())
def test_what_is_not_a_price_is_refused_with_a_hint(text, hint):
    with pytest.raises(MalformedError) as refused:
        units.parse_price(text)
    assert refused.value.hint == hint
    assert refused.value.expected == units.PRICE_EXPECTED


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("20:00", '"20:00" is not a duration', ""),
        ("60", '"60" is not a duration', ""),
        ("1 sec", '"1 sec" is not a duration: there is no unit "sec"', "did you mean s?"),
        ("1 H", '"1 H" is not a duration: there is no unit "H"', "did you mean h?"),
        ("1 MiB", '"1 MiB" is not a duration: there is no unit "MiB"', ""),
        ("30 s 1 min", '"30 s 1 min" is not a duration: larger units come first', ""),
        ("1 s 1 s", '"1 s 1 s" is not a duration: larger units come first', ""),
        ("-1 s", '"-1 s" is not a duration', "negative amounts make no sense here"),
        ("1 s ", '"1 s " is not a duration', ""),
        ("1s\n", '"1s\n" is not a duration', ""),
        ("0.0000000001 s", "0.0000000001 has more than 9 decimals", ""),
        ("0.0001 ms", None, None),
        ("0.0000001 ms", "0.0000001 is not a whole number of base units", ""),
        ("1000000000 d", "1000000000 is too large", ""),
    ],
)
def test_what_is_not_a_duration_is_refused(text, message, hint):
    if message is None:
        assert units.parse_duration(text) == 100
        return
    with pytest.raises(MalformedError) as refused:
        units.parse_duration(text)
    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize("text", ["0.5 B", "1 mb", "1 Mib", "10", "1 GiB 1 GiB", "1e3 B", "9000000 TiB"])
def test_what_is_not_a_volume_is_refused(text):
    with pytest.raises(MalformedError):
        units.parse_octets(text)


@pytest.mark.parametrize("text", ["", "044", "1_000", "1,000", "-1", "1.0", "1e3", "0x10", "NO", "9" * 19, "9" * 5_000])
def test_what_is_not_a_count_is_refused(text):
    with pytest.raises(MalformedError):
        units.parse_count(text)
    with pytest.raises(MalformedError):
        units.parse_quantity(text)


def test_a_message_says_what_was_wrong_expected_and_meant():
    with pytest.raises(MalformedError) as refused:
        units.parse_money("0.22 aud")
    assert str(refused.value) == (
        '"0.22 aud" is not an amount of money, expected an amount with currency such as 50.00 AUD, '
        "did you mean 0.22 AUD?"
    )


# --- writing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nanos", "currency", "text"),
    [
        (10_000_000_000, "AUD", "10.00"),
        (9_997_050_781, "AUD", "9.997050781"),
        (0, "AUD", "0.00"),
        (-1, "AUD", "-0.000000001"),
        (-1_500_000_000, "AUD", "-1.50"),
        (123_456_000_000, "AUD", "123.456"),
        (10_000_000_000, "JPY", "10"),
        (10_500_000_000, "JPY", "10.5"),
        (10_500_000_000, "KWD", "10.500"),
        (1_000_000_000, "UYW", "1.0000"),
    ],
)
def test_money_has_the_minor_digits_of_its_currency_and_no_zeros_beyond(nanos, currency, text):
    assert units.format_money(nanos, currency) == text


@given(st.integers(-units.VALUE_MAX, units.VALUE_MAX), CURRENCIES)
def test_money_survives_the_round_trip(nanos, currency):
    text = units.format_money(nanos, currency)
    assert units.parse_money(f"{text} {currency}") == Money(nanos, currency)
    assert units.parse_decimal(text) == nanos
    assert Decimal(text) * 10**9 == nanos


@given(AMOUNTS, CURRENCIES, st.integers(1, units.VALUE_MAX), st.sampled_from(Measure))
def test_a_price_survives_the_round_trip(nanos, currency, unit_size, measure):
    price = Price(nanos, currency, unit_size, measure)
    assert units.parse_price(units.format_price(price)) == price


@pytest.mark.parametrize(
    "text", ["0.22 AUD/min", "0.01 AUD/MiB", "0.05 AUD", "1.00 AUD/100", "0.10 AUD/30 s", "10 JPY/h"]
)
def test_a_price_is_written_as_people_write_it(text):
    assert units.format_price(units.parse_price(text)) == text


@given(AMOUNTS)
def test_a_duration_survives_the_round_trip(duration_ns):
    assert units.parse_duration(units.format_duration_ns(duration_ns)) == duration_ns


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0 s"),
        (100_000_000, "0.1 s"),
        (60_000_000_000, "1 min"),
        (90_000_000_000, "1 min 30 s"),
        (5_400_000_000_000, "1 h 30 min"),
        (86_401_500_000_000, "1 d 1.5 s"),
        (-1_000_000_000, "-1 s"),
    ],
)
def test_durations_for_people(duration_ns, text):
    assert units.format_duration_ns(duration_ns) == text


@given(AMOUNTS, st.sampled_from(Measure))
def test_amounts_of_usage_stay_exact(amount, measure):
    text = units.format_measured(amount, measure)
    assert units.parse_measured(text, measure) == amount
    assert units.parse_quantity(text) == Quantity(amount, measure)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (308_400, "301.17 KiB"),
        (10_485_760, "10 MiB"),
        (1_610_612_736, "1.5 GiB"),
        (-1_024, "-1 KiB"),
        (2**40, "1 TiB"),
    ],
)
def test_volumes_for_people(octets, text):
    assert units.format_octets(octets) == text


@given(st.integers(1_024, units.VALUE_MAX))
def test_a_volume_for_people_is_right_to_half_a_percent(octets):
    number, unit = units.format_octets(octets).split()
    assert abs(Fraction(number) * units.OCTETS_BY_UNIT[unit] - octets) <= Fraction(octets, 200)


# --- points in time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-21T20:05:00Z", 1_795_291_500_000_000_000),
        ("2026-11-21t21:05:00+01:00", 1_795_291_500_000_000_000),
        ("2026-11-21 15:05:00.000000001-05:00", 1_795_291_500_000_000_001),
        ("2024-02-29T23:59:59.5Z", 1_709_251_199_500_000_000),
    ],
)
def test_points_in_time_are_read(text, at_ns):
    assert units.parse_rfc3339(text) == at_ns


@given(st.integers(0, units.VALUE_MAX - 10**9))
def test_a_point_in_time_survives_the_round_trip(at_ns):
    text = units.format_rfc3339(at_ns)
    assert units.parse_rfc3339(text) == at_ns
    assert text.endswith("Z")


def test_a_point_in_time_is_written_in_utc():
    assert units.format_rfc3339(units.parse_rfc3339("2026-11-21T21:05:00+01:00")) == "2026-11-21T20:05:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T20:05:00",
        "2026-11-21",
        "2026-02-29T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T23:59:60Z",
        "2026-11-21T20:05:00+24:00",
        "1969-12-31T23:59:59Z",
        "2263-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "tomorrow",
        "2026-11-21T20:05Z",
        "٢٠٢٦-11-21T20:05:00Z",
    ],
)
def test_what_is_not_a_point_in_time_is_refused(text):
    with pytest.raises(MalformedError):
        units.parse_rfc3339(text)


def test_a_missing_zone_is_hinted_at():
    with pytest.raises(MalformedError) as refused:
        units.parse_rfc3339("2026-11-21T20:05:00")
    assert refused.value.hint == "add the zone, Z for UTC"


@given(st.text(max_size=30) | st.from_regex(r"[-0-9., ]{0,6}[A-Za-z /]{0,8}", fullmatch=True))
def test_no_text_makes_a_parser_fail_otherwise(text):
    parsers = (
        units.parse_money,
        units.parse_price,
        units.parse_decimal,
        units.parse_duration,
        units.parse_octets,
        units.parse_count,
        units.parse_quantity,
        units.parse_rfc3339,
    )
    for parse in parsers:
        with suppress(MalformedError):
            assert parse(text) is not None


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("1/60", (1, 60)),
        ("2 / 4", (1, 2)),
        ("0.5", (1, 2)),
        ("2", (2, 1)),
        ("1.25", (5, 4)),
        ("0.000000001", (1, 10**9)),
        ("999999999999/1", (999_999_999_999, 1)),
    ],
)
def test_ratios_are_exact_and_reduced(text, ratio):
    assert units.parse_ratio(text) == ratio


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("0", ""),
        ("0.0", ""),
        ("0/1", ""),
        ("1/0", ""),
        ("-1", "negative amounts make no sense here"),
        ("1/", ""),
        ("1.5/2", ""),
        ("0,5", "use a dot for decimals: 0.5"),
        (".5", "write the zero before the dot: 0.5"),
        ("1e3", ""),
        ("1000000000000/1", ""),
        ("0.0000000001", ""),
        ("\u0661/2", ""),
    ],
)
def test_what_is_no_ratio_is_refused(text, hint):
    with pytest.raises(MalformedError) as caught:
        units.parse_ratio(text)
    assert (caught.value.expected, caught.value.hint) == (units.RATIO_EXPECTED, hint)
