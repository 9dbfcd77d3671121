"""kill -9 at random moments of a running load: nothing is lost, nothing is charged twice, and repeats are repeats.

A load of gateways, IMS nodes and short message centres runs against a server that is killed and started again. What
got no answer is sent again, with and without the T bit; what got one is asked again now and then, and has to be
answered the same, to the byte. In the end the accounts, the journal and the CDRs are compared with what the sessions
cost when reckoned by hand.

OCS_FAULTS_KILLS sets how often it is killed, OCS_FAULTS_SEED the dice (`make faults KILLS=300`).
"""

import asyncio
import os
import random
import time
from collections import Counter

import pytest

from ocs.balances.journal import differences, fold
from ocs.diameter.base_answers import ORIGIN_STATE_ID, make_origin
from ocs.diameter.client import Client, result_of
from ocs.limits import PAGE_ROWS_MAX
from ocs.rating.units import NS_PER_S
from ocs.store.sqlite import SqliteStore
from tests.faults.child import Child
from tests.faults.plays import LINES, Play, Request, write_play

DEFAULT_GROUP = {"data": 100, "voice": 200, "sms": 300}
"""What the sample configuration rates and records where the client names no group."""
KILLS = int(os.environ.get("OCS_FAULTS_KILLS", "15"))
SEED = int(os.environ.get("OCS_FAULTS_SEED", "1"))
SESSIONS_AT_ONCE = 12
COMMAND, APPLICATION = 272, 4


class Load:
    """All sessions of the test, and the counts to print."""

    def __init__(self, seed: int):
        self.dice = random.Random(seed)
        self.plays: list[Play] = []
        self.playing: list[Play] = []
        self.sent: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.origin_state_ids: set[bytes] = set()
        self.left_to_kill = 0
        self.kill_now = asyncio.Event()

    async def round(self, address: tuple[str, int], child: Child | None) -> None:
        """Go on with all open sessions over new connections; with `child`: until it was killed."""
        clients = [
            await Client.connect(*address, make_origin(f"pgw{n}.faults.example", "faults.example", 1)) for n in range(2)
        ]
        for client in clients:
            self.origin_state_ids.add(client.cea.find(ORIGIN_STATE_ID).data)
        self.left_to_kill = self.dice.randrange(1, 90)
        self.kill_now.clear()
        killer = None if child is None else asyncio.create_task(self._kill(child))
        lanes = [self._sessions(clients, endless=child is not None) for _ in range(SESSIONS_AT_ONCE)]
        results = await asyncio.gather(*lanes, return_exceptions=True)
        if killer is not None:
            self.kill_now.set()  # where a lane failed for another reason
            await killer
        for result in results:
            if result is not None and not isinstance(result, ConnectionError):
                raise result
        for client in clients:
            await client.close()

    async def _kill(self, child: Child) -> None:
        await self.kill_now.wait()
        await asyncio.sleep(self.dice.random() * 0.012)
        await child.kill()

    async def _sessions(self, clients: list[Client], *, endless: bool) -> None:
        """Take an open session that nobody plays, or begin one, and play it to its end, again and again."""
        while True:
            play = next((play for play in self.plays if not play.over and play not in self.playing), None)
            if play is None:
                if not endless:
                    return
                play = write_play(self.dice, len(self.plays))
                self.plays.append(play)
            self.playing.append(play)
            try:
                await self._play(play, clients)
            finally:
                self.playing.remove(play)

    async def _play(self, play: Play, clients: list[Client]) -> None:
        for request in play.requests:
            if request.content is not None and self.dice.random() < 0.2:
                await self.ask(play, request, clients)
        while not play.over:
            open_requests = [request for request in play.requests if request.content is None]
            window = open_requests[: play.window]
            if len(window) > 1:
                self.counts["pipelined"] += len(window)
            client = self.dice.choice(clients)  # one connection keeps their order
            await asyncio.gather(*(self.ask(play, request, [client]) for request in window))

    async def ask(self, play: Play, request: Request, clients: list[Client]) -> None:
        """Send a request, perhaps again, and compare what it is answered."""
        again = request.name in self.sent
        self.sent.add(request.name)
        self.counts["requests"] += 1
        self.counts["sent again without an answer"] += again and request.content is None
        self.left_to_kill -= 1
        if self.left_to_kill == 0:
            self.kill_now.set()
        answer = await self.dice.choice(clients).request(
            COMMAND, APPLICATION, request.avps, retransmission=again and self.dice.random() < 0.5
        )
        content = b"".join(avp.encode() for avp in answer.avps)
        if request.content is not None:
            self.counts["asked again after the answer"] += 1
            assert content == request.content, f"{request.name} was answered differently"
            return
        request.content = content
        result = result_of(answer)
        self.counts[f"answered {result}"] += 1
        if result != 2001:
            assert play.line.poor, f"{request.name} was answered {result}"
            if request is play.requests[0]:
                play.refused = True

    async def ask_all_again(self, address: tuple[str, int], plays: list[Play]) -> None:
        """Every request of these sessions once more: the stored answers are complete."""
        client = await Client.connect(*address, make_origin("pgw9.faults.example", "faults.example", 1))
        for play in plays:
            answered = [request for request in play.requests if request.content is not None]
            await asyncio.gather(*(self.ask(play, request, [client]) for request in answered))
        await client.close()


