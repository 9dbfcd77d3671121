"""The order of an account, and nothing answered before it is durable, whatever the store does."""

import asyncio

import msgspec
import pytest

from ocs.balances.journal import differences, fold
from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer, Result
from ocs.charging.session import SessionState
from ocs.limits import ANSWERS_INLINE_MAX, PENDING_PER_ACCOUNT_MAX, SESSIONS_READ_AHEAD_MAX
from ocs.nms.metrics import Metrics
from ocs.store import lane
from ocs.store.commands import Failed
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from tests.store.charging import COST, Client, I, T, U, charge_of, render
from tests.store.controlled import ControlledStore, credited, idle
from tests.store.making import outcome, request, session


@pytest.fixture
async def store():
    made = ControlledStore()
    await made.commit([outcome("a"), outcome("b")])
    made.batches.clear()
    return made


@pytest.fixture
async def dispatcher(store):
    made = Dispatcher(store, Metrics())
    yield made
    await store.commits.open()
    await store.loads.open()
    await store.finds.open()
    await store.answers.open()
    await made.drain()
    assert made.commands == 0
    assert made._directory._active == {}
    assert made._looked_up == {}


@pytest.fixture
def client(dispatcher):
    return Client(dispatcher)


async def balance(store, account_id="a"):
    return (await store.load(account_id, None)).account.balances[0].value


async def opened(client, *keys):
    for key in keys or ("s",):
        client.initial(key)
    await idle()
    client.told.clear()


def written(store):
    """Requests in the order in which they were committed, batch by batch."""
    return [[one.writes[0].entry.request for one in batch] for batch in store.batches]


# Nothing is answered before it is durable.


async def test_an_answer_waits_for_its_commit(store, client):
    store.commits.shut = True
    client.initial()
    await idle()
    assert client.told == []
    await store.commits.let()
    assert client.told == ["2001 s I/0 left 993"]
    assert await balance(store) == 993


async def test_commands_are_decided_ahead_and_answered_batch_by_batch(store, client):
    await opened(client)
    store.batches.clear()
    store.commits.shut = True
    client.update(1)
    await idle()
    client.update(2)
    client.update(3)
    await idle()
    assert client.told == []
    await store.commits.let()
    assert client.told == ["2001 s U/1 left 986"]
    await store.commits.let()
    assert client.told == ["2001 s U/1 left 986", "2001 s U/2 left 979", "2001 s U/3 left 972"]
    assert written(store) == [["U/1"], ["U/2", "U/3"]]


async def test_what_moves_nothing_is_answered_at_once_when_all_is_durable(store, client):
    store.commits.shut = True
    client.look()
    await idle()
    assert client.told == ["2001 saw 1000"]
    assert store.commits.entered == 1  # the fixture's own


async def test_what_moves_nothing_waits_for_what_it_was_computed_from(store, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)
    client.look()
    client.update(2)
    client.look()
    await idle()
    assert client.told == []
    await store.commits.let()
    assert client.told == ["2001 s U/1 left 986", "2001 saw 986", "2001 s U/2 left 979", "2001 saw 979"]


async def test_a_look_between_two_batches_waits_for_the_first_only(store, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)
    await idle()
    client.look()
    client.update(2)
    await idle()
    await store.commits.let()
    assert client.told == ["2001 s U/1 left 986", "2001 saw 986"]


async def test_an_unknown_subscriber_is_answered_without_a_commit(store, client):
    client.send(request(0, of=I, subscriber=("msisdn:nobody",)))
    client.send(request(0, key="none", of=I, subscriber=()))
    await idle()
    assert client.told == ["5030", "5030"]
    assert store.batches == []


async def test_accounts_do_not_wait_for_each_other(store, client):
    store.loads.shut = True
    client.initial("s")
    await idle()
    store.loads.shut = False
    client.send(request(0, key="other", of=I, subscriber=("msisdn:b",)))
    await idle()
    assert client.told == ["2001 other I/0 left 993"]
    await store.loads.open()
    assert client.told == ["2001 other I/0 left 993", "2001 s I/0 left 993"]


