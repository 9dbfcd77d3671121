"""A load of gateways, IMS nodes and short message centres that never gives up.

What got no answer, or was told to come again, is sent again, with and without the T bit, to whichever node there is;
what got an answer is asked again now and then, and has to be answered the same, to the byte.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from ocs.diameter.base_answers import ORIGIN_STATE_ID, make_origin
from ocs.diameter.client import Client, RefusedError, result_of
from tests.faults.child import Child
from tests.faults.plays import Play, Request, write_play

SESSIONS_AT_ONCE = 12
COMMAND, APPLICATION = 272, 4
TOO_BUSY, SUCCESS = 3004, 2001
Address = tuple[str, int]


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
        self.stopping = asyncio.Event()
        self.progress = asyncio.Condition()

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
                if not endless and self.stopping.is_set():
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

    async def run(self, addresses: Sequence[Address], timeout_s: float = 8) -> None:
        """Play against whichever of the nodes answers, until `stopping` is set and every session is over."""
        await asyncio.gather(*(self._lane(addresses, number, timeout_s) for number in range(SESSIONS_AT_ONCE)))

    async def _lane(self, addresses: Sequence[Address], number: int, timeout_s: float) -> None:
        clients: list[Client] = []
        attempt = number
        while True:
            try:
                if not clients:
                    attempt += 1
                    clients = [await self._connect(addresses[attempt % len(addresses)], f"lane{number}", timeout_s)]
                async with asyncio.timeout(timeout_s * 4):
                    await self._sessions(clients, endless=False)
                break
            except (OSError, TimeoutError, RefusedError):
                self.counts["connections lost"] += 1
                for client in clients:
                    client.abort()
                clients = []
                await asyncio.sleep(0.05)
        for client in clients:
            await client.close()

    async def _connect(self, address: Address, name: str, timeout_s: float) -> Client:
        origin = make_origin(f"{name}.faults.example", "faults.example", 1)
        client = await Client.connect(*address, origin, timeout_s=timeout_s)
        self.origin_state_ids.add(client.cea.find(ORIGIN_STATE_ID).data)
        return client

    async def answered(self, number: int) -> None:
        """Returns when so many more requests were answered for the first time."""
        goal = self.counts["answered"] + number
        async with self.progress:
            await self.progress.wait_for(lambda: self.counts["answered"] >= goal)

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
        result = result_of(answer)
        if result == TOO_BUSY:  # nothing is known to have happened
            self.counts[f"answered {TOO_BUSY}"] += 1
            await asyncio.sleep(0.02)
            return
        if request.content is not None:
            self.counts["asked again after the answer"] += 1
            assert content == request.content, f"{request.name} was answered differently"
            return
        request.content = content
        self.counts[f"answered {result}"] += 1
        self.counts["answered"] += 1
        async with self.progress:
            self.progress.notify_all()
        if result != SUCCESS:
            assert play.line.poor, f"{request.name} was answered {result}"
            if request is play.requests[0]:
                play.refused = True

    async def ask_all_again(self, address: tuple[str, int], plays: list[Play]) -> None:
        """Every request of these sessions once more: the stored answers are complete, wherever they are asked for."""
        client = await Client.connect(*address, make_origin("pgw9.faults.example", "faults.example", 1))
        for play in plays:
            answered = [request for request in play.requests if request.content is not None]
            await asyncio.gather(*(self.ask(play, request, [client]) for request in answered))
        await client.close()

    def summary(self) -> str:
        """The counts, to be printed."""
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.counts.items()))
        return f"{len(self.plays)} sessions; {counts}"
