"""What every store keeps to, whatever it is made of."""

import msgspec
import pytest

from ocs.balances.journal import differences, fold
from ocs.charging.outcome import Outcome
from ocs.charging.session import Answered, SessionState
from ocs.store.interface import Applied, DueSession, Duplicate, Loaded
from tests.store.making import account, cdr, outcome, page, session, write

DONE, CONFLICT = Applied.DONE, Applied.CONFLICT
CLOSED = SessionState.CLOSED


async def reopened(store):
    """The store as the next process finds it."""
    await store.close()
    await store.open()
    return store


async def everything(store):
    """All that can be read, to compare."""
    accounts = await store.accounts("", 100)
    return (
        accounts,
        [await store.journal(found.id, 0, 100) for found in accounts],
        await store.sessions(None, "", 100),
        await store.cdrs(None, None, 0, 100),
        [await store.load_answers(found.id, "s") for found in accounts],
        [await store.find_account((f"msisdn:{found.id}",)) for found in accounts],
        await store.find_session("s"),
        await store.due(10**18, 100),
        await store.count_open_sessions(),
    )


async def test_a_commit_is_read_back_whole(store):
    written = outcome(session=session(), cdrs=(cdr(),), page=page(0, Answered(1, 0, b"x")))
    assert await store.commit([written]) == [DONE]
    store = await reopened(store)
    assert await store.load("a", "s") == Loaded(account(), session())
    assert await store.load("a", None) == Loaded(account(), None)
    assert await store.load("a", "other") == Loaded(account(), None)
    assert await store.load("b", "s") == Loaded(None, None)
    assert [(found.id, found.cdr) for found in await store.cdrs(None, None, 0, 10)] == [(1, cdr())]
    assert await store.journal("a", 0, 10) == [write().entry]
    assert await store.load_answers("a", "s") == [Answered(1, 0, b"x")]
    assert await store.find_session("s") == "a"


async def test_an_empty_batch_is_nothing(store):
    assert await store.commit([]) == []


@pytest.mark.parametrize("version", [1, 2, 4])
async def test_a_write_of_any_but_the_next_version_is_a_conflict(store, version):
    await store.commit([outcome(version=1), outcome(version=2)])
    before = await everything(store)
    late = outcome(version=version, value=5, session=session(), cdrs=(cdr(),), page=page(0, Answered(1, 0, b"x")))
    assert await store.commit([late]) == [CONFLICT]
    assert await everything(store) == before


async def test_an_account_that_is_not_there_cannot_be_at_version_two(store):
    assert await store.commit([outcome(version=2)]) == [CONFLICT]
    assert await store.load("a", None) == Loaded(None, None)


async def test_after_a_conflict_all_later_outcomes_of_the_account_stay_out_and_others_go_in(store):
    await store.commit([outcome("a"), outcome("b")])
    applied = await store.commit(
        [
            outcome("b", 2, 20),
            outcome("a", 3, 30),  # conflict: computed from a version that is not there
            outcome("a", 2, 40, session=session(), cdrs=(cdr(),)),  # fits, but was computed from the one before
            outcome("b", 3, 50),
        ]
    )
    assert applied == [DONE, CONFLICT, CONFLICT, DONE]
    assert (await store.load("a", "s")) == Loaded(account("a", 1), None)
    assert (await store.load("b", None)).account == account("b", 3, 50)
    assert await store.cdrs(None, None, 0, 10) == []


async def test_an_outcome_of_several_accounts_goes_in_whole_or_not_at_all(store):
    await store.commit([outcome("a"), outcome("b"), outcome("c")])
    transfer = Outcome(writes=(write("a", 2, 10), write("b", 3, 20)))  # b is at 1
    after_b = outcome("b", 2, 30)
    after_a = outcome("a", 2, 40)
    assert await store.commit([transfer, after_b, outcome("c", 2, 50), after_a]) == [CONFLICT, CONFLICT, DONE, CONFLICT]
    assert [found.version for found in await store.accounts("", 10)] == [1, 1, 2]
    good = Outcome(writes=(write("a", 2, 10), write("b", 2, 20)))
    assert await store.commit([good]) == [DONE]
    assert [(found.id, found.version, found.balances[0].value) for found in await store.accounts("", 10)] == [
        ("a", 2, 10),
        ("b", 2, 20),
        ("c", 2, 50),
    ]