# Order.


async def test_a_session_that_is_looked_up_keeps_its_order(store, client):
    store.finds.shut = True
    client.initial()
    client.update(1)
    client.update(2)
    await store.finds.open()
    await idle()
    assert client.told == ["2001 s I/0 left 993", "2001 s U/1 left 986", "2001 s U/2 left 979"]


async def test_pipelined_requests_of_an_unknown_subscriber_each_get_their_answer(store, client):
    for number in range(3):
        client.send(request(number, of=I, subscriber=("msisdn:nobody",)))
    client.send(request(3, of=I))  # and one of a known subscriber
    client.update(4)
    await idle()
    assert client.told == ["5030", "5030", "5030", "2001 s I/3 left 993", "2001 s U/4 left 986"]


async def test_commands_behind_a_read_keep_their_order(store, client):
    await opened(client, "s", "t")
    fresh = Client(Dispatcher(store, Metrics()))
    store.loads.shut = True
    fresh.update(1, "s")
    fresh.update(1, "t")
    fresh.update(2, "s")
    await store.loads.let()  # account and s
    fresh.update(3, "s")
    await idle()
    assert fresh.told == ["2001 s U/1 left 979", "2001 s U/2 left 972"]
    await store.loads.let()  # t
    assert fresh.told[2:] == ["2001 t U/1 left 965", "2001 s U/3 left 958"]


# Repeats.


async def test_a_repeat_gets_the_stored_answer_and_moves_nothing(store, client):
    await opened(client)
    client.update(1)
    client.update(2)
    client.update(1)
    await idle()
    assert client.told == ["2001 s U/1 left 986", "2001 s U/2 left 979", "2001 s U/1 left 986"]
    assert await balance(store) == 979


async def test_a_repeat_waits_until_the_answer_is_durable(store, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)
    client.update(1)
    await idle()
    assert client.told == []
    await store.commits.let()
    assert client.told == ["2001 s U/1 left 986"] * 2
    assert await balance(store) == 986


async def test_a_repeated_initial_that_is_still_looked_up_opens_one_session(store, client):
    store.finds.shut = True
    client.initial()
    client.initial()
    await store.finds.open()
    await idle()
    assert client.told == ["2001 s I/0 left 993"] * 2
    assert await balance(store) == 993


@pytest.mark.conformance("B4", "B45")
async def test_a_repeat_after_a_restart_gets_the_stored_answer(store, client):
    await opened(client)
    client.update(1)
    client.end(2)
    await idle()
    after = Client(Dispatcher(store, Metrics()))
    for again in (after.end, after.update):
        again(2 if again == after.end else 1)
    after.initial()
    await idle()
    assert after.told == ["2001 s T/2 left 979", "2001 s U/1 left 986", "2001 s I/0 left 993"]
    assert await balance(store) == 979


async def test_an_answer_that_left_the_session_row_is_read_from_its_page(store, client):
    await opened(client)
    numbers = range(1, 3 * ANSWERS_INLINE_MAX)
    for number in numbers:
        client.update(number)
    await idle()
    first = list(client.told)
    client.told.clear()
    client.initial()
    for number in numbers:
        client.update(number)
        await idle()
    assert client.told == ["2001 s I/0 left 993", *first]
    assert await balance(store) == 1_000 - COST * (len(numbers) + 1)


async def test_a_late_repeat_waits_for_pages_that_are_on_their_way(store, client):
    await opened(client)
    store.commits.shut = True
    for number in range(1, 2 * ANSWERS_INLINE_MAX):
        client.update(number)
    client.update(1)
    await idle()
    assert client.told == []
    await store.commits.let()
    assert client.told[-1] == client.told[0] == "2001 s U/1 left 986"


