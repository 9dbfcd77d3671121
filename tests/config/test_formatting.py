"""`ocs tariff fmt`: one way to write a file; comments stay, meaning stays, and formatting twice is formatting once."""

import random
import re
from contextlib import suppress

import pytest

from ocs.config.commented import meaning, parse
from ocs.config.diagnostics import Problems
from ocs.config.document import read
from ocs.config.formatting import formatted
from ocs.config.server_file import SERVER_FILE
from ocs.config.subscribers_file import SUBSCRIBERS_FILE
from ocs.config.tariff_file import TARIFF_FILE
from tests.config.folder import FILES, RICH, SAMPLE, loaded
from tests.config.test_fuzz import spoiled

SCHEMAS = {"server.yaml": SERVER_FILE, "subscribers.yaml": SUBSCRIBERS_FILE}


def done(text, schema=TARIFF_FILE):
    made = formatted(text, schema)
    assert formatted(made, schema) == made
    assert meaning(parse(made).root) == meaning(parse(text).root)
    return made


def test_keys_come_in_the_order_of_their_table_ids_in_the_order_written():
    text = """\
plans:
    b: {voice: {x: {weight: 1, increment: 1s, when: peak, price: 1 AUD/min}}}
    a:
        sms: {"*any": {free: true}}
        time_zone: UTC
        data:
            "*any": {free: true}
destinations: {x: {free: true, prefixes: [1]}}
currency: AUD
"""
    assert (
        done(text)
        == """\
currency: AUD
destinations: {x: {prefixes: [1], free: true}}
plans:
  b: {voice: {x: {when: peak, weight: 1, price: 1 AUD/min, increment: 1s}}}
  a:
    time_zone: UTC
    sms: {"*any": {free: true}}
    data:
      "*any": {free: true}
"""
    )


def test_comments_stay_with_what_they_speak_of():
    text = """\
# the file

# plans
plans: # all
  # std
  std:
      voice:
        # first
        a: {free: true} # one
        bcd: {free: true}    # two
        # end of voice

      # end of std
# end of plans

currency: AUD  # cur
# the end
"""
    assert (
        done(text)
        == """\
# the file

currency: AUD  # cur
# plans
plans:  # all
  # std
  std:
    voice:
      # first
      a:   {free: true}  # one
      bcd: {free: true}  # two
      # end of voice

    # end of std
# end of plans
# the end
"""
    )


def test_comments_in_braces_make_a_block_of_them():
    text = """\
plans: {std: {voice: {x: {increment: 1s, # how
  price: 1 AUD/min} # much
}}}
"""
    assert (
        done(text)
        == """\
plans:
  std:
    voice:
      x:  # much
        price: 1 AUD/min
        increment: 1s  # how
"""
    )


def test_what_is_too_long_for_a_line_becomes_a_block():
    tiers = ", ".join(f"{{from: {n} min, price: 0.{n} AUD/min}}" for n in range(10, 16))
    made = done(f"plans: {{std: {{voice: {{x: {{price: 1 AUD/min, increment: 1s, tiers: [{tiers}]}}}}}}}}\n")
    assert max(map(len, made.splitlines())) <= 118
    assert "        tiers:\n          - {from: 10 min, price: 0.10 AUD/min}\n" in made


def test_lists_of_records_begin_at_the_dash():
    text = "tests:\n- expect: {cost: 1 AUD}\n  # which\n  service: voice\n\n\n- {service: sms}\n"
    assert (
        done(text)
        == """\
tests:
  # which
  - service: voice
    expect: {cost: 1 AUD}

  - {service: sms}
"""
    )


@pytest.mark.parametrize(
    "value", ["20:00", "044", "NO", "1_000", "1e3", "0x10", "~", "null", "2026-01-01", ".5", "08:00-19:00"]
)
def test_texts_that_yaml_would_change_stay_as_written(value):
    assert done(f"timings: {{x: {{time: {value}}}}}\n") == f"timings: {{x: {{time: {value}}}}}\n"
    assert done(f"timings: {{x: {{time: '{value}'}}}}\n") == f'timings: {{x: {{time: "{value}"}}}}\n'