async def test_several_outcomes_of_one_account_in_one_batch(store):
    batch = [outcome(version=n, value=100 - n, session=session(number=n)) for n in range(1, 6)]
    assert await store.commit(batch) == [DONE] * 5
    loaded = await store.load("a", "s")
    assert loaded == Loaded(account(version=5, value=95), session(number=5))
    assert [entry.version for entry in await store.journal("a", 0, 10)] == [1, 2, 3, 4, 5]


async def test_nothing_of_a_batch_is_written_when_it_breaks_in_the_middle(store):
    await store.commit([outcome("a", cdrs=(cdr(),)), outcome("b")])
    before = await everything(store)
    broken = outcome("b", 2, 7, cdrs=(cdr(),))  # that CDR is there already
    batch = [
        outcome("a", 2, 5, session=session(), page=page(0, Answered(1, 0, b"x")), cdrs=(cdr(partial=1),)),
        outcome("c"),
        broken,
        outcome("a", 3, 6),
    ]
    with pytest.raises(Duplicate):
        await store.commit(batch)
    assert await everything(store) == before
    assert await store.find_session("s") is None
    assert await store.find_account(("msisdn:c",)) is None
    assert await store.commit([outcome("a", 2), outcome("c"), outcome("b", 2)]) == [DONE] * 3
    assert [found.id for found in await store.cdrs(None, None, 0, 10)] == [1]


async def test_what_no_version_guards_is_refused(store):
    with pytest.raises(AssertionError):
        await store.commit([Outcome(session=session())])
    with pytest.raises(AssertionError):
        await store.commit([outcome("a", session=session(account_id="b"))])
    assert await store.accounts("", 10) == []


@pytest.mark.parametrize(("rating_group", "service_id"), [(100, None), (None, None), (None, 7), (100, 7)])
async def test_a_cdr_is_unique_with_and_without_rating_group(store, rating_group, service_id):
    one = cdr(rating_group=rating_group, service_id=service_id)
    await store.commit([outcome(version=1, cdrs=(one,))])
    with pytest.raises(Duplicate):
        await store.commit([outcome(version=2, cdrs=(one,))])
    twice = cdr(rating_group=rating_group, service_id=service_id, partial=1)
    with pytest.raises(Duplicate):
        await store.commit([outcome(version=2, cdrs=(twice,)), outcome(version=3, cdrs=(twice,))])
    others = (
        cdr(rating_group=0, service_id=service_id),
        cdr(rating_group=rating_group, service_id=0),
        cdr(rating_group=rating_group, service_id=service_id, partial=1),
        cdr("other", rating_group=rating_group, service_id=service_id),
    )
    assert await store.commit([outcome(version=2, cdrs=others)]) == [DONE]
    assert [found.cdr for found in await store.cdrs(None, None, 0, 10)] == [one, *others]


async def test_cdrs_are_numbered_in_the_order_of_writing_and_paged(store):
    await store.commit([outcome("a", cdrs=(cdr("s1"), cdr("s2")))])
    store = await reopened(store)
    await store.commit([outcome("b", cdrs=(cdr("s1", "b"),)), outcome("a", 2, cdrs=(cdr("s1", partial=1),))])
    assert [(n, c.account_id, c.session_id, c.partial) for n, c in await store.cdrs(None, None, 0, 10)] == [
        (1, "a", "s1", 0),
        (2, "a", "s2", 0),
        (3, "b", "s1", 0),
        (4, "a", "s1", 1),
    ]
    assert [n for n, _ in await store.cdrs(None, None, 1, 2)] == [2, 3]
    assert [n for n, _ in await store.cdrs("a", None, 1, 10)] == [2, 4]
    assert [n for n, _ in await store.cdrs("a", "s1", 0, 10)] == [1, 4]
    assert [n for n, _ in await store.cdrs(None, "s1", 1, 1)] == [3]
    assert await store.cdrs("nobody", None, 0, 10) == []


