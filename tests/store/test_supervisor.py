"""What happens when the time has come: sessions end, old ones are forgotten, spooled requests are charged."""

import asyncio

import msgspec
import pytest

from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, Result
from ocs.charging.session import SessionState
from ocs.limits import SUPERVISED_PER_ROUND_MAX
from ocs.nms.metrics import Metrics
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from ocs.store.leading import Leading
from ocs.store.spool import Spool
from ocs.store.supervisor import Supervisor
from tests.store.charging import COST, Client, I, U, charge_of, render
from tests.store.controlled import ControlledStore, credited, idle
from tests.store.making import outcome, request, session

EMERGENCY = ChargingAnswer(Result.SUCCESS, why="emergency")


class Clock:
    def __init__(self, now_ns=0):
        self.now_ns = now_ns

    def __call__(self):
        return self.now_ns


def expire(account, found, now_ns):
    """Give up an open session that is due."""
    if not found.is_open or found.due_at_ns > now_ns:
        return Outcome()
    closed = msgspec.structs.replace(found, state=SessionState.EXPIRED, due_at_ns=now_ns + 100)
    return Outcome(writes=(credited(account, 0, "expire"),), session=closed, notes=("expired",))


@pytest.fixture
async def store():
    made = ControlledStore()
    await made.commit([outcome("a"), outcome("b")])
    return made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
async def spool(tmp_path, clock):
    made = Spool(tmp_path / "ocs.db.emergency", clock)
    await made.open()
    yield made
    await made.close()


