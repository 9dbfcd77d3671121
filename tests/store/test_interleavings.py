"""Random clients, a random store, in every order that a seed can think of: the ledger is right at every moment.

The model is what clients were told. Whatever fails, a client sends again until it is answered; in the end each request
was charged exactly once, every answer to it was the same, and the journal folds to the account.
"""

import asyncio
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocs.balances.journal import differences, fold
from ocs.charging.outcome import Outcome
from ocs.nms.metrics import Metrics
from ocs.store.dispatcher import Dispatcher
from ocs.store.interface import StoreDown
from ocs.store.memory import MemoryStore
from tests.store.charging import COST, I, T, U, charge_of, look, render
from tests.store.controlled import ControlledStore, credited, idle
from tests.store.making import outcome, request

ACCOUNTS = ("a", "b")
SHARED = "shared"
"""Sessions with an odd number take 1 from this account, too."""


class Watched(ControlledStore):
    """A controlled store whose gates are opened by dice, which breaks, and to which other nodes write."""

    def __init__(self, dice, *, shared):
        super().__init__(shared=shared)
        self.dice = dice
        self.credited = dict.fromkeys((*ACCOUNTS, SHARED), 0)
        self.violations = []

    async def mischief(self):
        """Something happens."""
        gates = [gate for gate in (self.commits, self.loads, self.finds, self.answers) if gate.waiting]
        roll = self.dice.random()
        if roll < 0.12:
            account_id = self.dice.choice((*ACCOUNTS, SHARED))
            await self.elsewhere(account_id, change=100)
            self.credited[account_id] += 100
        elif gates:
            waiting = self.dice.choice(gates).waiting.popleft()
            if roll < 0.25:
                waiting.set_exception(StoreDown("gone"))
            else:
                waiting.set_result(None)
        for _ in range(self.dice.randrange(6)):
            await asyncio.sleep(0)

    async def commit(self, outcomes):
        applied = await super().commit(outcomes)
        if self.dice.random() < 0.08:
            raise StoreDown("written, but the connection broke")
        return applied


class Gateway:
    """One session of a client that may send without waiting, and sends again what was refused."""

    def __init__(self, key, account_id, updates):
        self.account_id = account_id
        self.requests = [
            request(0, key=key, of=I, subscriber=(f"msisdn:{account_id}",)),
            *(request(n, key=key, of=U, subscriber=(f"msisdn:{account_id}",)) for n in range(1, updates + 1)),
            request(updates + 1, key=key, of=T, subscriber=(f"msisdn:{account_id}",)),
        ]
        self.contents = {asked.name: set() for asked in self.requests}
        self.unanswered = {asked.name for asked in self.requests}
        self.pending = 0

    def send(self, store, dispatcher, asked):
        self.pending += 1

        def done(content):
            self.pending -= 1
            if content.startswith(b"2001"):
                # Nothing is told that is not in the store at this moment.
                entries = store._journal[self.account_id]
                if all(entry.request != f"{asked.session_id} {asked.name}" for entry in entries):
                    store.violations.append(f"{asked.name} was answered before it was durable")
                self.contents[asked.name].add(content)
                self.unanswered.discard(asked.name)

        def failed(result, why):
            self.pending -= 1
            if why != "store_down":
                store.violations.append(f"{asked.name} failed: {why}")

        dispatcher.charge(asked, naming(asked), render, done, failed)


def naming(asked):
    """The test's engine, with the session in the name of the entry."""
    decide = charge_of(asked)

    def decided(account, session, others=None):
        out = decide(account, session)
        if not out.writes:
            return out
        writes = out.writes
        if int(asked.session_id[1:]) % 2:
            if others is None:
                return Outcome(needs=(SHARED,))
            writes = (*writes, credited(others[0], -1))
        name = f"{asked.session_id} {asked.name}"
        named = (msgspec.structs.replace(w, entry=msgspec.structs.replace(w.entry, request=name)) for w in writes)
        return msgspec.structs.replace(out, writes=tuple(named))

    return decided


async def play(seed):
    dice = random.Random(seed)
    number = dice.choice((1, 1, 2))
    store = Watched(dice, shared=number > 1)
    await MemoryStore.commit(store, [outcome(name) for name in (*ACCOUNTS, SHARED)])
    for gate in (store.commits, store.loads, store.finds, store.answers):
        gate.shut = True
    nodes = [Dispatcher(store, Metrics(), accounts_max=1) for _ in range(number)]
    gateways = [Gateway(f"s{n}", dice.choice(ACCOUNTS), dice.randrange(12)) for n in range(dice.randrange(1, 5))]
    for _ in range(dice.randrange(60)):
        if dice.random() < 0.6:
            gateway = dice.choice(gateways)
            gateway.send(store, dice.choice(nodes), dice.choice(gateway.requests[: dice.randrange(1, 14)]))
        elif dice.random() < 0.2:
            account_id = dice.choice(ACCOUNTS)
            asked = request(0, key=f"look {account_id}", of=I, subscriber=(f"msisdn:{account_id}",))

            def saw(content, account_id=account_id):
                value = int(content.decode().rpartition(" ")[2])
                if value not in balances_ever(store, account_id):
                    store.violations.append(f"{value} was told, but is not durable")

            dice.choice(nodes).charge(asked, look, render, saw, lambda *why: None)
        else:
            await store.mischief()
    # The gateways go on until everything is answered, in order.
    for _ in range(2_000):
        sendable = [g for g in gateways if g.unanswered and not g.pending]
        if not sendable and not any(gateway.pending for gateway in gateways):
            break
        for gateway in sendable:
            asked = next(one for one in gateway.requests if one.name in gateway.unanswered)
            gateway.send(store, dice.choice(nodes), asked)
        await store.mischief()
    for gate in (store.commits, store.loads, store.finds, store.answers):
        await gate.open()
    for node in nodes:
        await node.drain()
        assert node.commands == 0
        assert node._directory._active == {}
    await idle()
    return store, gateways


def balances_ever(store, account_id):
    value, values = 0, set()
    for entry in store._journal[account_id]:
        value += sum(posting.value for posting in entry.postings)
        values.add(value)
    return values


def requests_of(store, account_id):
    return [entry.request for entry in store._journal[account_id] if entry.request.startswith("s")]


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_every_request_is_charged_once_and_told_the_same(seed):
    store, gateways = asyncio.run(play(seed))
    assert store.violations == []
    for account_id in ACCOUNTS:
        account = store._accounts[account_id]
        entries = store._journal[account_id]
        assert differences(account, fold(entries)) == []
        charged = [entry.request for entry in entries if entry.request.startswith("s")]
        assert len(charged) == len(set(charged)), "charged twice"
        assert account.balances[0].value == 1_000 + store.credited[account_id] - COST * len(charged)
    shared, entries = store._accounts[SHARED], store._journal[SHARED]
    assert differences(shared, fold(entries)) == []
    drawn = [entry.request for entry in entries if entry.request.startswith("s")]
    odd = [name for own in ACCOUNTS for name in requests_of(store, own) if int(name.split()[0][1:]) % 2]
    assert sorted(drawn) == sorted(odd), "what shares an account is written with it, or not at all"
    assert shared.balances[0].value == 1_000 + store.credited[SHARED] - len(drawn)
    for gateway in gateways:
        assert gateway.unanswered == set()
        for name, contents in gateway.contents.items():
            assert len(contents) == 1, f"{name} was told {contents}"


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_tells_the_same_story_again(seed):
    first, second = (asyncio.run(play(seed))[0] for _ in range(2))
    assert first._journal == second._journal
