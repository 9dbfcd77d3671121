"""CSV decks: the same rates as in YAML, problems by file, line and column, and 200,000 prices in seconds."""

import pytest

from ocs.config import deck as decks
from ocs.config import load
from ocs.rating.prices import Rate, price
from ocs.rating.tariff import Found, NotFound, find_rate
from ocs.rating.units import NS_PER_S, Measure
from tests.config.folder import FILES, TARIFF, lines, loaded, sound, write

CSV = "tariffs/rates/intl.csv"
WITH_DECK = TARIFF.replace("    voice:\n", "    voice:\n      deck: rates/intl.csv\n")
MINUTE = 60 * NS_PER_S


def with_deck(text, tariff=WITH_DECK):
    return {**FILES, "tariffs/a.yaml": tariff, CSV: text}


def found(settings, number):
    rate = find_rate(settings.tariff, "standard", "voice", None, number)
    assert isinstance(rate, Found), rate
    return rate


def errors(folder, text, tariff=WITH_DECK):
    settings, problems = loaded(folder, with_deck(text, tariff))
    assert settings is None
    return [line.removeprefix(f"{CSV}:").strip() for line in lines(folder, problems)]


HEAD = "prefix,destination,price,increment\n"


def test_a_deck_sells_its_prefixes(tmp_path):
    settings = sound(
        tmp_path,
        with_deck(
            "# bought in March\nprefix,destination,price,increment,connect_fee\n\n"
            "4930,germany-berlin,0.11 AUD/min,60s,\n"
            '49,"germany, rest",0.10 AUD/min,60s,\n'
            "33,,0.20 AUD/min,1s,0.05 AUD\n"
            "4931,germany-ulm,0.10 AUD/min,60s,0.05 AUD\n"
            "4932,germany-jena,0.11 AUD/min,60s\n"
            "*any,world,1 AUD/min,60s\n"
        ),
    )
    assert found(settings, "4930123")[:2] == ("4930", "germany-berlin")
    assert found(settings, "4940123")[:2] == ("49", "germany, rest")
    assert found(settings, "33123")[:2] == ("33", "33")
    assert found(settings, "7").destination_id == "world"
    assert found(settings, "61412").rate.price_nanos == 220_000_000
    assert found(settings, "33").rate == Rate(
        "standard/voice/deck", Measure.TIME, 200_000_000, MINUTE, NS_PER_S, 50_000_000
    )
    assert found(settings, "4930").rate is found(settings, "4932").rate


def test_every_option_of_a_rate_may_be_a_column(tmp_path):
    tariff = WITH_DECK + "timings: {peak: {week_days: mon-fri}}\n"
    head = (
        "when;weight;prefix;price;increment;fee_per;connect_fee;"
        "rounding_decimals;rounding_method;max_cost;max_cost_strategy;free"
    )
    rows = "peak;5;49;0.10 AUD/min;1s;group;1 AUD;2;up;5 AUD;disconnect;\n;;49;;;;;;;;;true\n"
    settings = sound(tmp_path, with_deck(f"{head}\n{rows}", tariff))
    peak, free = settings.tariff.plans["standard"].services["voice"].any_group.find("49")[1]
    assert (peak.weight, peak.timing.id, free.weight, free.timing) == (5, "peak", 0, None)
    assert free.rate.free
    rate = peak.rate
    assert (rate.fee_per_group, rate.rounding_nanos, rate.rounding) == (True, 10_000_000, "up")
    assert (rate.max_cost_nanos, rate.disconnect) == (5_000_000_000, True)
    assert price(rate, 1) == 10_000_000


def test_the_separator_may_be_a_tab_and_the_file_may_come_from_a_spreadsheet(tmp_path):
    text = "\ufeff" + HEAD.replace(",", "\t") + "49\tgermany\t0.10 AUD/min\t60s\r\n"
    assert found(sound(tmp_path, with_deck(text)), "49").destination_id == "germany"