async def test_an_answer_that_is_nowhere_is_said_to_be_a_failure(store, client):
    await opened(client)
    for number in range(1, 2 * ANSWERS_INLINE_MAX):
        client.update(number)
    await idle()
    store._pages.clear()
    client.update(1)
    await idle()
    assert client.failed == [("U/1", 5012, "answer_missing")]


async def test_a_late_repeat_with_the_store_down_is_busy(store, client):
    await opened(client)
    for number in range(1, 2 * ANSWERS_INLINE_MAX):
        client.update(number)
    await idle()
    store.answers.faults.append(StoreDown("gone"))
    client.update(1)
    await idle()
    assert client.failed == [("U/1", 3004, "store_down")]


# Which account.


async def test_a_session_is_found_whatever_the_subscriber_says(store, client):
    await opened(client)
    fresh = Client(Dispatcher(store, Metrics()))
    fresh.send(request(1, of=U, subscriber=("msisdn:b",)))
    fresh.send(request(2, of=U, subscriber=()))
    await idle()
    assert fresh.told == ["2001 s U/1 left 986", "2001 s U/2 left 979"]
    assert await balance(store, "b") == 1_000


async def test_a_house_account_comes_before_the_subscriber(store, client):
    client.send(request(0, of=I, subscriber=("msisdn:nobody",)), account_id="b")
    await idle()
    client.send(request(1, of=U))  # a later request names a subscriber only, and belongs to the session
    client.initial()  # and so does an INITIAL of a session that is known on another account
    await idle()
    assert client.told == ["2001 s I/0 left 993", "2001 s U/1 left 986", "2001 s I/0 left 993"]
    assert await balance(store, "b") == 986
    assert await balance(store, "a") == 1_000
    fresh = Client(Dispatcher(store, Metrics()))
    fresh.initial()
    await idle()
    assert fresh.told == ["2001 s I/0 left 993"]


async def test_a_session_on_its_way_belongs_to_its_account_already(store, client):
    store.commits.shut = True
    client.send(request(0, of=I), account_id="b")
    await idle()
    client.update(1)
    client.initial()
    await store.commits.open()
    assert client.told == ["2001 s I/0 left 993", "2001 s U/1 left 986", "2001 s I/0 left 993"]
    assert await balance(store, "a") == 1_000


async def test_the_account_of_the_caller_may_not_exist(store, client):
    client.send(request(0, of=I), account_id="nobody")
    await idle()
    assert client.told == ["5030"]


async def test_a_subscriber_made_later_is_found(store, dispatcher, client):
    client.send(request(0, of=I, subscriber=("msisdn:c", "msisdn:a")))
    await idle()
    await dispatcher.run("c", None, lambda account, _: outcome("c", 1, 500))
    client.send(request(0, key="t", of=I, subscriber=("msisdn:c", "msisdn:a")))
    await idle()
    assert client.told == ["2001 s I/0 left 993", "2001 t I/0 left 493"]


async def test_known_sessions_and_subscribers_cost_no_read(store, client):
    await opened(client)
    finds, loads = store.finds.entered, store.loads.entered
    for number in range(1, 5):
        client.update(number)
    await idle()
    assert len(client.told) == 4
    assert (store.finds.entered, store.loads.entered) == (finds, loads)
    client.initial("t")  # a new session: one look whether it is known
    await idle()
    assert (store.finds.entered, store.loads.entered) == (finds + 1, loads)


# Conflicts.


async def test_after_a_conflict_commands_are_decided_again_in_order(store, client):
    await opened(client)
    await store.elsewhere("a", change=500)
    client.update(1)
    client.update(2)
    client.look()
    client.update(3)
    await idle()
    assert client.told == ["2001 s U/1 left 1486", "2001 s U/2 left 1479", "2001 saw 1479", "2001 s U/3 left 1472"]
    assert await balance(store) == 1_472


