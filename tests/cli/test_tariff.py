"""`ocs tariff fmt` and `ocs tariff diff`, and the bar that shows how far a deck is read."""

import shutil
import sys

import pytest

from ocs.cli import progress
from ocs.cli.tariff_replay import last_cdrs
from tests.cli.child import edit

TARIFF = "config/tariffs/standard.yaml"


@pytest.fixture
def other(folder):
    """Another configuration beside the first one."""
    shutil.copytree(folder / "config", folder / "other")
    return folder / "other" / "tariffs" / "standard.yaml"


# --- fmt -------------------------------------------------------------------------------------------------------------


def test_what_is_formatted_is_fine(ocs, folder):
    assert ocs("tariff", "fmt", "--check") == (0, "fine: 1 file\n", "")


def test_files_are_formatted_in_place(ocs, folder):
    file = folder / TARIFF
    before = file.read_text()
    edit(
        file, ("au-mobile:  {price: 0.22 AUD/min, increment: 1s}", "au-mobile: {increment: 1s,   price: 0.22 AUD/min}")
    )
    spoiled = file.read_text()
    assert ocs("tariff", "fmt", "--check", "config") == (1, f"not formatted: {TARIFF}\n", "")
    assert file.read_text() == spoiled
    assert ocs("tariff", "fmt", "config") == (0, f"formatted: {TARIFF}\n", "")
    assert file.read_text() == before
    assert sorted(each.name for each in file.parent.iterdir()) == ["standard.yaml"]
    assert ocs("tariff", "fmt", TARIFF, "--json").json == {
        "files": [{"file": TARIFF, "changed": False, "problems": []}]
    }


def test_other_files_are_formatted_as_what_they_are(ocs, folder):
    file = folder / "config" / "subscribers.yaml"
    file.write_text("accounts: {a: {plan: standard,\n msisdn: 491700000009}}\n")
    assert ocs("tariff", "fmt", file).code == 0
    assert file.read_text() == "accounts: {a: {msisdn: 491700000009, plan: standard}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plans: [\n", f"{TARIFF}:2:1: is not YAML: "),
        ("[plans]\n", f"{TARIFF}: it is no mapping"),
        ("? [a]\n: b\n", f"{TARIFF}: the key in line 1 is no text"),
    ],
)
def test_what_cannot_be_read_is_left_alone(ocs, folder, text, said):
    (folder / TARIFF).write_text(text)
    ran = ocs("tariff", "fmt")
    assert (ran.code, ran.out[: len(said)]) == (1, said)
    assert (folder / TARIFF).read_text() == text


def test_where_there_is_no_tariff_it_is_said(ocs, folder):
    assert ocs("tariff", "fmt", "nowhere") == (2, "", "ocs: there is no tariff file in nowhere\n")


# --- diff ------------------------------------------------------------------------------------------------------------


def test_no_differences(ocs, folder, other):
    assert ocs("tariff", "diff", "config", "other") == (0, "no differences\n", "")


def test_prices_that_differ_are_shown(ocs, folder, other):
    edit(other, ("0.22 AUD/min", "0.25 AUD/min"))
    head, row = ocs("tariff", "diff", "config", "other").out.splitlines()
    assert head.split() == ["what", "where", "destination", "A", "B"]
    assert row.split("  ")[0] == "price"
    assert "au-mobile (614)  0.22 AUD/min by 1 s  0.25 AUD/min by 1 s" in row
    (change,) = ocs("tariff", "diff", "config", "other", "--json").json["changes"]
    assert change == {
        "from": None,
        "what": "price",
        "plan": "standard",
        "service": "voice",
        "rating_group": "",
        "destination": "au-mobile",
        "when": "",
        "weight": 0,
        "prefixes": ["614"],
        "before": "0.22 AUD/min by 1 s",
        "after": "0.25 AUD/min by 1 s",
    }


def test_a_configuration_with_errors_is_not_compared(ocs, folder, other):
    edit(other, ("0.22 AUD/min", "0.22"))
    ran = ocs("tariff", "diff", "config", "other")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("ocs: other has errors:\nother/tariffs/standard.yaml:")


def test_times_are_read_with_their_zone(ocs, folder, other):
    assert ocs("tariff", "diff", "config", "other", "--at", "2027-01-01").code == 2
    assert ocs("tariff", "diff", "config", "other", "--at", "2027-01-01T00:00:00Z").code == 0


def test_what_cdrs_would_have_cost(ocs, folder, other, child):
    server = ("--server", "{}:{}".format(*child.diameter), "--url", child.url)
    for msisdn, octets in (("491700000002", 1_048_576), ("491700000002", 2_097_152), ("491700000001", 1_048_576)):
        done = ocs("simulate", "data", "--msisdn", msisdn, "--octets", str(octets), *server)
        assert done.code == 0, done
    edit(other, ("price: 0.01 AUD/MiB", "price: 0.03 AUD/MiB"))
    found = ocs("tariff", "diff", "config", "other", "--cdrs", "3", "--url", child.url, "--json").json["cdrs"]
    sums = {"cdrs": 3, "before": "0.04", "after": "0.12", "no_rate_before": 0, "no_rate_after": 0}
    assert found["services"] == {"data": sums, "*all": sums}
    assert [(each["before"], each["after"]) for each in found["changed"]] == [
        ("0.01", "0.03"),
        ("0.02", "0.06"),
        ("0.01", "0.03"),
    ]
    assert found["left_out"] == 0
    last = ocs("tariff", "diff", "config", "other", "--cdrs", "1", "--url", child.url).out.splitlines()
    assert [line.split() for line in last[-2:]] == [
        ["data", "1", "0.01", "0.03", "0.02"],
        ["all", "1", "0.01", "0.03", "0.02"],
    ]


class Cdrs:
    """The CDRs of an API, of which some ids are missing."""

    def __init__(self, ids):
        self.ids = ids
        self.calls = 0

    def get(self, path, *, after, limit):
        assert path == "/v1/cdrs"
        self.calls += 1
        found = [{"id": str(number)} for number in self.ids if number > int(after)][:limit]
        return {"items": found, "next": found[-1]["id"] if len(found) == limit else None}


@pytest.mark.parametrize("ids", [[], [1], [7], range(1, 3_001), range(1, 100_000, 97), [1, 2, 3, 5_000, 90_000]])
@pytest.mark.parametrize("count", [1, 3, 2_000])
def test_the_last_cdrs_are_found_from_the_front(ids, count):
    api = Cdrs(ids)
    assert [int(each["id"]) for each in last_cdrs(api, count)] == list(ids)[-count:]
    assert api.calls < 150


# --- the bar ---------------------------------------------------------------------------------------------------------


def test_there_is_no_bar_where_there_is_no_terminal():
    with progress.reading() as tell:
        assert tell is None


def test_a_terminal_sees_how_far_a_deck_is_read(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.reading() as tell:
        tell("config/tariffs/intl.csv", 1, 4)
        tell("config/tariffs/intl.csv", 4, 4)
    assert "intl.csv" in capsys.readouterr().err