def test_the_deck_is_part_of_the_version_its_order_and_name_are_not(tmp_path):
    rows = ["49,de,0.10 AUD/min,60s\n", "33,fr,0.20 AUD/min,60s\n"]
    versions = [
        sound(tmp_path, files).tariff.version
        for files in (
            with_deck(HEAD + "".join(rows)),
            with_deck(HEAD + "".join(reversed(rows))),
            {
                **FILES,
                "tariffs/a.yaml": WITH_DECK.replace("intl.csv", "b.csv"),
                "tariffs/rates/b.csv": HEAD + "".join(rows),
            },
            with_deck(HEAD + rows[0]),
            with_deck(HEAD + "".join(rows).replace("fr", "france")),
        )
    ]
    assert versions[0] == versions[1] == versions[2]
    assert len({versions[0], versions[3], versions[4]}) == 3


def test_rates_in_yaml_stand_beside_a_deck_by_weight(tmp_path):
    text = HEAD + "614,mobile,0.30 AUD/min,60s\n49,germany,0.10 AUD/min,60s\n"
    (line,) = errors(tmp_path, text)
    assert line == (
        f'2:1: the prefix 614 has two rates in standard/voice: "mobile" ({CSV}:2:1) and "au-mobile" '
        "(tariffs/a.yaml:3:26), expected each prefix in one of the destinations, or rates of different weight"
    )
    tariff = WITH_DECK.replace("au-mobile: {price", "au-mobile: {weight: 1, price")
    settings, problems = loaded(tmp_path, with_deck(text, tariff))
    assert settings is not None
    assert found(settings, "614").destination_id == "au-mobile"
    assert [each.message for each in problems] == [
        "this rate never counts: others of more weight hold at all its times"
    ]


PRICE = "an amount with currency and unit such as 0.22 AUD/min, 0.01 AUD/MiB or 0.05 AUD"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "49,de,0.10 AUD/min,60s\n33,fr,0.20,60s\n",
            f'3:7 price: "0.20" is not a price, expected {PRICE}, the currency is missing',
        ),
        (
            HEAD + '49,"d,e",0.10 EUR/min,60s\n',
            "2:10 price: the price is in EUR, expected AUD, the currency of the tariff",
        ),
        (HEAD + "49,de,0.10 AUD/min,\n", '2:1: "increment" is missing, expected a duration such as 1s'),
        (HEAD + "49,de,0.10 AUD/min\n", '2:1: "increment" is missing, expected a duration such as 1s'),
        (HEAD + "49,de,,\n", "2:1: the rate has no price, expected price, connect_fee or free: true"),
        (
            HEAD + "49,de,0 AUD/min,60s\n",
            "2:7 price: the price is 0, expected an amount above 0, or free: true where it costs nothing",
        ),
        (
            HEAD + " +49,de,0.10 AUD/min,60s\n",
            '2:2 prefix: "+49" is not a prefix, expected 1 to 15 digits, country code first, write 49',
        ),
        (
            HEAD + "6.14E+11,de,0.10 AUD/min,60s\n",
            '2:1 prefix: "6.14E+11" is not a prefix, expected 1 to 15 digits, country code first',
        ),
        (
            HEAD + "0049,de,0.10 AUD/min,60s\n",
            (
                "2:1: the prefix 0049 never matches: numbers that begin so become 49..., "
                "expected the country code first, write 49"
            ),
        ),
        (
            HEAD + "49,a,1 AUD/min,60s\n49,b,2 AUD/min,60s\n",
            (
                f'3:1: the prefix 49 has two rates in standard/voice: "b" ({CSV}:3:1) and "a" ({CSV}:2:1), '
                "expected each prefix in one of the destinations, or rates of different weight"
            ),
        ),
        (HEAD + "49,de,1 AUD/min,60s,x\n", "2:1: has 5 cells, expected 4 as the first line"),
        ("prefix,prise\n", '1:8: "prise" is no column, expected one of '),
        ("prefix,price,price\n", '1:14: the column "price" is there twice'),
        ("49,de,0.10 AUD/min\n", '1:1: "49" is no column, expected one of '),
        (
            "destination,price\n",
            '1:1: there is no column "prefix", expected the names of the columns in the first line',
        ),
        (
            HEAD + '49,"de,1 AUD/min,60s\n33,fr,1 AUD/min,60s\n',
            "3:1: is not CSV: unexpected end of data, look at the quotes",
        ),
        (HEAD + '49,"d\ne",1 AUD/min,60s\n', "3:1: a cell goes over several lines, a quote is not closed"),
        ("\n# nothing\n", "is empty"),
        (b"prefix,price\n49,\xff\n", "2:4: is not UTF-8 text, save the file as UTF-8"),
    ],
)
def test_problems_are_named_by_line_and_column(tmp_path, text, said):
    found = errors(tmp_path, text)
    assert found[0].startswith(said)
    assert len(found) == 1 or found[0].startswith("1:")


