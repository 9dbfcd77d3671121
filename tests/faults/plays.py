"""Charging sessions that a dice writes, what each of their requests was answered, and what they cost by hand."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from ocs.cli.avps import Tree, encode

INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
MIB, KIB, CENT = 1_048_576, 1_024, 10_000_000
AUD = 1_000_000_000


@dataclass(frozen=True)
class Line:
    """A subscriber of the test: account id, MSISDN, and what it begins with."""

    account_id: str
    msisdn: str
    money_nanos: int
    octets: int = 0

    @property
    def poor(self) -> bool:
        """Whether its credit ends in the test: then nobody can say before what it will pay."""
        return self.money_nanos < AUD


LINES = (
    Line("rich", "491711000001", 1_000_000 * AUD),
    Line("volume", "491711000002", 1_000_000 * AUD, octets=2**50),
    Line("poor", "491711000003", 30 * CENT),
)


def subscribers_yaml() -> str:
    """`subscribers.yaml` with LINES."""
    text = "accounts:\n"
    for line in LINES:
        text += f"  {line.account_id}:\n    msisdn: {line.msisdn}\n    plan: standard\n    balances:\n"
        text += f"      money: {{kind: monetary, value: {line.money_nanos // CENT / 100:.2f} AUD}}\n"
        if line.octets:
            text += f"      volume: {{kind: data, value: {line.octets} B, weight: 10}}\n"
    return text


@dataclass
class Request:
    """One CCR. avps: as they are sent each time; content: the AVPs of its answer, None while there is none."""

    name: str
    avps: bytes
    content: bytes | None = None


@dataclass
class Play:
    """One session. usage: what it reports in all, by rating group, in octets, seconds or messages."""

    session_id: str
    line: Line
    service: str
    requests: list[Request] = field(default_factory=list)
    usage: Counter[int | None] = field(default_factory=Counter)
    window: int = 1
    refused: bool = False

    @property
    def over(self) -> bool:
        """Whether the client has all answers that it waits for."""
        return self.refused or all(request.content is not None for request in self.requests)

    def costs(self) -> dict[int | None, int]:
        """Nanos by rating group, reckoned here: 0.01 AUD/MiB by the KiB, 0.10 AUD/min, 0.05 AUD a message."""
        return {group: self._cost(used) for group, used in self.usage.items()}

    def _cost(self, used: int) -> int:
        if self.service == "voice":
            return -(-used // 60) * 10 * CENT
        if self.service == "sms":
            return used * 5 * CENT
        if self.line.octets:
            return 0
        return (2 * -(-used // KIB) * KIB * CENT + MIB) // (2 * MIB)  # half up


_CONTEXTS = {"data": "32251@3gpp.org", "voice": "32260@3gpp.org", "sms": "32274@3gpp.org"}
_COUNTERS = {"data": "CC-Total-Octets", "voice": "CC-Time", "sms": "CC-Service-Specific-Units"}
_INFORMATION: dict[str, Tree] = {
    "data": {"PS-Information": {"Called-Station-Id": "internet"}},
    "voice": {"IMS-Information": {"Role-Of-Node": 0, "Called-Party-Address": "tel:+493012345678"}},
    "sms": {"SMS-Information": {"Recipient-Info": {"Recipient-Address": {"Address-Type": 1, "Address-Data": "4930"}}}},
}


def write_play(dice: random.Random, number: int) -> Play:
    """A session with its requests, all of them known before the first is sent."""
    line = dice.choice(LINES)
    service = dice.choices(("data", "voice", "sms"), (6, 2, 1))[0]
    play = Play(f"pgw.faults.example;{number};{dice.getrandbits(32)}", line, service)
    if not line.poor:
        play.window = dice.choice((1, 1, 2, 4))
    groups: list[int | None] = [None]
    if service == "data":
        groups = dice.choice(([None], [100], [100, 200], [7, 8, 9]))
    if service == "sms":
        play.requests.append(_request(play, EVENT, 0, _amounts(play, dice, groups), wants=True))
        return play
    play.requests.append(_request(play, INITIAL, 0, dict.fromkeys(groups), wants=True))
    updates = dice.randrange(6)
    for update in range(1, updates + 1):
        some = dice.sample(groups, dice.randrange(1, len(groups) + 1))
        play.requests.append(_request(play, UPDATE, update, _amounts(play, dice, some), wants=True))
    play.requests.append(_request(play, TERMINATION, updates + 1, _amounts(play, dice, groups), wants=False))
    return play


def _amounts(play: Play, dice: random.Random, groups: list[int | None]) -> dict[int | None, int | None]:
    """Usage to report per group; it counts into the play."""
    largest = {"data": 9 * MIB, "voice": 55, "sms": 3}[play.service]
    if play.line.poor and play.service == "data":
        largest //= 4
    amounts: dict[int | None, int | None] = {group: dice.randrange(1, largest) for group in groups}
    for group, amount in amounts.items():
        assert amount is not None
        play.usage[group] += amount
    return amounts


def _request(play: Play, kind: int, number: int, amounts: dict[int | None, int | None], *, wants: bool) -> Request:
    counter = _COUNTERS[play.service]
    blocks = []
    for group, amount in amounts.items():
        used = {} if amount is None else {counter: amount}
        blocks.append(
            {
                "Requested-Service-Unit": (used if kind == EVENT else {}) if wants else None,
                "Used-Service-Unit": used if used and kind != EVENT else None,
                "Rating-Group": group,
            }
        )
    tree: Tree = {
        "Session-Id": play.session_id,
        "Origin-Host": "pgw.faults.example",
        "Origin-Realm": "faults.example",
        "Destination-Realm": "example.com",
        "Auth-Application-Id": 4,
        "Service-Context-Id": _CONTEXTS[play.service],
        "CC-Request-Type": kind,
        "CC-Request-Number": number,
        "Event-Timestamp": 1_790_000_000,
        "Subscription-Id": {"Subscription-Id-Type": 0, "Subscription-Id-Data": play.line.msisdn},
        "Requested-Action": 0 if kind == EVENT else None,
        "Multiple-Services-Indicator": 1 if kind == INITIAL else None,
        "Multiple-Services-Credit-Control": blocks,
        "Service-Information": _INFORMATION[play.service],
    }
    return Request(f"{play.session_id} {'-IUTE'[kind]}/{number}", encode(tree))
