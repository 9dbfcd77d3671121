"""What one node does for all begins with the lease and ends with it."""

import asyncio

import pytest

from ocs.daemon import duties
from ocs.daemon.duties import Duties, Repeated
from ocs.store.interface import StoreDown
from ocs.store.leading import Leading
from ocs.store.memory import MemoryStore
from tests.store.controlled import idle


class Duty:
    def __init__(self):
        self.said = []

    def start(self):
        self.said.append("start")

    async def stop(self):
        self.said.append("stop")


@pytest.fixture
def store():
    return MemoryStore(shared=True)


async def test_only_the_leader_does_them(store, monkeypatch):
    monkeypatch.setattr(duties, "PERIOD_S", 0)
    first, second = Duty(), Duty()
    north, south = (Duties(Leading(store, "duties", name), [duty]) for name, duty in (("n", first), ("s", second)))
    north.start()
    await idle()
    south.start()
    await idle()
    assert (first.said, second.said) == (["start"], [])
    await north.stop()
    await idle()
    assert (first.said, second.said) == (["start", "stop"], ["start"])
    await south.stop()
    assert second.said == ["start", "stop"]


async def test_a_store_that_is_down_ends_them_for_the_time(store, monkeypatch):
    monkeypatch.setattr(duties, "PERIOD_S", 0)
    duty = Duty()
    leading = Leading(store, "duties", "n")
    running = Duties(leading, [duty])
    running.start()
    await idle()

    async def down():
        raise StoreDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(leading, "leads", down)
        await idle()
        assert duty.said == ["start", "stop"]
    await idle()
    assert duty.said == ["start", "stop", "start"]
    await running.stop()


async def test_work_that_fails_is_done_again():
    outcomes = [StoreDown("gone"), ZeroDivisionError(), "done", None]
    seen = []

    async def work():
        outcome = outcomes[len(seen)] if len(seen) < len(outcomes) else None
        seen.append(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    repeated = Repeated("work", work, 0)
    repeated.start()
    while len(seen) < len(outcomes):  # noqa: ASYNC110 - the loop's turn
        await asyncio.sleep(0)
    await repeated.stop()
    number = len(seen)
    await idle()
    assert len(seen) == number
