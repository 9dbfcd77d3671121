"""What every store keeps to besides requests: the audit, the outbox, leases, and nodes that tell each other."""

import asyncio

import msgspec

from ocs.balances.journal import Folded, Sum, differences, fold
from ocs.charging.outcome import Effect, Outcome
from ocs.charging.session import SessionState
from ocs.store.interface import Applied, DueEffect, Lease
from tests.store.making import MAIN, account, cdr, outcome, session, write

REAUTH = Effect("reauth", "pgw.example.com", "s", "why")
ABORT = Effect("abort", "", "s")
ELSEWHERE = Effect("reauth", "other.example.com", "t")


async def claimed(store, peers=(), now_ns=10_000, until_ns=20_000, limit=100):
    return await store.claim_effects(peers, now_ns, until_ns, limit)


# The audit.


async def test_an_audit_has_account_journal_open_sessions_and_cdrs(store):
    await store.commit(
        [
            outcome(session=session("open"), cdrs=(cdr("closed"),)),
            outcome(version=2, session=session("closed", state=SessionState.CLOSED)),
            Outcome(writes=(write(version=3, value=993, change=-7),), session=session("more")),
            outcome(version=4, value=993, cdrs=(cdr("closed", partial=1),)),
            outcome("b", session=session("open of b", "b"), cdrs=(cdr(account_id="b"),)),
        ]
    )
    (found,) = await store.audit(["a"])
    assert found.account == account(version=4, value=993)
    assert found.folded == Folded(4, 4, 0, (Sum(MAIN, 993, 0, 1),))
    assert found.folded == fold(await store.journal("a", 0, 100))
    assert differences(found.account, found.folded) == []
    assert found.sessions == (session("more"), session("open"))
    assert found.cdr_cost_nanos == 2 * 2_949_219


async def test_accounts_are_audited_in_the_order_of_their_ids_once_each(store):
    await store.commit([outcome("c"), outcome("a"), outcome("b")])
    found = await store.audit(["c", "gone", "a", "c"])
    assert [audit.account.id for audit in found] == ["a", "c"]
    assert [(audit.sessions, audit.cdr_cost_nanos) for audit in found] == [((), 0), ((), 0)]
    assert await store.audit([]) == []


async def test_an_audit_adds_up_what_no_64_bits_hold(store):
    dear = [msgspec.structs.replace(cdr(partial=n), cost_nanos=2**62) for n in range(3)]
    await store.commit([outcome(cdrs=tuple(dear))])
    assert (await store.audit(["a"]))[0].cdr_cost_nanos == 3 * 2**62


# The outbox.


async def test_effects_are_kept_with_their_outcome_and_handed_out_oldest_first(store):
    await store.commit(
        [outcome(version=1), outcome(version=2, effects=(REAUTH, ABORT)), outcome("b", effects=(ABORT,))]
    )
    assert await claimed(store, ["pgw.example.com"], now_ns=1_000) == []  # decided at 1,001 and 1,002
    assert await claimed(store, ["pgw.example.com"], now_ns=1_001) == [DueEffect("b", 1, 0, 0, ABORT)]
    assert await claimed(store, ["pgw.example.com"]) == [
        DueEffect("a", 2, 0, 0, REAUTH),
        DueEffect("a", 2, 1, 0, ABORT),
    ]


async def test_an_effect_of_several_accounts_is_kept_with_the_first(store):
    await store.commit([outcome("a"), outcome("b")])
    await store.commit([Outcome(writes=(write("b", 2), write("a", 2)), effects=(ABORT,))])
    assert await claimed(store) == [DueEffect("b", 2, 0, 0, ABORT)]


async def test_an_effect_of_an_outcome_that_was_left_out_never_was(store):
    await store.commit([outcome()])
    assert await store.commit([outcome(version=5, effects=(ABORT,))]) == [Applied.CONFLICT]
    assert await claimed(store) == []


async def test_what_is_claimed_is_nobody_elses_until_its_time_is_over(store):
    await store.commit([outcome(effects=(ABORT,))])
    assert await claimed(store, now_ns=10_000, until_ns=20_000) == [DueEffect("a", 1, 0, 0, ABORT)]
    assert await claimed(store, now_ns=19_999) == []
    (again,) = await claimed(store, now_ns=20_000, until_ns=30_000)
    assert again == DueEffect("a", 1, 0, 1, ABORT)
    await store.finish_effect(again)
    assert await claimed(store, now_ns=10**15) == []
    await store.finish_effect(again)  # as good as done


async def test_who_finishes_one_effect_leaves_the_others(store):
    await store.commit([outcome(effects=(ABORT, ABORT)), outcome("b", effects=(ABORT,))])
    first, _, _ = await claimed(store)
    await store.finish_effect(first)
    left = await claimed(store, now_ns=20_000)
    assert [(due.account_id, due.version, due.number) for due in left] == [("a", 1, 1), ("b", 1, 0)]


