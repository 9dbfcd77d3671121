"""A session may be newer than the account that a node remembers: then both are read, and it is decided again."""

import pytest

from ocs.charging.outcome import Outcome
from ocs.limits import TORN_READS_MAX
from ocs.nms.metrics import Metrics
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from tests.store.controlled import ControlledStore, credited
from tests.store.making import outcome, session


async def dispatchers(*, shared):
    store = ControlledStore(shared=shared)
    await store.commit([outcome("a")])
    return store, [Dispatcher(store, Metrics(), holder=name) for name in ("north", "south")]


def take(account, found):
    return Outcome(writes=(credited(account, -1),))


async def test_a_session_that_moved_here_is_decided_on_with_its_account_as_it_is_now():
    _, (north, south) = await dispatchers(shared=True)
    await north.run("a", None, take)  # it remembers the account from now on

    def open_session(account, found):
        return Outcome(writes=(credited(account, -1),), session=session("s"))

    await south.run("a", "s", open_session)

    def report(account, found):
        assert found is not None
        assert account.version == 3, "a session that holds what its account does not"
        return Outcome(writes=(credited(account, -1),), session=found)

    done = await north.run("a", "s", report)
    assert done.writes[0].account.version == 4
    await north.stop()
    await south.stop()


@pytest.mark.parametrize(("shared", "times"), [(False, 1), (True, TORN_READS_MAX + 1)])
async def test_a_decision_that_always_fails_is_given_up(shared, times):
    _, (north, _) = await dispatchers(shared=shared)
    made = []

    def fail(account, found):
        made.append(account.version)
        raise ZeroDivisionError

    with pytest.raises(Failed, match="decide_failed"):
        await north.run("a", None, fail)
    assert len(made) == times
    assert (await north.run("a", None, take)).writes[0].account.version == 2
    await north.stop()