async def test_after_a_conflict_later_batches_are_not_built_on_what_never_was(store, client):
    """The dangerous case: another node raises the account to the very version that a queued decision expects."""
    await opened(client)
    store.batches.clear()
    store.commits.shut = True
    client.update(1)  # version 3, in flight
    await idle()
    client.update(2)  # version 4, queued
    await idle()
    await store.elsewhere("a", change=500)  # version 3 is another's: 4 would fit
    await store.commits.let()
    assert client.told == []
    await store.commits.open()
    assert client.told == ["2001 s U/1 left 1486", "2001 s U/2 left 1479"]
    assert await balance(store) == 1_479
    account = (await store.load("a", None)).account
    assert differences(account, fold(await store.journal("a", 0, 100))) == []


async def test_a_conflict_concerns_its_account_only(store, client):
    await opened(client)
    client.send(request(0, key="other", of=I, subscriber=("msisdn:b",)))
    await idle()
    client.told.clear()
    await store.elsewhere("a", change=500)
    client.update(1)
    client.update(1, "other")
    await idle()
    assert sorted(client.told) == ["2001 other U/1 left 986", "2001 s U/1 left 1486"]


@pytest.mark.conformance("B30")
async def test_a_session_processed_elsewhere_is_repeated_not_charged_again(store, client):
    """Another node opened the same session meanwhile: the decision is made again, with that session."""
    client.look()
    await idle()  # the account is known here, the session is not
    other = Client(Dispatcher(store, Metrics()))
    store.commits.shut = True
    client.initial()
    await idle()
    store.commits.shut = False
    other.initial()
    await idle()
    assert other.told == ["2001 s I/0 left 993"]
    await store.commits.open()
    assert client.told == ["2001 saw 1000", "2001 s I/0 left 993"]
    assert await balance(store) == 993


async def test_a_session_not_found_before_the_account_was_read_is_looked_for_again(store, client):
    """Found absent, then opened by another node, then the account read: its version would not tell."""
    store.finds.shut = True
    client.initial()
    await store.finds.let()  # there is no such session
    other = Client(Dispatcher(store, Metrics()))
    store.finds.shut = False
    other.initial()
    await idle()
    await store.finds.open()  # now the subscriber, then the account
    await idle()
    assert client.told == other.told == ["2001 s I/0 left 993"]
    assert await balance(store) == 993


async def test_absence_seen_before_another_command_read_the_account_is_not_believed(store, client):
    """Found absent, opened by another node, and then the account read for another session: no version would tell."""
    store.finds.shut = True
    client.initial("s")
    await store.finds.let()  # s: there is no such session
    other = Client(Dispatcher(store, Metrics()))
    store.finds.shut = False
    other.initial("s")
    await idle()
    await client.dispatcher.run("a", None, lambda account, _: Outcome())  # the account is known now, without s
    await store.finds.open()
    assert client.told == other.told == ["2001 s I/0 left 993"]
    assert await balance(store) == 993


async def test_a_conflict_while_a_session_is_read_keeps_the_order_and_reads_again(store, client):
    await opened(client, "s", "t")
    fresh = Client(Dispatcher(store, Metrics()))
    fresh.look("s")
    await idle()
    store.commits.shut = store.loads.shut = True
    fresh.update(1, "s")
    await idle()
    fresh.update(1, "t")
    await idle()
    fresh.update(2, "s")
    await store.elsewhere("a", change=500)
    store.loaded.clear()
    await store.commits.let()  # a conflict, while t is being read for the state before it
    assert store.loaded == []
    await store.loads.let()
    assert store.loaded == [("a", "s")]
    await store.loads.open()
    await store.commits.open()
    assert fresh.told[1:] == ["2001 s U/1 left 1479", "2001 t U/1 left 1472", "2001 s U/2 left 1465"]
    assert store.loaded == [("a", "s"), ("a", "t")]


