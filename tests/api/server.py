"""A server of the API for tests: the memory store, a stopped clock, and settings as small as they can be."""

from collections.abc import Sequence

import httpx
import msgspec

from ocs.api.app import make_app
from ocs.api.direct import DirectCommands
from ocs.api.ports import PeerView, Reloaded
from ocs.balances.account import Account, Balance, Status
from ocs.balances.adjust import open_account
from ocs.balances.journal import Entry
from ocs.cdr.records import Cdr
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.session import Group, Session, SessionState
from ocs.config.settings import Settings
from ocs.nms.metrics import Metrics
from ocs.rating.destinations import PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.tariff import Plan, Tariff
from ocs.rating.units import Kind, Measure
from ocs.store.memory import MemoryStore

NOW_NS = 1_795_291_500_000_000_000  # 2026-11-21T20:05:00Z
AT = "2026-11-21T20:05:00Z"

TARIFF = Tariff(
    version="t1",
    currency="AUD",
    destinations={},
    plans={"standard": Plan("standard", {})},
    numbering=Numbering(),
    emergency_numbers=frozenset(),
    free_prefixes=PrefixTable({}),
)
SETTINGS = Settings(
    identity="ocs.example.com",
    realms=("example.com",),
    listeners=(),
    peers=(),
    services={},
    store_url="memory:",
    http_host="127.0.0.1",
    http_port=0,
    tariff=TARIFF,
    subscribers=(),
)


class Server:
    """`ocs.api.ports.Server`; what a test wants said is set on it."""

    def __init__(self):
        self.settings = SETTINGS
        self.store = MemoryStore()
        self.commands = DirectCommands(self.store)
        self.metrics = Metrics()
        self.reasons: list[str] = []
        self.reloaded = Reloaded(done=True, tariff_version="t2")
        self.peer_views: Sequence[PeerView] = ()
        self.steered: list[tuple[str, bool]] = []
        self.ended: list[tuple[str, str, str]] = []
        self.tracer = None
        self.keys = 0

    def now_ns(self) -> int:
        return NOW_NS

    def peers(self) -> Sequence[PeerView]:
        return self.peer_views

    def steer_peer(self, host: str, *, connect: bool) -> bool:
        self.steered.append((host, connect))
        return host == "dra.example.com"

    async def end_session(self, account_id: str, session_key: str, cause: str) -> bool:
        self.ended.append((account_id, session_key, cause))
        return True

    async def reload(self) -> Reloaded:
        return self.reloaded

    async def unready(self) -> Sequence[str]:
        return self.reasons

    def client(self, *, keys: bool = True, **headers: str) -> httpx.AsyncClient:
        """`keys`: each POST without an idempotency key gets one of its own."""
        transport = httpx.ASGITransport(make_app(self))
        hooks = {"request": [self._give_key]} if keys else {}
        return httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:2080", headers=headers, event_hooks=hooks
        )

    async def _give_key(self, request: httpx.Request) -> None:
        self.keys += 1
        request.headers.setdefault("Idempotency-Key", f"key {self.keys}")

    async def open_account(
        self, account_id: str = "demo", *balances: Balance, status: Status = Status.ACTIVE
    ) -> Account:
        new = Account(account_id, 0, "AUD", "standard", status, balances)
        account, entry = open_account(new, NOW_NS, by="test", reason="")
        await self.store.commit([Outcome((AccountWrite(account, entry, (f"msisdn:{account_id}",)),))])
        return account

    async def forge(self, account: Account) -> None:
        """Write a state of an account that its entry does not lead to."""
        entry = Entry(account.id, account.version, "charge", NOW_NS)
        await self.store.commit([Outcome((AccountWrite(account, entry),))])

    async def charge(self, account: Account, *cdrs: Cdr, session: Session | None = None) -> Account:
        """Write CDRs or a session with an entry that changes nothing else."""
        after, entry = open_account(msgspec.structs.replace(account, balances=()), NOW_NS, by="", reason="")
        after = msgspec.structs.replace(account, version=account.version + 1)
        entry = msgspec.structs.replace(entry, version=after.version, kind="charge")
        await self.store.commit([Outcome((AccountWrite(after, entry),), session=session, cdrs=cdrs)])
        return after


def money(value_nanos: int, balance_id: str = "money") -> Balance:
    return Balance(balance_id, Kind.MONETARY, value_nanos)


def cdr(account_id: str = "demo", session_id: str = "s;1", **more: object) -> Cdr:
    fields = {
        "account_id": account_id,
        "session_id": session_id,
        "service": "data",
        "rating_group": 100,
        "service_id": None,
        "partial": 0,
        "subscriber": "msisdn:4917",
        "called": "",
        "destination_id": "*any",
        "started_at_ns": NOW_NS,
        "ended_at_ns": NOW_NS + 90_500_000_000,
        "usage": 308_400,
        "measure": Measure.OCTETS,
        "unit_usage": 0,
        "cost_nanos": 2_949_219,
        "currency": "AUD",
        "tariff_version": "t1",
        "cause": "normal",
    }
    return Cdr(**{**fields, **more})


def open_session(key: str = "s;1", account_id: str = "demo") -> Session:
    group = Group(100, None, Measure.OCTETS, granted=10_485_760, usage=1_024, cost_nanos=9_766)
    return Session(account_id, key, "data", SessionState.OPEN, NOW_NS, NOW_NS, NOW_NS + 1, groups=(group,))
