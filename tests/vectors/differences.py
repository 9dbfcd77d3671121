"""Where ocs is different on purpose: each case, its exact values, and the reason.

`python -m tests.vectors.differences > docs/differences.md` writes the page of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, Final, NamedTuple

from ocs.rating.units import NANOS_PER_UNIT, NS_PER_S
from tests.vectors import compare, rating_run, session_run
from tests.vectors.cases import rating_cases, session_cases
from tests.vectors.session_run import NANOS_PER_CENT

PAGE: Final = Path(__file__).parents[2] / "docs" / "differences.md"

RATING_KINDS: Final = (
    "get_cost",
    "timespan_split",
    "max_usage",
    "debit",
    "max_debit",
    "refund_increments",
    "session",
    "round",
    "round_duration",
)
SESSION_KINDS: Final = ("rating", "diameter")

REASONS: Final = {
    "exact price": (
        "The price of a stretch of usage is computed from its whole length as an exact fraction and rounded once, as "
        "the rate says. CGRateS rounds the price of one increment and multiplies it, so that 10 minutes at 0.01 per "
        "minute cost 0.102 there and 0.10 here."
    ),
    "exact units": (
        "A balance of units gives exactly what was used. Increments round up only what is paid with money; the free "
        "slices of a `*zero` subject are the one exception. CGRateS also rounds units up to the increment of the "
        "balance's rating subject."
    ),
    "whole units": (
        "Units of a balance are whole numbers. A factor that leaves a fraction of a unit takes the next whole one, "
        "once for all usage of a stretch, not once per increment."
    ),
    "held, not debited": (
        "A grant is held and not debited. A report debits what was used and gives the rest back at once. CGRateS "
        "keeps what is left of a grant debited, for the next one to use up."
    ),
    "only reported usage": (
        "A session that is not heard of is closed with the usage that was reported; usage that arrives later is "
        "debited then. CGRateS charges an assumed usage (`sessionsTTLUsage`)."
    ),
    "no rate, no service": (
        "A destination without a rate is refused, whatever the balances are. CGRateS lets units pay for it without "
        "looking for a rate. Money with a `*zero` subject, which costs one unit of money per nanosecond there, pays at "
        "the price of the event here; and the server debits nothing by itself in between (`sessionsDebitInterval`): "
        "clients ask and report."
    ),
    "partial grant": (
        "What is left is granted, with a Final-Unit-Indication, and the result is 2001. SigScale grants all that is "
        "asked for or nothing."
    ),
    "session stays": (
        "A refusal for lack of credit does not end the session: its client does, with a TERMINATION that may still "
        "report usage. SigScale removes the session."
    ),
    "session id in use": ("A second INITIAL of a session that is open is no new session: 5012, and nothing is moved."),
    "termination succeeds": (
        "A TERMINATION is answered with 2001: what was delivered is debited, as an overdraft where credit is short, "
        "and there is nothing that the client could do about it."
    ),
    "event of one": (
        "An EVENT that leaves the number of units to the server is one unit. The price still rounds up to its "
        "increment. SigScale grants as many units as the price has."
    ),
    "no destination": (
        "A number that no price list knows is the end user's matter, 4010; 5031 is said only where there is no rate "
        "at all, since clients may never ask again after it."
    ),
    "answered in kind": (
        "A request without a Multiple-Services-Credit-Control is answered without one; what it charges is the same."
    ),
    "not originating": ("Who is called (Role-Of-Node 1) does not pay the price of calling."),
}
"""Why ocs is different, by a name for each reason."""


class Difference(NamedTuple):
    """One case that differs: why (a key of REASONS), and ours for each path that is not equal.

    Values are in base units (nanos, nanoseconds, octets, units); None: there is no such thing.
    """

    why: str
    ours: Mapping[str, Any]


DIFFERENCES: Final[Mapping[str, Difference]] = {
    # rating.json
    "gc02": Difference("exact price", {"cost": 300_000_000}),
    "gc26": Difference("exact price", {"cost": 716_700_000}),
    "gc27": Difference("exact price", {"cost": 700_000_000}),
    "gc35": Difference("exact price", {"cost": 200_000_000}),
    "gc36": Difference("exact price", {"cost": 100_000_000}),
    "gc37": Difference("exact price", {"cost": 100_000_000}),
    "db01": Difference("exact price", {"cost": 300_000_000}),
    "db16": Difference("exact units", {"cgrates.org:12344 v": 30 * NS_PER_S}),
    "db31": Difference("whole units", {"*t:other g": 99}),
    "ss05": Difference("exact price", {"step 1: sum:*monetary": 6_190_000_000, "step 2: sum:*monetary": 6_090_000_000}),
    "ss08": Difference("held, not debited", {"step 3: sum:*data": 89_088, "step 4: sum:*data": 88_064}),
    "ss10": Difference("only reported usage", {"step 3: sum:*data": 101_376, "step 3: cdr_usage": 1_024}),
    "ss12": Difference("exact price", {"step 1: sum:*monetary": 10_300_000_000}),
    "ss16": Difference(
        "no rate, no service",
        {
            "step 1: max_usage_ns": 0,
            "step 2: sum:*monetary": 3_595_000_000_000 * NANOS_PER_UNIT,
            "step 2: sum:*voice": 5 * NS_PER_S,
        },
    ),
    # sessions.json
    "R13": Difference("partial grant", {"step 2: result": 2001}),
    "R14": Difference("session id in use", {"step 2: result": 5012, "step 2: balance service_sessions": 1}),
    "R20": Difference("session stays", {"step 2: balance service_sessions": 1}),
    "R25": Difference("partial grant", {"step 2: result": 2001}),
    "R28": Difference("termination succeeds", {"step 3: result": 2001}),
    "R41": Difference("event of one", {"step 1: granted": 1}),
    "R47": Difference("no destination", {"step 1: result": 4010}),
    "D08": Difference("answered in kind", {"step 1: granted": None}),
    "D10": Difference("not originating", {"step 2: balance B1": 1_000 * NS_PER_S}),
    "D13": Difference("partial grant", {"step 1: result": 2001}),
}
"""By the id of the case."""

PARTIAL_GRANTS: Final = {"R13": 6_000_000, "R25": 5_500_000, "D13": 50_000}
"""What ours grants in the last step of cases that expect a refusal, and so have no word for it."""


class Compared(NamedTuple):
    """A case: what it expects, what ours gives, and the paths at which they differ."""

    id: str
    kind: str
    expected: Mapping[str, Any]
    ours: Mapping[str, Any]
    differing: frozenset[str]


def compared() -> Iterator[Compared]:
    """All cases of the kinds that rating and balances answer for."""
    for case in rating_cases(*RATING_KINDS):
        yield compare_rating(case)
    for kind in SESSION_KINDS:
        for case in session_cases(kind):
            yield compare_session(case)


def compare_rating(case: Mapping[str, Any]) -> Compared:
    """A case of rating.json."""
    expected = compare.expected(case, rating_run.steps_of(case) if "steps" in case else None)
    ours = compare.found(case, rating_run.run(case), expected)
    return Compared(case["id"], case["kind"], expected, ours, frozenset(compare.differing(case, expected, ours)))


def compare_session(case: Mapping[str, Any]) -> Compared:
    """A case of sessions.json."""
    expected, ours = session_run.run(case)
    return Compared(case["id"], case["kind"], expected, ours, frozenset(session_run.differing(expected, ours)))


def page(cases: list[Compared]) -> str:
    """docs/differences.md."""
    by_id = {case.id: case for case in cases}
    same = len(cases) - len(DIFFERENCES)
    lines = [
        "# Where ocs is different on purpose",
        "",
        fill(
            "ocs speaks the vocabulary of CGRateS, and gateways know the behaviour of SigScale OCS. The tests hold it "
            f"to facts about both (`tests/data/vectors`): of {len(cases)} cases, {same} give the same to the last "
            "digit. The others are listed here, each with the exact values of ocs, which are tested too. This page is "
            "written from `tests/vectors/differences.py`.",
            120,
        ),
        "",
    ]
    for why, text in REASONS.items():
        ids = [name for name, found in DIFFERENCES.items() if found.why == why]
        lines += [f"## {why[0].upper()}{why[1:]}", "", fill(text, 120), ""]
        lines += ["| case | what | there | ocs |", "| --- | --- | --- | --- |"]
        for name in ids:
            for path, ours in DIFFERENCES[name].ours.items():
                there = by_id[name].expected.get(path)
                lines.append(f"| {name} | {_path(path)} | {_shown(name, path, there)} | {_shown(name, path, ours)} |")
        lines.append("")
    return "\n".join(lines)


def _path(path: str) -> str:
    return path.replace("sum:", "sum of ").replace("_ns", "").replace("_", " ")


def _shown(name: str, path: str, value: Any) -> str:
    """A value for people, with its unit."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    words = path.rpartition(": ")[2]
    if words == "cost" or "monetary" in path:
        return f"{value / NANOS_PER_UNIT:.9f}".rstrip("0").rstrip(".")
    if name.startswith("D") and words.startswith("balance"):
        return f"{value // NS_PER_S} s"
    if name.startswith("R") and words.startswith("balance B"):
        return f"{value // NANOS_PER_CENT}"
    if words.endswith(("_ns", " v")) or "voice" in words:
        return f"{value // NS_PER_S} s" if value >= 0 else "without limit"
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(page(list(compared())))