async def test_endless_conflicts_end_as_busy(store, dispatcher, client):
    await opened(client)
    commit = store.commit

    async def always_behind(outcomes):
        await store.elsewhere("a")
        return await commit(outcomes)

    store.commit = always_behind
    client.update(1)
    for _ in range(50):
        await idle()
    assert client.failed == [("U/1", 3004, "conflicts")]
    store.commit = commit
    client.update(1)
    await idle()
    assert client.told == ["2001 s U/1 left 986"]


# The store is down.


async def test_with_the_store_down_nothing_speculative_survives(store, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)
    await idle()
    client.update(2)
    client.look()
    await idle()
    await store.commits.let(error=StoreDown("disk full"))
    assert client.told == []
    assert client.failed == [(name, 3004, "store_down") for name in ("U/1", "U/2", "E/0")]
    await store.commits.open()
    client.update(3)
    client.update(1)
    await idle()
    assert client.told == ["2001 s U/3 left 986", "2001 s U/1 left 979"]
    assert await balance(store) == 979


async def test_a_commit_that_failed_may_have_been_written(store, client):
    """The connection broke after the commit: the client is told to try again, and then gets the stored answer."""
    await opened(client)
    commit = store.commit

    async def written_but_not_told(outcomes):
        await commit(outcomes)
        raise StoreDown("connection lost")

    store.commit = written_but_not_told
    client.update(1)
    await idle()
    assert client.failed == [("U/1", 3004, "store_down")]
    store.commit = commit
    client.update(1)
    await idle()
    assert client.told == ["2001 s U/1 left 986"]
    assert await balance(store) == 986


@pytest.mark.parametrize("gate", ["finds", "loads"])
async def test_reads_that_fail_are_busy_and_tried_again(store, client, gate):
    getattr(store, gate).faults.append(StoreDown("gone"))
    client.initial()
    client.initial()
    await idle()
    assert client.failed == [("I/0", 3004, "store_down")] * 2
    client.initial()
    await idle()
    assert client.told == ["2001 s I/0 left 993"]


async def test_a_read_that_fails_leaves_what_is_on_its_way(store, client):
    await opened(client, "s", "t")
    fresh = Client(Dispatcher(store, Metrics()))
    store.commits.shut = True
    fresh.update(1, "s")
    await idle()
    store.loads.faults.append(StoreDown("gone"))
    fresh.update(1, "t")
    await idle()
    assert fresh.failed == [("U/1", 3004, "store_down")]
    fresh.update(1, "t")
    await store.commits.open()
    assert fresh.told == ["2001 s U/1 left 979", "2001 t U/1 left 972"]


# Bugs.


def broken(account, session):
    raise AssertionError("balance is not conserved")


async def test_a_decision_that_breaks_fails_alone(store, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)
    client.update(2, decide=broken)
    client.update(3)
    client.send(request(0, key="other", of=I, subscriber=("msisdn:b",)))
    await idle()
    assert client.failed == [("U/2", 5012, "decide_failed")]
    await store.commits.open()
    assert client.told[0] == "2001 s U/1 left 986"
    assert sorted(client.told[1:]) == ["2001 other I/0 left 993", "2001 s U/3 left 979"]


async def test_a_break_makes_the_lane_read_again_but_not_before_its_writes_are_there(store, client):
    await opened(client)
    store.loaded.clear()
    store.commits.shut = True
    client.update(1)
    client.update(2, decide=broken)
    client.update(3)
    await idle()
    assert store.loaded == []
    await store.commits.open()
    assert store.loaded == [("a", "s")]
    assert client.told == ["2001 s U/1 left 986", "2001 s U/3 left 979"]


@pytest.mark.parametrize("account_id", ["a", None])
async def test_what_a_renderer_cannot_say_is_not_done(store, client, account_id):
    def speechless(answer):
        raise ValueError("no such AVP")

    failed = []
    asked = request(0, of=I, subscriber=("msisdn:a",) if account_id else ())
    client.dispatcher.charge(
        asked, charge_of(asked), speechless, client.told.append, lambda *why: failed.append(why), account_id=account_id
    )
    await idle()
    assert failed == [(5012, "decide_failed")]
    assert await balance(store) == 1_000