async def test_effects_for_a_peer_go_to_a_node_that_reaches_it(store):
    await store.commit([outcome(effects=(REAUTH, ELSEWHERE, ABORT))])
    assert [due.effect for due in await claimed(store, [])] == [ABORT]
    assert [due.effect for due in await claimed(store, ["other.example.com", "third.example.com"])] == [ELSEWHERE]
    assert [due.effect for due in await claimed(store, ["other.example.com", "pgw.example.com"])] == [REAUTH]


async def test_what_waited_too_long_for_its_peer_goes_to_anybody(store):
    await store.commit([outcome(effects=(REAUTH,)), outcome("b", 1), outcome("b", 2, effects=(ELSEWHERE,))])
    assert await store.claim_effects([], 10_000, 20_000, 100, 1_001) == []  # due at 1,001 and 1,002
    assert [due.effect for due in await store.claim_effects([], 10_000, 20_000, 100, 1_002)] == [REAUTH]
    assert await store.claim_effects([], 15_000, 30_000, 100, 15_000) == [DueEffect("b", 2, 0, 0, ELSEWHERE)]
    assert [due.attempts for due in await store.claim_effects([], 90_000, 95_000, 1, 90_000)] == [1]


async def test_effects_are_told_when_they_are_durable(store):
    heard = asyncio.Queue()
    store.listen(lambda topic, _: heard.put_nowait(topic))
    await store.commit([outcome("a")])
    await store.commit([outcome("a", 2, effects=(ABORT,))])
    assert await asyncio.wait_for(heard.get(), 10) == "effects"
    assert len(await claimed(store)) == 1
    assert heard.empty()


async def test_only_so_many_effects_are_claimed(store):
    await store.commit([outcome(effects=(ABORT,) * 5)])
    numbers = [[due.number for due in await claimed(store, limit=2)] for _ in range(4)]
    assert numbers == [[0, 1], [2, 3], [4], []]


async def test_two_that_claim_at_once_never_get_the_same(store):
    await store.commit([outcome(f"a{n}", effects=(ABORT, ABORT)) for n in range(20)])
    parts = await asyncio.gather(*(claimed(store, limit=11) for _ in range(8)))
    got = [due[:3] for part in parts for due in part]
    assert len(got) == len(set(got))
    rest = [due[:3] for due in await claimed(store)]
    assert len({*got, *rest}) == 40


async def test_effects_outlive_the_process(store):
    await store.commit([outcome(effects=(REAUTH,))])
    await claimed(store, ["pgw.example.com"], until_ns=20_000)
    await store.close()
    await store.open()
    assert await claimed(store, ["pgw.example.com"], now_ns=19_999) == []
    assert await claimed(store, ["pgw.example.com"], now_ns=20_000) == [DueEffect("a", 1, 0, 1, REAUTH)]


# Leases.


async def test_a_lease_is_one_holders(store):
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=False)
    assert await store.take_lease("x", "n2", 60) == Lease("n1", wanted=True)
    assert await store.take_lease("y", "n2", 60) == Lease("n2", wanted=False)


async def test_who_renews_hears_once_that_another_wants_it(store):
    await store.take_lease("x", "n1", 60)
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=False)
    await store.take_lease("x", "n2", 60)
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=True)
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=False)


async def test_a_lease_that_is_over_or_given_up_is_free(store):
    await store.take_lease("x", "n1", 0)
    assert await store.take_lease("x", "n2", 60) == Lease("n2", wanted=False)
    await store.release_lease("x", "n1")  # another's: nothing happens
    assert await store.take_lease("x", "n1", 60) == Lease("n2", wanted=True)
    await store.release_lease("x", "n2")
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=False)
    assert await store.take_lease("x", "n1", 60) == Lease("n1", wanted=False)


# Telling.


class Ear:
    """What was heard; `heard` waits until there are so many."""

    def __init__(self, store):
        self._queue = asyncio.Queue()
        store.listen(lambda topic, text: self._queue.put_nowait((topic, text)))

    async def heard(self, number):
        """The next `number` of what was told; what only says that something may have been missed does not count."""
        got = []
        async with asyncio.timeout(10):
            while len(got) < number:
                one = await self._queue.get()
                if one != ("", ""):
                    got.append(one)
        return got


async def test_all_that_listen_hear_what_is_told_in_its_order(store):
    one, two = Ear(store), Ear(store)
    texts = [("drop", "s;1"), ("drop", "é" * 2_000), ("other", "")]
    for topic, text in texts:
        await store.tell(topic, text)
    assert await one.heard(3) == texts
    assert await two.heard(3) == texts


async def test_a_lease_that_is_given_up_is_told(store):
    ear = Ear(store)
    await store.take_lease("x", "n1", 60)
    await store.release_lease("x", "n2")  # another's: not told
    await store.release_lease("x", "n1")
    await store.tell("end", "")
    assert await ear.heard(2) == [("lease", "x"), ("end", "")]