def counted(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


async def test_due_sessions_end_and_are_forgotten_later(store, clock, metrics):
    keys = ["s1", "s2", "s3"]
    made = [outcome("a", n, session=session(key, due_at_ns=n * 10)) for n, key in enumerate(keys, start=2)]
    await store.commit([*made, outcome("b", 2, session=session("t", "b", due_at_ns=25))])
    supervisor = Supervisor(store, Dispatcher(store, metrics), expire, clock, metrics)
    clock.now_ns = 30
    assert not await supervisor.round()
    assert [(found.account_id, found.key) for found in await store.sessions(None, "", 10)] == [("a", "s3")]
    assert (await store.load("b", "t")).session.state is SessionState.EXPIRED
    assert counted(metrics, "ocs_sessions_expired_total", reason="idle") == 3
    clock.now_ns = 129
    await supervisor.round()
    assert await store.find_session("s1") == "a"
    clock.now_ns = 130
    await supervisor.round()
    assert await store.find_session("s1") is None


async def test_a_session_that_went_on_meanwhile_is_left_alone(store, clock, metrics):
    """What is due in the store is decided on what is on its way there."""
    dispatcher = Dispatcher(store, metrics)
    await store.commit([outcome("a", 2, session=session(due_at_ns=10))])
    clock.now_ns = 10
    store.commits.shut = True
    client = Client(dispatcher)
    asked = request(9, of=U)

    def prolong(account, found):
        later = msgspec.structs.replace(found, due_at_ns=1_000)
        return Outcome(
            writes=(credited(account, -COST),), session=later, answer=ChargingAnswer(Result.SUCCESS, why="on")
        )

    client.send(asked, prolong)
    await idle()
    looking = asyncio.ensure_future(Supervisor(store, dispatcher, expire, clock, metrics).round())
    await idle()
    assert not looking.done()
    await store.commits.open()
    await looking
    assert client.told == ["2001 on"]
    assert (await store.load("a", "s")).session.is_open


async def test_a_full_round_asks_for_another(store, clock, metrics):
    number = SUPERVISED_PER_ROUND_MAX + 1
    made = [outcome("a", n + 2, session=session(f"s{n}", due_at_ns=1)) for n in range(number)]
    await store.commit(made)
    supervisor = Supervisor(store, Dispatcher(store, metrics), expire, clock, metrics)
    clock.now_ns = 1
    assert await supervisor.round()
    assert len(await store.due(1, number)) == 1
    assert not await supervisor.round()
    assert await store.due(1, number) == []


async def test_sessions_that_cannot_end_do_not_keep_the_others_from_it(store, clock, metrics):
    def expire_but(account, found, now_ns):
        assert found.key != "bad", "this one is damaged"
        return expire(account, found, now_ns)

    made = [outcome("a", 2, session=session("bad", due_at_ns=1)), outcome("a", 3, session=session("s", due_at_ns=2))]
    await store.commit(made)
    supervisor = Supervisor(store, Dispatcher(store, metrics), expire_but, clock, metrics)
    clock.now_ns = 5
    await supervisor.round()
    assert [found.key for found in await store.sessions(None, "", 10)] == ["bad"]
    decided = store.loads.entered
    await supervisor.round()
    assert store.loads.entered == decided


async def test_with_the_store_down_a_round_fails_whole(store, clock, metrics):
    await store.commit([outcome("a", 2, session=session(due_at_ns=1))])
    supervisor = Supervisor(store, Dispatcher(store, metrics), expire, clock, metrics)
    clock.now_ns = 5
    store.commits.faults.append(StoreDown("gone"))
    with pytest.raises(Failed):
        await supervisor.round()
    await supervisor.round()
    assert await store.sessions(None, "", 10) == []


async def test_the_loop_goes_on_after_failures(store, clock, metrics):
    await store.commit([outcome("a", 2, session=session(due_at_ns=1))])
    clock.now_ns = 5
    due = store.due
    faults = [StoreDown("gone"), RuntimeError("bug"), StoreDown("gone")]
    ended = asyncio.Event()

    async def failing(now_ns, limit):
        if faults:
            raise faults.pop()
        found = await due(now_ns, limit)
        if not found:
            ended.set()
        return found

    store.due = failing
    supervisor = Supervisor(store, Dispatcher(store, metrics), expire, clock, metrics, period_s=0)
    supervisor.start()
    await ended.wait()
    await supervisor.stop()
    assert await store.sessions(None, "", 10) == []
    assert counted(metrics, "ocs_store_failures_total") == 2


# The spool.


async def test_an_emergency_call_goes_through_without_the_store(store, clock, metrics, spool, tmp_path):
    dispatcher = Dispatcher(store, metrics, spool)
    client = Client(dispatcher)
    clock.now_ns = 77
    store.finds.faults.append(StoreDown("gone"))
    client.initial(account_id="b", emergency=EMERGENCY)
    client.initial("ordinary")  # the store is back: this one is charged
    await dispatcher.drain()
    assert client.told == ["2001 ordinary I/0 left 993", "2001 emergency"]
    assert len(spool) == 1
    assert b'"at_ns":77' in (tmp_path / "ocs.db.emergency").read_bytes()
    assert counted(metrics, "ocs_emergency_spooled_total") == 1


async def test_calls_without_emergency_are_busy_and_not_spooled(store, metrics, spool):
    client = Client(Dispatcher(store, metrics, spool))
    store.finds.faults.append(StoreDown("gone"))
    client.initial()
    await idle()
    assert client.failed == [("I/0", 3004, "store_down")]
    assert len(spool) == 0


async def test_an_emergency_answer_does_not_wait_for_a_store_that_hangs(store, metrics, spool):
    dispatcher = Dispatcher(store, metrics, spool, answer_deadline_s=0)
    client = Client(dispatcher)
    store.commits.shut = True
    client.initial(account_id="b", emergency=EMERGENCY)
    while not client.told:  # noqa: ASYNC110 - a thread writes it
        await asyncio.sleep(0)
    assert client.told == ["2001 emergency"]
    await store.commits.open()
    await dispatcher.drain()
    assert client.told == ["2001 emergency"]


async def test_what_was_spooled_is_charged_when_the_store_is_back_in_its_order(store, clock, metrics, tmp_path):
    path = tmp_path / "ocs.db.emergency"
    spool = Spool(path, clock)
    await spool.open()
    dispatcher = Dispatcher(store, metrics, spool)
    client = Client(dispatcher)
    store.finds.faults.append(StoreDown("gone"))
    client.initial(account_id="b", emergency=EMERGENCY)
    await idle()
    client.update(1, account_id="b", emergency=EMERGENCY)  # the store is back, but the first is not charged yet
    client.update(2)  # not known to be an emergency by itself: it has to wait for those before it
    await dispatcher.drain()
    assert client.told == ["2001 emergency"] * 2
    assert client.failed == [("U/2", 3004, "behind_spooled")]
    await spool.close()

    # The process ends here; the next one charges.
    spool = Spool(path, clock)
    await spool.open()
    assert len(spool) == 2
    dispatcher = Dispatcher(store, metrics, spool)

    async def charge_spooled(record):
        await dispatcher.answer(record.request, charge_of(record.request), lambda _: record.content, account_id="b")

    supervisor = Supervisor(store, dispatcher, expire, clock, metrics, spool=spool, charge_spooled=charge_spooled)
    store.commits.faults.append(StoreDown("gone again"))
    await supervisor.round()
    assert len(spool) == 2
    await supervisor.round()
    assert len(spool) == 0
    assert path.read_bytes() == b""
    assert not spool.holds("s")
    assert (await store.load("b", None)).account.balances[0].value == 1_000 - 2 * COST
    client = Client(dispatcher)
    client.initial()
    client.update(1)
    await idle()
    assert client.told == ["2001 emergency"] * 2  # the repeat gets what had been answered
    await spool.close()


async def test_a_replay_that_was_interrupted_charges_once(store, clock, metrics, tmp_path):
    path = tmp_path / "spool"
    spool = Spool(path, clock)
    await spool.open()
    await spool.append(request(0, of=I), b"2001 emergency")
    dispatcher = Dispatcher(store, metrics)

    async def charge(record):
        await dispatcher.answer(record.request, charge_of(record.request), render)

    before = path.read_bytes()
    await spool.replay(charge)
    await spool.close()
    path.write_bytes(before)  # as if the process had ended before the file was emptied
    spool = Spool(path, clock)
    await spool.open()
    assert await spool.replay(charge) == 1
    assert (await store.load("a", None)).account.balances[0].value == 1_000 - COST
    await spool.close()


async def test_what_cannot_be_charged_is_kept_aside(spool, tmp_path):
    await spool.append(request(0, of=I), b"x")
    await spool.append(request(1), b"y")
    charged = []

    async def charge(record):
        if record.request.number == 0:
            raise Failed(Result.UNABLE_TO_COMPLY, "decide_failed")
        charged.append(record.request.number)

    assert await spool.replay(charge) == 2
    assert charged == [1]
    assert b'"number":0' in (tmp_path / "ocs.db.emergency.rejected").read_bytes()


async def test_a_spool_holds_so_much(store, clock, metrics, tmp_path):
    spool = Spool(tmp_path / "spool", clock, octets_max=1_000)
    await spool.open()
    client = Client(Dispatcher(store, metrics, spool))
    for key in "abcdefgh":
        store.finds.faults.append(StoreDown("gone"))
        client.initial(key, emergency=EMERGENCY)
    await client.dispatcher.drain()
    assert 0 < len(client.told) < 8
    assert set(client.failed) == {("I/0", 3004, "spool_octets")}
    assert len(client.failed) + len(client.told) == 8
    assert (tmp_path / "spool").stat().st_size <= 1_000
    assert counted(metrics, "ocs_limit_hits_total", limit="spool_octets") == len(client.failed)
    await spool.close()


async def test_a_line_cut_short_was_never_answered_and_a_damaged_one_is_kept_aside(clock, tmp_path):
    path = tmp_path / "spool"
    spool = Spool(path, clock)
    await spool.open()
    await spool.append(request(0, of=I), b"x")
    await spool.close()
    whole = path.read_bytes()
    path.write_bytes(b'{"damaged\n' + whole + whole[:20])
    spool = Spool(path, clock)
    await spool.open()
    assert len(spool) == 1
    assert (tmp_path / "spool.rejected").read_bytes() == b'{"damaged\n'
    await spool.append(request(1), b"y")
    await spool.close()
    spool = Spool(path, clock)
    await spool.open()
    assert len(spool) == 2
    await spool.close()


async def test_a_spool_that_cannot_be_written_is_no_answer(store, clock, metrics, spool):
    client = Client(Dispatcher(store, metrics, spool))
    await spool._in_thread(spool._close)
    store.finds.faults.append(StoreDown("gone"))
    client.initial(emergency=EMERGENCY)
    await client.dispatcher.drain()
    assert client.failed == [("I/0", 3004, "store_down")]
    assert not spool.holds("s")


async def test_one_node_supervises_for_all(clock, metrics):
    store = ControlledStore(shared=True)
    await store.commit([outcome("a"), outcome("a", 2, session=session("s", due_at_ns=1))])
    clock.now_ns = 1
    north, south = (
        Supervisor(
            store, Dispatcher(store, metrics), expire, clock, metrics, leading=Leading(store, "supervision", name)
        )
        for name in ("north", "south")
    )
    assert (await Leading(store, "supervision", "north").leads()) is True
    await south.round()
    assert (await store.load("a", "s")).session.is_open
    await north.round()
    assert not (await store.load("a", "s")).session.is_open
    await north.stop()
    await store.commit([outcome("a", 4, session=session("t", due_at_ns=1))])
    await south.round()
    assert not (await store.load("a", "t")).session.is_open