@pytest.mark.parametrize(
    "wrong",
    [
        lambda account, session: outcome("a", 7, answer=ChargingAnswer(Result.SUCCESS)),  # a version left out
        lambda account, session: outcome("b", 2, answer=ChargingAnswer(Result.SUCCESS)),  # another account
        lambda account, session: Outcome(writes=(credited(account, 1),)),  # no answer
        lambda account, session_: Outcome(  # another session
            writes=(credited(account, 1),), session=session("t"), answer=ChargingAnswer(Result.SUCCESS)
        ),
        lambda account, session_: Outcome(session=session(), answer=ChargingAnswer(Result.SUCCESS)),  # unguarded
    ],
)
async def test_a_decision_against_the_rules_goes_no_further(store, client, wrong):
    client.initial(decide=wrong)
    client.look()
    await idle()
    assert client.failed == [("I/0", 5012, "decide_failed")]
    assert client.told == ["2001 saw 1000"]
    assert store.batches == []


async def test_an_outcome_that_cannot_be_written_fails_alone(store, client):
    await opened(client, "s")
    commit = store.commit

    async def not_that_one(outcomes):
        if any(one.writes[0].entry.request == "U/2" for one in outcomes):
            raise OverflowError("too large")
        return await commit(outcomes)

    store.commit = not_that_one
    client.update(1)
    client.update(2)
    client.update(3)
    client.send(request(0, key="other", of=I, subscriber=("msisdn:b",)))
    await idle()
    assert client.failed == [("U/2", 5012, "commit_refused")]
    assert client.told[0] == "2001 s U/1 left 986"
    assert sorted(client.told[1:]) == ["2001 other I/0 left 993", "2001 s U/3 left 979"]
    assert await balance(store) == 979


async def test_a_read_that_breaks_fails_one_command(store, client):
    store.loads.faults.append(msgspec.ValidationError("not an account"))
    client.initial()
    client.initial("t")
    await idle()
    assert client.failed == [("I/0", 5012, "load_failed")]
    assert client.told == ["2001 t I/0 left 993"]


async def test_a_read_that_makes_no_sense_fails_the_lane_and_the_next_read_heals_it(store, client):
    load = store.load
    store.load = lambda account_id, key: idle()  # nothing that was asked for
    client.initial()
    client.initial("t")
    await idle()
    await idle()
    assert client.failed == [("I/0", 5012, "lane_failed")] * 2
    store.load = load
    client.initial()
    await idle()
    assert client.told == ["2001 s I/0 left 993"]


async def test_a_client_that_breaks_harms_nobody(store, client):
    def gone(content):
        raise RuntimeError("the transport is closed")

    asked = request(0, of=I)
    client.dispatcher.charge(asked, charge_of(asked), render, gone, lambda *why: None)
    client.update(1)
    await idle()
    assert client.told == ["2001 s U/1 left 986"]


# Bounds.


@pytest.mark.conformance("B44")
@pytest.mark.conformance("B44")
async def test_an_answer_in_time_or_none(store):
    client = Client(Dispatcher(store, Metrics(), answer_deadline_s=0))
    store.commits.shut = True
    client.initial()
    await idle()
    assert client.failed == [("I/0", 3004, "deadline")]
    client.initial()  # the repeat comes while the first is still on its way
    await idle()
    await store.commits.open()
    assert client.told == []  # nobody is told twice
    assert await balance(store) == 993
    patient = Client(Dispatcher(store, Metrics()))
    patient.initial()
    await idle()
    assert patient.told == ["2001 s I/0 left 993"]