def test_a_hint_names_the_column_that_was_meant(tmp_path):
    assert errors(tmp_path, "prefix,prise\n")[0].endswith("did you mean price?")


def test_a_deck_that_is_not_there_is_an_error_where_it_is_named(tmp_path):
    _, problems = loaded(tmp_path, {**FILES, "tariffs/a.yaml": WITH_DECK})
    (line,) = lines(tmp_path, problems)
    assert line.startswith("tariffs/a.yaml:9:13 plans.standard.voice.deck: there is no file ")


def test_data_has_no_deck(tmp_path):
    tariff = TARIFF.replace("    data:\n", "    data:\n      deck: rates/intl.csv\n")
    assert errors(tmp_path, HEAD, tariff) == [
        'tariffs/a.yaml:12:13 plans.standard.data.deck: data has no destinations, expected rates for "*any"'
    ]


def test_a_deck_full_of_errors_is_not_read_to_its_end(tmp_path):
    rows = "".join(f"{49000 + n},de,x,60s\n" for n in range(1_000))
    found = errors(tmp_path, HEAD + rows)
    assert len(found) == decks.DECK_ERRORS_MAX + 1
    assert "101:1: 100 errors: the rest is not looked at" in found


def test_a_deck_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decks, "DECK_OCTETS_MAX", 1_048_576)
    assert errors(tmp_path, HEAD + "#" * 1_048_577)[0] == "2:1: is larger than 1 MiB, split it"


def test_free_numbers_are_not_priced_by_a_deck(tmp_path):
    tariff = WITH_DECK.replace("destinations:\n", "destinations:\n  help: {prefixes: [4980], free: true}\n")
    (line,) = errors(tmp_path, HEAD + "4980123,de,1 AUD/min,60s\n", tariff)
    assert line.startswith("2:1: the prefix 4980123 is priced, but free through 4980 of ")


def test_two_hundred_thousand_prices_share_their_rates_and_tell_how_far_they_are(tmp_path):
    rows = "".join(f"{7_000_000 + n},dest-{n % 50},0.{n % 90 + 10} AUD/min,60s\n" for n in range(200_000))
    write(tmp_path, with_deck(HEAD + rows))
    told = []
    settings, problems = load(tmp_path, lambda *each: told.append(each))
    assert (settings is not None, problems) == (True, [])
    table = settings.tariff.plans["standard"].services["voice"].any_group
    assert len(table) == 200_003
    rates = {id(table.find(str(number))[1][0].rate) for number in range(7_000_000, 7_200_000, 7)}
    assert len(rates) == 90
    total = (tmp_path / CSV).stat().st_size
    assert [each[2] for each in told] == [total] * len(told)
    assert [each[1] for each in told] == sorted(each[1] for each in told)
    assert told[-1] == (str(tmp_path / CSV), total, total)
    assert find_rate(settings.tariff, "standard", "voice", None, "8") == NotFound("no_destination")
