"""The configuration of the server under test, and the accounts that it serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, overload

from ocs.api.commands import opening
from ocs.balances.account import Balance
from ocs.bench.templates import REALM, SERVER_REALM, imsi, msisdn
from ocs.charging.outcome import Outcome
from ocs.config.settings import Subscriber
from ocs.rating.units import Kind

CURRENCY: Final = "AUD"
PLAN: Final = "standard"
BUNDLE_PLAN: Final = "bundle"
_MONEY_NANOS: Final = 1_000_000 * 10**9
_VOLUME_OCTETS: Final = 2**50

TARIFF: Final = f"""\
currency: {CURRENCY}
plans:
  {PLAN}:
    data:
      "*any": {{price: 0.01 AUD/MiB, increment: 1 KiB}}
  # What the volume costs besides: a report takes units off one balance and money off the other.
  {BUNDLE_PLAN}:
    data:
      "*any": {{price: 0.001 AUD/MiB, increment: 1 KiB}}
"""

SERVER: Final = """\
identity: {identity}
realms: [{realm}]
{cluster}listeners:
  - {{transport: tcp, host: 127.0.0.1, port: 0}}
peers:
  - {{host: "*.{clients}", from: [127.0.0.0/8]}}
services:
  data:
    kind: data
    contexts: "32251"
    grant:
      {{slice: 10 MiB, minimum: 64 KiB, maximum: 100 MiB, contended_slice: 1 MiB, validity_time: 1h,
       contended_validity_time: 60s, grace: 60s}}
    final_unit: {{action: terminate}}
    idle_limit: 1d
    unknown_session: refuse
store:
  url: "{url}"
# The maximum is measured with many requests in flight, which are to be answered, not refused.
overload_delay: 2s
http:
  bind: 127.0.0.1:0
"""


def identity_of(node: int) -> str:
    """Origin-Host of a node."""
    return f"ocs{node}.{SERVER_REALM}"


def write_folder(folder: Path, url: str, node: int = 0, nodes: int = 1) -> Path:
    """A configuration folder for one of `nodes` that share the store at `url`, without subscribers."""
    (folder / "tariffs").mkdir(parents=True)
    (folder / "tariffs" / "bench.yaml").write_text(TARIFF)
    others = [identity_of(other) for other in range(nodes) if other != node]
    cluster = f"cluster: [{', '.join(others)}]\n" if others else ""
    text = SERVER.format(identity=identity_of(node), realm=SERVER_REALM, cluster=cluster, clients=REALM, url=url)
    (folder / "server.yaml").write_text(text)
    return folder


class Subscribers(Sequence[Subscriber]):
    """Accounts by number, made when they are asked for: a million of them need no room.

    accounts: how many; per_account: so many subscribers use one account. Subscriber n is of account n // per_account.
    """

    def __init__(self, accounts: int, per_account: int = 1, first: int = 0) -> None:
        self._accounts, self._per_account, self._first = accounts, per_account, first

    def __len__(self) -> int:
        return self._accounts

    @overload
    def __getitem__(self, index: int) -> Subscriber: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Subscriber]: ...
    def __getitem__(self, index: int | slice) -> Subscriber | Sequence[Subscriber]:
        """The account of that number."""
        if isinstance(index, slice):
            return [self._make(each) for each in range(self._accounts)[index]]
        return self._make(range(self._accounts)[index])

    def _make(self, number: int) -> Subscriber:
        number += self._first
        members = range(number * self._per_account, (number + 1) * self._per_account)
        identities = [
            f"{scheme}:{name}" for n in members for scheme, name in (("msisdn", msisdn(n)), ("imsi", imsi(n)))
        ]
        return Subscriber(f"bench{number:09}", tuple(identities), PLAN, balances=BALANCES)


BALANCES: Final = (
    Balance("volume", Kind.DATA, _VOLUME_OCTETS, weight=10, rating_subject=BUNDLE_PLAN),
    Balance("money", Kind.MONETARY, _MONEY_NANOS),
)


def openings(subscribers: Sequence[Subscriber], now_ns: int, size: int) -> Iterator[list[Outcome]]:
    """The outcomes that open these accounts, in batches."""
    for first in range(0, len(subscribers), size):
        yield [opening(each, CURRENCY, "bench", "ocs bench", now_ns) for each in subscribers[first : first + size]]