async def test_only_what_is_late_counts_as_late(store):
    metrics = Metrics()
    client = Client(Dispatcher(store, metrics, answer_deadline_s=0))
    client.send(request(0, key="quick", of=I, subscriber=()))
    await idle()
    store.commits.shut = True
    client.initial()
    await idle()
    await store.commits.open()
    late = metrics.registry.get_sample_value("ocs_limit_hits_total", {"limit": "answer_deadline_s"})
    assert client.told == ["5030"]
    assert late == 1


async def test_a_late_look_up_is_not_answered_twice(store):
    client = Client(Dispatcher(store, Metrics(), answer_deadline_s=0))
    store.finds.shut = True
    client.initial()
    await idle()
    await store.finds.open()
    await idle()
    assert client.failed == [("I/0", 3004, "deadline")]
    assert client.told == []
    assert await balance(store) == 993


async def test_a_lane_takes_so_many_commands(store, client):
    store.loads.shut = True
    client.initial()
    await idle()
    for number in range(1, PENDING_PER_ACCOUNT_MAX + 3):
        client.update(number)
    assert client.failed == [
        (f"U/{number}", 3004, "pending_per_account") for number in range(PENDING_PER_ACCOUNT_MAX, number + 1)
    ]
    await store.loads.open()
    for _ in range(5):
        await idle()
    assert len(client.told) == PENDING_PER_ACCOUNT_MAX


async def test_the_dispatcher_takes_so_many_commands(store):
    client = Client(Dispatcher(store, Metrics(), commands_max=3))
    store.finds.shut = True
    for key in "pqrs":
        client.initial(key)
    client.initial("p")
    assert client.failed == [("I/0", 3004, "inflight")] * 2
    await store.finds.open()
    await idle()
    assert len(client.told) == 3
    client.initial("s")
    await idle()
    assert client.told[-1] == "2001 s I/0 left 972"


async def test_lanes_are_bounded_and_busy_ones_stay(store):
    dispatcher = Dispatcher(store, Metrics(), accounts_max=2)
    client = Client(dispatcher)
    for name in "cdefg":
        await dispatcher.run(name, None, lambda account, _, name=name: outcome(name))
        assert len(dispatcher._lanes._lanes) <= 2
    store.commits.shut = True
    for name in "abcd":
        client.send(request(0, key=name, of=I, subscriber=(f"msisdn:{name}",)))
    await idle()
    assert {"a", "b", "c", "d"} <= set(dispatcher._lanes._lanes)  # all have writes on their way
    await store.commits.open()
    assert len(client.told) == 4
    client.send(request(1, key="a", of=U))
    await idle()
    assert client.told[-1] == "2001 a U/1 left 986"
    assert len(dispatcher._lanes._lanes) <= 2


async def test_sessions_of_a_lane_are_bounded(store, monkeypatch):
    monkeypatch.setattr(lane.Lane.__init__, "__defaults__", (64,))
    client = Client(Dispatcher(store, Metrics()))
    keys = [f"s{n}" for n in range(100)]
    await opened(client, *keys)
    own = client.dispatcher._lanes._lanes["a"]
    assert own.sessions == 64
    for key in keys:
        client.update(1, key)
    for _ in range(10):
        await idle()
    assert len(client.told) == 100
    assert own.sessions == 64
    assert await balance(store) == 1_000 - 200 * COST


async def test_sessions_of_all_lanes_are_bounded(store):
    """What was used last stays."""
    client = Client(Dispatcher(store, Metrics(), sessions_max=5))
    for key in ("a1", "a2", "a3"):
        client.initial(key)
        await idle()
    for key in ("b1", "b2", "b3"):
        client.send(request(0, key=key, of=I, subscriber=("msisdn:b",)))
        await idle()
    lanes = client.dispatcher._lanes
    assert set(lanes._lanes) == {"b"}
    assert lanes._sessions == lanes._lanes["b"].sessions == 3
    client.update(1, "a1")
    await idle()
    assert client.told[-1].startswith("2001 a1 U/1")


