"""Operators: top-ups and the clearing away of what has expired, over HTTP, repeated with their idempotency key."""

from __future__ import annotations

import json
import random

from tests.simulation.loop import NS_PER_S

OK, CONFLICT = 200, 409


async def post(app, path: str, body: bytes, key: str) -> tuple[int, bytes]:
    """A POST to an ASGI application: (status, body)."""
    sent: list[dict] = []
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"idempotency-key", key.encode())]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2080),
    }  # fmt: skip

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], content


class Errand:
    """One change that somebody wants, once. statuses, contents: what was answered."""

    def __init__(self, key: str, account_id: str, path: str, body: bytes, amount: int, balance_id: str) -> None:
        self.key = key
        self.account_id = account_id
        self.path = path
        self.body = body
        self.amount = amount
        self.balance_id = balance_id
        self.done = False
        self.contents: set[bytes] = set()


class People:
    """They want something every now and then, and try until they are told that it is done."""

    def __init__(self, world) -> None:
        self.world = world
        self.dice = random.Random(world.seed * 15_485_863)
        self.errands: list[Errand] = []

    def begin(self) -> None:
        """From now on."""
        self._next()

    def _next(self) -> None:
        wait_ns = int(self.dice.random() * 2 * self.world.around.people_s * NS_PER_S)
        self.world.process.call_later_ns(wait_ns, self._want)

    def _want(self) -> None:
        if self.world.healing:
            return
        dice, world = self.dice, self.world
        account_id = dice.choice(world.around.names)
        key = f"errand {len(self.errands)}"
        amount = 0
        balance = dice.choice(world.everybody[account_id][0])
        change = {"by": "sim", "reason": key}
        path = f"/v1/accounts/{account_id}/"
        if dice.random() < 0.25:
            path += "adjust"
            change |= {"change": "remove_expired"}
        else:
            path += "topup"
            amount = dice.randrange(1, 50) * 10_000_000
            name = balance.id if balance.kind.value == "monetary" else "money"
            change |= {"balance": name, "amount": f"{amount / 10**9:.2f} AUD", "kind": "monetary"}
        errand = Errand(key, account_id, path, json.dumps(change).encode(), amount, change.get("balance", ""))
        self.errands.append(errand)
        self._try(errand)
        self._next()

    def _try(self, errand: Errand) -> None:
        dice, world = self.dice, self.world
        if errand.done and dice.random() < 0.8:
            return
        stations = [station for station in world.stations if station.up and station.app is not None]
        if stations:
            station = dice.choice(stations)
            world.count("errands tried")
            station.process.spawn(self._post(station.app, errand))
        if not errand.done:
            world.process.call_later_ns(int((0.5 + 3 * dice.random()) * NS_PER_S), self._try, errand)

    async def _post(self, app, errand: Errand) -> None:
        status, content = await post(app, errand.path, errand.body, errand.key)
        self.world.process.call_later_ns(1_000_000, self._answered, errand, status, content)

    def _answered(self, errand: Errand, status: int, content: bytes) -> None:
        if status == OK:
            errand.contents.add(content)
            errand.done = True
        elif status == CONFLICT and not errand.amount:
            errand.done = True
        elif status < 500:
            self.world.fail("served", f"{errand.key} on {errand.account_id} was answered {status}: {content!r}")
