"""One batch in flight, the next one fills, and each outcome learns its own fate."""

import pytest

from ocs.limits import BATCH_OUTCOMES_MAX
from ocs.nms.metrics import Metrics
from ocs.store.committer import Committer
from ocs.store.deadlines import Deadlines
from ocs.store.interface import Applied, StoreDown
from ocs.store.names import Names
from tests.store.controlled import ControlledStore, idle
from tests.store.making import cdr, outcome


@pytest.fixture
def store():
    return ControlledStore()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def committer(store, metrics):
    return Committer(store, metrics.store)


def submit(committer, fates, *outcomes):
    return [committer.submit(one, lambda fate, n=n: fates.append((n, fate))) for n, one in enumerate(outcomes)]


async def test_what_comes_while_a_batch_is_in_flight_makes_the_next(store, committer):
    fates = []
    store.commits.shut = True
    submit(committer, fates, outcome("a"))
    await idle()
    submit(committer, fates, outcome("b"))
    await idle()
    submit(committer, fates, outcome("c"))
    await idle()
    assert store.commits.entered == 1
    await store.commits.let()
    assert len(store.batches) == 1
    await store.commits.let()
    await committer.drain()
    assert [[one.writes[0].account.id for one in batch] for batch in store.batches] == [["a"], ["b", "c"]]
    assert [fate for _, fate in fates] == [Applied.DONE] * 3


async def test_what_is_submitted_in_one_turn_is_one_batch_of_bounded_size(store, committer):
    fates = []
    submit(committer, fates, *(outcome(f"a{n}") for n in range(BATCH_OUTCOMES_MAX + 3)))
    await committer.drain()
    assert [len(batch) for batch in store.batches] == [BATCH_OUTCOMES_MAX, 3]
    assert [n for n, _ in fates] == list(range(BATCH_OUTCOMES_MAX + 3))


async def test_a_store_that_is_down_fails_the_whole_batch(store, committer, metrics):
    fates = []
    gone = StoreDown("disk full")
    store.commits.faults.append(gone)
    submit(committer, fates, outcome("a"), outcome("b"))
    await committer.drain()
    assert fates == [(0, gone), (1, gone)]
    assert store.batches == []
    assert metrics.registry.get_sample_value("ocs_store_up") == 0
    submit(committer, fates, outcome("a"))
    await committer.drain()
    assert fates[2:] == [(0, Applied.DONE)]
    assert metrics.registry.get_sample_value("ocs_store_up") == 1


async def test_what_was_withdrawn_is_not_written_and_not_told(store, committer):
    fates = []
    store.commits.shut = True
    flying = submit(committer, fates, outcome("a"))
    await idle()
    waiting = submit(committer, fates, outcome("b"), outcome("c"))
    waiting[0].withdraw()
    flying[0].withdraw()
    await store.commits.open()
    await committer.drain()
    assert fates == [(1, Applied.DONE)]
    assert [[one.writes[0].account.id for one in batch] for batch in store.batches] == [["a"], ["c"]]


async def test_one_that_cannot_be_written_takes_only_what_was_built_on_it(store, committer):
    """The second of its account is not even tried: another node may have raised the account to its version."""
    tried = []
    commit = store.commit

    async def not_a(outcomes):
        tried.append([(one.writes[0].account.id, one.writes[0].account.version) for one in outcomes])
        if any(one.writes[0].account.id == "a" and one.writes[0].account.version == 1 for one in outcomes):
            raise OverflowError("too large")
        return await commit(outcomes)

    store.commit = not_a
    fates = []
    submit(committer, fates, outcome("b"), outcome("a"), outcome("a", 2), outcome("c"))
    await committer.drain()
    kinds = [fate if isinstance(fate, Applied) else type(fate) for _, fate in fates]
    assert kinds == [Applied.DONE, OverflowError, Applied.CONFLICT, Applied.DONE]
    assert tried[1:] == [[("b", 1)], [("a", 1)], [("c", 1)]]


async def test_who_breaks_on_being_told_does_not_stop_the_rest(store, committer):
    fates = []

    def broken(fate):
        raise RuntimeError("bug")

    committer.submit(outcome("a"), broken)
    submit(committer, fates, outcome("b"))
    await committer.drain()
    submit(committer, fates, outcome("c"))
    await committer.drain()
    assert [fate for _, fate in fates] == [Applied.DONE] * 2


async def test_a_store_that_loses_count_is_not_believed(store, committer):
    commit = store.commit

    async def short(outcomes):
        return (await commit(outcomes))[:1]

    store.commit = short
    fates = []
    submit(committer, fates, outcome("a"), outcome("b"))
    await committer.drain()
    assert [fate for _, fate in fates] == [Applied.CONFLICT] * 2  # they are there; whoever decides again sees them


async def test_commits_are_counted(store, committer, metrics):
    fates = []
    submit(committer, fates, outcome("a", cdrs=(cdr(), cdr(partial=1))), outcome("a", 2), outcome("a", 7))
    await committer.drain()

    def sample(name, **labels):
        return metrics.registry.get_sample_value(name, labels)

    assert sample("ocs_balance_batch_size_sum") == 3
    assert sample("ocs_cdr_written_total", sink="store") == 2
    assert sample("ocs_balance_commands_total", kind="open", outcome="done") == 1
    assert sample("ocs_balance_commands_total", kind="charge", outcome="done") == 1
    assert sample("ocs_balance_commands_total", kind="charge", outcome="conflict") == 1


def test_names_are_bounded_and_the_last_used_stay():
    names = Names(2)
    names.put("x", "a")
    names.put("y", "b")
    assert names.get("x") == "a"
    names.put("z", "c")
    assert (names.get("x"), names.get("y"), names.get("z")) == ("a", None, "c")
    names.forget("x")
    names.forget("x")
    assert len(names) == 1
    names.clear()
    assert names.get("z") is None


async def test_deadlines_forget_what_is_over():
    class Waiting:
        def __init__(self, *, over):
            self.over = over
            self.deadline_s = 0.0

    late = []
    deadlines = Deadlines(0, late.append)
    waiting = [Waiting(over=n % 2 == 0) for n in range(6)]
    for one in waiting:
        deadlines.add(one)
    await idle()
    assert late == [one for one in waiting if not one.over]
    deadlines.add(Waiting(over=False))
    deadlines.stop()
    await idle()
    assert len(late) == 3
