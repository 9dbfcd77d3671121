"""A whole run, its figures, and what is refused before anything is measured."""

import json
import shutil
import subprocess
import sys

import pytest

from ocs.bench import stores
from ocs.bench.compiling import compiled_client
from ocs.bench.load import CannotRun, Load
from ocs.bench.run import Bench, Options, _soak
from ocs.bench.stores import made_store

SMALL = {"seconds": 1, "accounts": 60, "sessions": 40, "connections": 2, "window": 4}


def test_a_run_says_in_json_what_it_found(tmp_path):
    command = [sys.executable, "-m", "ocs", "bench", "--json", "--store", "sqlite", "--seconds", "1", "--verify"]
    command += ["--accounts", "60", "--sessions", "40", "--connections", "2", "--window", "4", "--dir", str(tmp_path)]
    command += ["--groups", "1,5", "--cold"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    for name in ("requests_per_s", "cpu_us_per_request", "p50_ms", "p99_ms", "p99_9_ms", "p99_ratio", "batch_size"):
        assert figures[name] > 0, name
    assert figures["p50_ms"] <= figures["p99_ms"] <= figures["p99_9_ms"] <= figures["max_ms"]
    assert abs(figures["rate_per_s"] - figures["maximum"]["requests_per_s"] / 2) <= 2
    assert figures["problems"] == []
    assert figures["ledger"] == {"accounts": 60 + 32, "wrong": 0}
    assert figures["bare_commit"]["count"] > 0
    assert figures["store"]["fsync"] == "synchronous=FULL"
    assert figures["machine"]["cores"] >= 1
    for phase in ("maximum", "fixed_rate"):
        answered = figures[phase]["results"]
        assert sum(sum(codes.values()) for codes in answered.values()) == figures[phase]["sent"]
        assert {code for codes in answered.values() for code in codes} == {"2001"}
    assert "opening 60 accounts" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"store": "memory", "verify": True}, "is gone with the server"),
        ({"store": "sqlite", "nodes": 2}, "a store that they can share"),
        ({"store": "redis://x"}, "--store: memory, sqlite, postgres, or a URL"),
        ({"sessions": 1}, "too few for 10 connections"),
        ({"store": "postgresql://nobody@127.0.0.1:1/x"}, "does not answer"),
    ],
)
def test_what_cannot_be_run_says_why(options, why, tmp_path):
    with pytest.raises(CannotRun, match=why):
        Bench(Options(**{**options, "folder": tmp_path})).run()


def test_a_store_that_is_there_already_is_left_alone(tmp_path):
    path = tmp_path / "mine.db"
    path.write_text("precious")
    with pytest.raises(CannotRun, match="is there already"):
        Bench(Options(store=f"sqlite:{path}", folder=tmp_path)).run()
    assert path.read_text() == "precious"


def test_sqlite_in_memory_is_no_durable_store(monkeypatch, tmp_path):
    monkeypatch.setattr(stores, "file_system", lambda folder: "tmpfs")
    with pytest.raises(CannotRun, match="nothing is durable"), made_store("sqlite", tmp_path, tmp_path):
        pass


def test_a_missing_compiler_is_said_and_python_does_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    plan = Options().plan([("127.0.0.1", 1)])
    load = Load(plan, tmp_path)
    assert (load.client, load.why_not_c) == ("python", "there is no C compiler (cc)")
    with pytest.raises(CannotRun, match="the client in C cannot be had: there is no C compiler"):
        Load(plan, tmp_path, "c")


def test_a_compiler_that_fails_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "false")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program, why = compiled_client()
    assert program is None
    assert "false failed" in why


def test_an_account_that_many_share_takes_all_their_sessions(tmp_path):
    options = Options(store="memory", folder=tmp_path, **{**SMALL, "accounts": 1, "per_account": 20, "sessions": 20})
    figures = Bench(options).run()
    assert figures["problems"] == []
    assert figures["maximum"]["answered"] > 0


def test_a_soak_says_what_has_grown():
    samples = [{"rss_octets": 100 + at, "in_flight": 3, "behind": 0} for at in range(80)]
    found = _soak(samples)
    assert len(found["samples"]) == 80
    assert (found["rss_octets_growth"], found["in_flight_growth"], found["behind_growth"]) == (40, 0, 0)
    assert _soak(samples[:3]) == {"samples": samples[:3]}
