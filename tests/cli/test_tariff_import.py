from pathlib import Path

import pytest

from tests.config.cgrates_folder import TABLES, write_lines


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    write_lines(folder, TABLES)
    return folder


def test_a_folder_becomes_tariff_and_subscriber_files(ocs, csv, tmp_path):
    ran = ocs("tariff", "import", csv, "--to", tmp_path / "config", "--currency", "EUR")
    assert ran.code == 0, ran
    written = list((tmp_path / "config").rglob("*.yaml"))
    assert {path.name for path in written} == {"destinations.yaml", "plans.yaml", "profiles.yaml", "subscribers.yaml"}
    assert f"written: {tmp_path / 'config' / 'tariffs' / 'plans.yaml'}" in ran.out
    assert "*log" in ran.out
    assert "server.yaml has to have the services call (voice), sms (sms), data (data)" in ran.out


def test_what_is_there_is_written_over_only_by_force(ocs, csv, tmp_path):
    arguments = ("tariff", "import", csv, "--to", tmp_path / "config", "--currency", "EUR")
    assert ocs(*arguments).code == 0
    refused = ocs(*arguments)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert ocs(*arguments, "--force").code == 0


def test_a_folder_with_errors_writes_nothing_and_says_them(ocs, csv, tmp_path):
    (csv / "Rates.csv").write_text("R_DE,0,x,60s,60s,0s\n")
    ran = ocs("tariff", "import", csv, "--to", tmp_path / "config", "--currency", "EUR", "--json")
    assert ran.code == 1
    assert not (tmp_path / "config").exists()
    assert ran.json["written"] == []
    places = [(found["file"], found["line"], found["column"]) for found in ran.json["problems"]]
    assert (str(csv / "Rates.csv"), 1, 8) in places


def test_a_category_is_what_the_operator_says_it_counts(ocs, csv, tmp_path):
    profiles = [*TABLES["rating_profiles"], "cgrates.org,premium,*any,,RP_CALL,"]
    write_lines(csv, {"rating_profiles": profiles})
    arguments = ("tariff", "import", csv, "--to", tmp_path / "config", "--currency", "EUR", "--json")
    assert ocs(*arguments).code == 1
    ran = ocs(*arguments, "--service", "premium=voice")
    assert (ran.code, ran.json["services"]["premium"]) == (0, "voice")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--service", "premium"),
        ("--service", "premium=money"),
        ("--currency", "euro"),
        ("--time-zone", "Berlin/Europe"),
    ],
)
def test_an_option_that_means_nothing_is_refused(ocs, csv, tmp_path, option, value):
    ran = ocs("tariff", "import", csv, "--to", tmp_path, "--currency", "EUR", option, value)
    assert (ran.code, value.partition("=")[0] in ran.err) == (2, True)


def test_a_folder_that_is_not_there_is_refused(ocs, tmp_path):
    assert ocs("tariff", "import", tmp_path / "none", "--to", tmp_path, "--currency", "EUR").code == 2