@pytest.mark.conformance("B4", "B42", "B45")
async def test_a_load_survives_kill_9(child, tmp_path, capsys):
    load = Load(SEED)
    began = time.monotonic()
    for _ in range(KILLS):
        await child.start()
        await load.round(child.diameter, child)
    await child.start()
    await load.round(child.diameter, None)
    await load.ask_all_again(child.diameter, load.plays[-200:])
    assert await child.end() == 0
    assert all(play.over for play in load.plays)
    assert len(load.origin_state_ids) == 1
    with capsys.disabled():
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(load.counts.items()))
        seconds = time.monotonic() - began
        print(f"\n{KILLS} kills (seed {SEED}), {len(load.plays)} sessions in {seconds:.0f} s; {counts}")
    assert load.counts["sent again without an answer"] > 0
    assert load.counts["asked again after the answer"] > 0
    store = SqliteStore(tmp_path / "var" / "ocs.db")
    await store.open()
    try:
        for line in LINES:
            await check_account(store, line, [play for play in load.plays if play.line is line])
        assert await store.count_open_sessions() == {}
    finally:
        await store.close()


async def check_account(store, line, plays):
    account = (await store.load(line.account_id, None)).account
    entries = await all_of(lambda after: store.journal(line.account_id, after, PAGE_ROWS_MAX), lambda e: e.version)
    cdrs = [
        found.cdr
        for found in await all_of(lambda after: store.cdrs(line.account_id, None, after, PAGE_ROWS_MAX), lambda c: c.id)
    ]
    # The journal is complete, and folds to the account; nothing is held for sessions that are over.
    assert [entry.version for entry in entries] == list(range(1, account.version + 1))
    assert differences(account, fold(entries)) == []
    assert [balance.held for balance in account.balances] == [0] * len(account.balances)
    # No request was processed twice.
    requests = [(entry.session_id, entry.request) for entry in entries if entry.session_id]
    assert len(requests) == len(set(requests))
    # What the balances lost is what the CDRs say.
    value = {balance.id: balance.value for balance in account.balances}
    assert value["money"] == line.money_nanos - sum(cdr.cost_nanos for cdr in cdrs) - overdrafts(value)
    assert value.get("volume", 0) == line.octets - sum(cdr.unit_usage for cdr in cdrs)
    if line.poor:
        return
    # And it is what the sessions cost, reckoned by hand: each rating group once, all of its usage.
    scale = {"voice": NS_PER_S}
    reckoned = {
        (play.session_id, DEFAULT_GROUP[play.service] if group is None else group): (
            play.usage[group] * scale.get(play.service, 1),
            cost,
        )
        for play in plays
        for group, cost in play.costs().items()
    }
    assert {(cdr.session_id, cdr.rating_group): (cdr.usage, cdr.cost_nanos) for cdr in cdrs} == reckoned
    assert len(cdrs) == len(reckoned)
    assert value["money"] == line.money_nanos - sum(cost for _, cost in reckoned.values())


def overdrafts(value):
    """What went to the balance that is made for usage beyond all credit."""
    return sum(amount for balance_id, amount in value.items() if balance_id not in {"money", "volume"})


async def all_of(page, number_of):
    """All rows of a paged list."""
    rows = []
    while found := await page(number_of(rows[-1]) if rows else 0):
        rows += found
    return rows