async def test_the_journal_is_paged_by_version_and_gives_the_account(store):
    changes = [100, -7, 11, -40, 3, -1]
    value = 0
    for version, change in enumerate(changes, start=1):
        value += change
        other = outcome("b", version)  # entries of other accounts in between
        assert await store.commit([Outcome(writes=(write("a", version, value, change=change),)), other]) == [DONE] * 2
        if version == 3:
            store = await reopened(store)
    entries = await store.journal("a", 0, 100)
    assert [entry.version for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert differences((await store.load("a", None)).account, fold(entries)) == []
    assert [entry.version for entry in await store.journal("a", 2, 2)] == [3, 4]
    assert [entry.version for entry in await store.journal("a", 5, 10)] == [6]
    assert await store.journal("a", 6, 10) == []
    assert await store.journal("nobody", 0, 10) == []


async def test_identities_lead_to_the_account_the_first_known_one_first(store):
    await store.commit([outcome("a"), outcome("b")])
    store = await reopened(store)
    assert await store.find_account(("imsi:a",)) == "a"
    assert await store.find_account(("msisdn:unknown", "msisdn:b", "imsi:a")) == "b"
    assert await store.find_account(("msisdn:unknown",)) is None
    assert await store.find_account(()) is None


async def test_an_identity_belongs_to_one_account(store):
    await store.commit([outcome("a")])
    thief = msgspec.structs.replace(write("b"), identities=("msisdn:b", "imsi:a"))
    with pytest.raises(Duplicate, match="imsi:a"):
        await store.commit([Outcome(writes=(thief,))])
    assert await store.find_account(("msisdn:b",)) is None
    twins = [msgspec.structs.replace(write(name), identities=("msisdn:new",)) for name in ("c", "d")]
    with pytest.raises(Duplicate, match="msisdn:new"):
        await store.commit([Outcome(writes=(one,)) for one in twins])
    again = msgspec.structs.replace(write("a", 2), identities=("msisdn:a", "msisdn:a2"))
    assert await store.commit([Outcome(writes=(again,))]) == [DONE]
    assert await store.find_account(("msisdn:a2",)) == "a"


async def test_the_first_account_of_a_session_is_where_it_is_found(store):
    await store.commit([outcome("a", session=session())])
    await store.commit([outcome("b", session=session(account_id="b")), outcome("a", 2, session=session(number=4))])
    assert await store.find_session("s") == "a"
    assert await store.find_session("unknown") is None


async def test_of_two_accounts_that_have_a_session_in_one_batch_the_first_keeps_the_name(store):
    await store.commit([outcome("b"), outcome("a")])
    batch = [outcome("b", 2, session=session(account_id="b")), outcome("a", 2, session=session())]
    assert await store.commit(batch) == [DONE, DONE]
    assert await store.find_session("s") == "b"
    assert (await store.load("a", "s")).session == session()


async def test_answer_pages_come_in_their_order(store):
    first = page(0, Answered(1, 0, b"i0"), Answered(2, 1, b"u1"))
    second = page(1, Answered(2, 2, b"u2"))
    await store.commit([outcome(version=1, page=first), outcome(version=2, page=second)])
    await store.commit([outcome("b", page=page(0, Answered(1, 0, b"other"), account_id="b"))])
    assert await store.load_answers("a", "s") == [*first.answers, *second.answers]
    assert await store.load_answers("a", "other") == []


async def test_due_sessions_are_open_ones_the_most_overdue_first(store):
    rows = [("s1", 30), ("s2", 10), ("s3", 20), ("s4", 99)]
    outcomes = [outcome("a", n, session=session(key, due_at_ns=due)) for n, (key, due) in enumerate(rows, start=1)]
    await store.commit([*outcomes, outcome("b", session=session("t", "b", state=CLOSED, due_at_ns=5))])
    assert await store.due(30, 10) == [DueSession("a", "s2"), DueSession("a", "s3"), DueSession("a", "s1")]
    assert await store.due(29, 1) == [DueSession("a", "s2")]
    assert await store.due(9, 10) == []
    await store.commit([outcome("a", 5, session=session("s2", due_at_ns=1_000))])
    await store.commit([outcome("a", 6, session=session("s3", state=CLOSED, due_at_ns=1))])
    assert await store.due(30, 10) == [DueSession("a", "s1")]


async def test_what_is_forgotten_is_over_and_old(store):
    gone = session("gone", state=CLOSED, due_at_ns=10)
    await store.commit(
        [
            outcome("a", 1, session=gone, page=page(0, Answered(1, 0, b"x"), key="gone"), cdrs=(cdr("gone"),)),
            outcome("a", 2, session=session("open", due_at_ns=1)),
            outcome("a", 3, session=session("young", state=SessionState.REFUSED, due_at_ns=11)),
            outcome("b", 1, session=session("older", "b", state=SessionState.EXPIRED, due_at_ns=9)),
        ]
    )
    assert await store.forget(8, 10) == 0
    assert await store.forget(10, 1) == 1
    assert await store.find_session("older") is None
    assert await store.find_session("gone") == "a"
    assert await store.forget(10, 10) == 1
    assert await store.find_session("gone") is None
    assert await store.load("a", "gone") == Loaded(account(version=3), None)
    assert await store.load_answers("a", "gone") == []
    assert await store.find_session("open") == "a"
    assert await store.find_session("young") == "a"
    assert [found.cdr.session_id for found in await store.cdrs(None, None, 0, 10)] == ["gone"]
    assert await store.forget(10, 10) == 0


async def test_a_session_may_open_again_in_its_row(store):
    await store.commit([outcome(version=1, session=session(state=SessionState.UNKNOWN, due_at_ns=5))])
    assert await store.sessions(None, "", 10) == []
    await store.commit([outcome(version=2, session=session(due_at_ns=6))])
    assert await store.sessions(None, "", 10) == [session(due_at_ns=6)]
    assert await store.due(6, 10) == [DueSession("a", "s")]
    assert await store.forget(100, 10) == 0


async def test_open_sessions_are_listed_by_key_and_counted_by_service(store):
    made = [
        session("s2", service="voice"),
        session("s1"),
        session("s3", state=CLOSED),
        session("s4"),
    ]
    await store.commit([outcome("a", n, session=one) for n, one in enumerate(made, start=1)])
    await store.commit([outcome("b", session=session("s0", "b"))])
    assert [found.key for found in await store.sessions(None, "", 10)] == ["s0", "s1", "s2", "s4"]
    assert [found.key for found in await store.sessions(None, "s0", 2)] == ["s1", "s2"]
    assert [found.key for found in await store.sessions("a", "", 10)] == ["s1", "s2", "s4"]
    assert await store.count_open_sessions() == {"data": 3, "voice": 1}
    await store.commit([outcome("a", 5, session=session("s2", service="voice", state=CLOSED))])
    assert await store.count_open_sessions() == {"data": 3}


async def test_accounts_are_listed_by_id(store):
    await store.commit([outcome(name) for name in ("c", "a", "d", "b")])
    assert [found.id for found in await store.accounts("", 3)] == ["a", "b", "c"]
    assert [found.id for found in await store.accounts("c", 3)] == ["d"]
    assert await store.accounts("d", 3) == []


async def test_the_origin_state_id_stays_while_the_state_stays(store):
    number = await store.origin_state_id()
    assert 0 < number < 2**32
    store = await reopened(store)
    assert await store.origin_state_id() == number
