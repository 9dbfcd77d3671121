"""The ledger proved in the background: slice by slice, over and over, whatever the store does."""

import asyncio

import msgspec
import pytest
import structlog

from ocs.limits import LEDGER_WATCH_ACCOUNTS, LEDGER_WATCH_ACCOUNTS_PER_S
from ocs.nms.metrics import Metrics
from ocs.rating.units import NS_PER_S
from ocs.store import ledger_watch
from ocs.store.interface import StoreDown
from ocs.store.ledger_watch import LedgerWatch, pause_of
from ocs.store.memory import MemoryStore
from tests.store.making import outcome

NOW_S = 1_795_000_000


@pytest.fixture
async def store(monkeypatch):
    monkeypatch.setattr(ledger_watch, "LEDGER_WATCH_ACCOUNTS", 2)
    made = MemoryStore()
    await made.commit([outcome(name) for name in "abcde"])
    return made


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def watch(store, metrics):
    return LedgerWatch(store, lambda: NOW_S * NS_PER_S, metrics)


def shown(metrics):
    names = ("imbalance", "verified_accounts", "verified_timestamp_seconds")
    return tuple(metrics.registry.get_sample_value(f"ocs_ledger_{name}") for name in names)


@pytest.fixture
def over(metrics, monkeypatch):
    """Set when a pass is over."""
    event, real = asyncio.Event(), metrics.ledger.verified

    def verified(*found):
        real(*found)
        event.set()

    monkeypatch.setattr(metrics.ledger, "verified", verified)
    return event


def spoil(store, name):
    account = store._accounts[name]
    balances = (msgspec.structs.replace(account.balances[0], value=5, held=1),)
    store._accounts[name] = msgspec.structs.replace(account, balances=balances)


async def test_a_pass_is_told_when_all_accounts_were_looked_at(watch, metrics):
    assert [await watch.round(), await watch.round()] == [False, False]
    assert shown(metrics) == (0, 0, 0)
    assert await watch.round()
    assert shown(metrics) == (0, 5, NOW_S)


async def test_accounts_that_are_wrong_are_counted_and_logged_until_they_are_right(watch, metrics, store):
    right = dict(store._accounts)
    spoil(store, "b")
    spoil(store, "e")
    with structlog.testing.capture_logs() as logged:
        while not await watch.round():
            pass
    assert shown(metrics) == (2, 5, NOW_S)
    errors = [line for line in logged if line["log_level"] == "error"]
    assert {line["account"] for line in errors} == {"b", "e"}
    assert {line["event"] for line in errors} == {"ledger_imbalance"}
    assert "the value is 5, by the journal it is 1000" in errors[0]["imbalance"]
    assert "ocs ledger verify --account" in errors[0]["to_do"]
    store._accounts.update(right)
    while not await watch.round():
        pass
    assert shown(metrics) == (0, 5, NOW_S)


async def test_only_so_much_is_logged_in_a_pass(watch, metrics, store, monkeypatch):
    monkeypatch.setattr(ledger_watch, "LEDGER_LOGGED_PER_PASS_MAX", 4)
    for name in "abcde":
        spoil(store, name)
    for _ in range(2):
        with structlog.testing.capture_logs() as logged:
            while not await watch.round():
                pass
        assert len([line for line in logged if line["log_level"] == "error"]) == 4
    assert shown(metrics) == (5, 5, NOW_S)


async def test_a_store_that_is_down_is_waited_for_and_the_pass_goes_on_where_it_was(watch, store, over, monkeypatch):
    real, asked = store.audit, []

    async def audit(account_ids):
        asked.append(tuple(account_ids))
        if len(asked) in {2, 3}:
            raise StoreDown("no store for the moment")
        return await real(account_ids)

    monkeypatch.setattr(store, "audit", audit)
    monkeypatch.setattr(ledger_watch, "DOWN_PAUSE_S", 0)
    monkeypatch.setattr(ledger_watch, "pause_of", lambda took_s: 0)
    watch.start()
    async with asyncio.timeout(10):
        await over.wait()
    await watch.stop()
    assert asked[:5] == [("a", "b"), ("c", "d"), ("c", "d"), ("c", "d"), ("e",)]


async def test_a_fault_in_it_does_not_end_it(watch, store, over, monkeypatch):
    real, faults = store.accounts, [RuntimeError("broken")]

    async def accounts(after, limit):
        if faults:
            raise faults.pop()
        return await real(after, limit)

    monkeypatch.setattr(store, "accounts", accounts)
    monkeypatch.setattr(ledger_watch, "DOWN_PAUSE_S", 0)
    monkeypatch.setattr(ledger_watch, "pause_of", lambda took_s: 0)
    with structlog.testing.capture_logs() as logged:
        watch.start()
        async with asyncio.timeout(10):
            await over.wait()
        await watch.stop()
    assert "ledger_verification_failed" in {line["event"] for line in logged}


async def test_who_stops_looking_shows_nothing(watch, store, metrics):
    spoil(store, "a")
    while not await watch.round():
        pass
    assert shown(metrics) == (1, 5, NOW_S)
    watch.start()
    await watch.stop()
    assert shown(metrics) == (0, 0, 0)
    await watch.stop()


def test_it_takes_little():
    assert pause_of(0) == LEDGER_WATCH_ACCOUNTS / LEDGER_WATCH_ACCOUNTS_PER_S
    assert pause_of(1) == 19  # one part in 20