async def test_sessions_that_wait_together_are_read_together(store):
    keys = [f"s{n}" for n in range(100)]
    first = Client(Dispatcher(store, Metrics()))
    await opened(first, *keys)
    later = Client(Dispatcher(store, Metrics()))  # it knows none of them
    store.loads.shut = True
    for key in keys:
        later.update(1, key)
    await idle()
    assert len(store.loads.waiting) == 1  # the account, with the first of them
    await store.loads.let()
    assert len(store.loads.waiting) == SESSIONS_READ_AHEAD_MAX
    await store.loads.open()
    assert len(later.told) == 100
    assert await balance(store) == 1_000 - 200 * COST


async def test_a_closed_session_is_not_kept(store, client):
    await opened(client, "s")
    client.end(1)
    await idle()
    client.end(1)
    await idle()
    assert client.told == ["2001 s T/1 left 986"] * 2
    assert client.dispatcher._lanes._lanes["a"]._durable == {}
    assert len(client.dispatcher._directory._sessions) == 0


# Commands of people and timers.


async def test_a_command_of_people_takes_its_place_in_the_lane(store, dispatcher, client):
    await opened(client)
    store.commits.shut = True
    client.update(1)

    def topup(account, session):
        return Outcome(writes=(credited(account, 100),))

    topped = asyncio.ensure_future(dispatcher.run("a", None, topup))
    await idle()
    client.update(2)
    await idle()
    assert not topped.done()
    await store.commits.open()
    assert (await topped).writes[0].account.balances[0].value == 1_086
    assert client.told == ["2001 s U/1 left 986", "2001 s U/2 left 1079"]


async def test_a_refused_command_of_people_writes_nothing(store, dispatcher):
    refused = await dispatcher.run("a", None, lambda account, _: Outcome(conflict="version 7 is not 1"))
    assert refused.conflict == "version 7 is not 1"
    assert store.batches == []


async def test_a_command_may_make_its_account(store, dispatcher, client):
    made = await dispatcher.run("c", None, lambda account, _: outcome("c") if account is None else Outcome())
    assert made.writes
    again = await dispatcher.run("c", None, lambda account, _: outcome("c") if account is None else Outcome())
    assert not again.writes
    client.send(request(0, of=I, subscriber=("imsi:c",)))
    await idle()
    assert client.told == ["2001 s I/0 left 993"]


async def test_a_failed_command_says_why(store, dispatcher):
    store.loads.faults.append(StoreDown("gone"))
    with pytest.raises(Failed) as busy:
        await dispatcher.run("a", None, lambda account, _: Outcome())
    assert (busy.value.result, busy.value.why) == (Result.TOO_BUSY, "store_down")
    assert isinstance(busy.value.__cause__, StoreDown)
    with pytest.raises(Failed) as bug:
        await dispatcher.run("a", None, broken)
    assert bug.value.result == Result.UNABLE_TO_COMPLY
    assert isinstance(bug.value.__cause__, AssertionError)


async def test_a_command_sees_its_session(store, dispatcher, client):
    await opened(client)
    seen = []

    def expire(account, session):
        seen.append((account.version, session.key))
        closed = msgspec.structs.replace(session, state=SessionState.EXPIRED)
        return Outcome(writes=(credited(account, 0),), session=closed)

    await dispatcher.run("a", "s", expire)
    assert seen == [(2, "s")]
    assert (await store.load("a", "s")).session.state is SessionState.EXPIRED


async def test_an_answer_can_be_waited_for(store, dispatcher):
    asked = request(0, of=I)
    assert await dispatcher.answer(asked, charge_of(asked), render) == b"2001 s I/0 left 993"
    store.commits.faults.append(StoreDown("gone"))
    asked = request(1, of=T)
    with pytest.raises(Failed):
        await dispatcher.answer(asked, charge_of(asked), render)