def test_texts_of_several_lines_become_one_line():
    assert done('x:\n  a\n  b\ny: |\n  c\n  d\nz: "e\n\n  f"\n') == 'x: a b\ny: "c\\nd\\n"\nz: "e\\nf"\n'


def test_values_that_are_missing_stay_missing():
    assert done("x: {a: , b:   }\ny:\nz: [ ]\n") == "x: {a: , b: }\ny:\nz: []\n"


@pytest.mark.parametrize("seed", range(150))
def test_whatever_is_yaml_is_formatted_or_refused(seed, tmp_path):
    rng = random.Random(seed)
    name = rng.choice([each for each in sorted(RICH) if each.endswith(".yaml")])
    text = spoiled(RICH[name], rng)
    file = tmp_path / "x.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    if read(file, Problems()) is None:
        return
    with suppress(ValueError):
        done(text.removeprefix("\ufeff"), SCHEMAS.get(name, TARIFF_FILE))


def test_with_anchors_the_order_stays():
    text = "plans: {std: {voice: {a: &r {increment: 1s, price: 1 AUD/min}, b: *r}}}\ncurrency: AUD\n"
    assert done(text) == text


@pytest.mark.parametrize("text", ["[1]\n", "x\n", "? [a]\n: b\n"])
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(ValueError, match="no"):
        formatted(text, TARIFF_FILE)


@pytest.mark.parametrize("name", [str(path.relative_to(SAMPLE)) for path in SAMPLE.rglob("*.yaml")])
def test_the_sample_means_the_same_when_it_is_formatted(name, tmp_path):
    files = {str(path.relative_to(SAMPLE)): path.read_text() for path in SAMPLE.rglob("*.yaml")}
    before, _ = loaded(tmp_path, files)
    files[name] = done(files[name], SCHEMAS.get(name, TARIFF_FILE))
    after, found = loaded(tmp_path, files)
    assert found == []
    assert after.tariff.version == before.tariff.version
    assert (after.services, after.subscribers, after.peers) == (before.services, before.subscribers, before.peers)


def test_the_tariffs_of_the_sample_are_formatted():
    for path in (SAMPLE / "tariffs").glob("*.yaml"):
        assert formatted(path.read_text(), TARIFF_FILE) == path.read_text(), path


def commented(text, rng):
    """The text with comments and empty lines put in wherever YAML allows them."""
    lines = []
    for number, line in enumerate(text.splitlines()):
        while rng.random() < 0.3:
            lines.append(rng.choice(["", " " * rng.randint(0, 8) + f"# own {number}.{len(lines)}"]))
        end = f"{' ' * rng.randint(1, 3)}# end {number}" if rng.random() < 0.4 else ""
        lines.append(line + end)
        if rng.random() < 0.5:
            lines[-1] = re.sub(r"([{,\[]) ?(?=\S)(?![^\"]*\")", lambda found: found[0], lines[-1])
    return "\n".join([*lines, "# last", ""])


BLOCKS = {
    "tariffs/a.yaml": """\
plans:
  standard:
    voice:
      au-mobile:
        - price: 0.22 AUD/min
          increment: 1s
        - {when: peak, price: 0.30 AUD/min,
           increment: 1s}
      au-fixed: {connect_fee: 0.20 AUD,
          fee_per: session
          }
    sms:
      "*any": {price: 0.05 AUD}
timings:
  peak:
    week_days:
    - mon
    - tue-fri
    time: 08:00-19:00
currency: AUD
""",
    **FILES,
}


@pytest.mark.parametrize("seed", range(150))
def test_no_comment_is_lost(seed):
    rng = random.Random(seed)
    name = rng.choice(sorted(BLOCKS))
    text = commented(BLOCKS[name], rng)
    made = done(text, SCHEMAS.get(name, TARIFF_FILE))
    assert sorted(re.findall("# [a-z]+ ?[0-9.]*", made)) == sorted(re.findall("# [a-z]+ ?[0-9.]*", text))
