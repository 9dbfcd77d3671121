"""Checkers after a simulation, when all is drained and all timers have run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ocs.balances.choice import OWNER_SEPARATOR
from ocs.balances.journal import differences, fold
from ocs.rating.units import NS_PER_S, Kind
from tests.charging.oracle import segment_cost
from tests.charging.world import SMS
from tests.simulation.messages import EVENT, grants_of
from tests.simulation.place import CALLS, PER_OCTET, RATES

ASKS = {"charge", "late", "unknown_session"}
TELLS = {"reauth", "abort"}
KNOWN = {"open", "shared", "expire", "end", "topup", "expiry", *TELLS, *ASKS}
SUCCESS = 2001
DEFAULT_GROUPS = {"data": 100, "voice": 0, "sms": 0}


def conserved(world) -> Iterator[str]:
    """The journal is complete and folds to the account; opening + credits - debits = balance."""
    for account_id, account in sorted(world.inner._accounts.items()):
        entries = world.inner._journal[account_id]
        if [entry.version for entry in entries] != list(range(1, account.version + 1)):
            yield f"{account_id}: the journal is not complete"
        yield from differences(account, fold(entries))
        kinds = {balance.id: balance.kind for entry in entries for balance in entry.opened}
        for entry in entries:
            if entry.kind not in KNOWN:
                yield f"{account_id}: an entry of kind {entry.kind}"
            if entry.kind in TELLS and (entry.postings or entry.cost_nanos):
                yield f"{account_id}: to tell a client something moved a balance"
            money = -sum(one.value for one in entry.postings if kinds.get(one.balance_id) is Kind.MONETARY)
            if entry.kind in {"expire", "end"} and any(one.value for one in entry.postings):
                yield f"{account_id}: a timer moved money in {entry.session_id}"
            if entry.kind == "charge" and money > entry.cost_nanos:
                yield f"{account_id}: {entry.session_id} {entry.request} took {money} for {entry.cost_nanos}"


def money_adds_up(world) -> Iterator[str]:
    """All money of all accounts: what there was, with what was topped up, less what the CDRs cost and what expired."""
    inner = world.inner
    opened = added = expired = left = 0
    for account_id, account in inner._accounts.items():
        kinds = {one.id: one.kind for entry in inner._journal[account_id] for one in entry.opened}
        left += sum(one.value for one in account.balances if one.kind is Kind.MONETARY)
        for entry in inner._journal[account_id]:
            moved = sum(one.value for one in entry.postings if kinds.get(one.balance_id) is Kind.MONETARY)
            opened += moved if entry.kind == "open" else 0
            expired += moved if entry.kind == "expiry" else 0
    first = sum(one.value for balances, _ in world.around_accounts() for one in balances if one.kind is Kind.MONETARY)
    if opened != first:
        yield f"accounts were opened with {opened}, not with {first}"
    added = sum(errand.amount for errand in world.people.errands if errand.key in _carried_out(world))
    cost = sum(cdr.cost_nanos for cdr in inner._cdrs)
    if left != opened + added + expired - cost:
        yield f"{left} is left of {opened} + {added} - {-expired} - {cost}"


def _carried_out(world) -> Counter[str]:
    entries = (entry for journal in world.inner._journal.values() for entry in journal)
    return Counter(entry.reason for entry in entries if entry.kind in ("topup", "expiry"))


def errands_once(world) -> Iterator[str]:
    """What people wanted was done once, and they were told the same each time."""
    times = _carried_out(world)
    for errand in world.people.errands:
        if times[errand.key] > 1 or (errand.contents and times[errand.key] != 1):
            yield f"{errand.key} on {errand.account_id} was done {times[errand.key]} times"
        if len(errand.contents) > 1:
            yield f"{errand.key} on {errand.account_id} was answered differently"
        if not errand.done:
            yield f"{errand.key} on {errand.account_id} was never answered"


def charged_once(world) -> Iterator[str]:
    """Each request that was answered is in the journal, once."""
    seen = Counter(
        (entry.session_id, entry.request)
        for journal in world.inner._journal.values()
        for entry in journal
        if entry.kind in ASKS
    )
    for (session_id, request), times in seen.items():
        if times > 1:
            yield f"{session_id} {request} is {times} times in the journal"
    for ask in world.asks:
        if ask.stored and (ask.play.session_id, ask.name) not in seen:
            yield f"{ask.play.session_id} {ask.name} was answered, but is not in the journal"


def _usage(world, session_id: str) -> tuple[Counter, int]:
    """(usage by rating group that has to be paid, usage that could not be rated) of what was processed."""
    play = world.plays[session_id]
    used: Counter[int] = Counter()
    unrated = 0
    scale = NS_PER_S if play.service == "voice" else 1
    for ask in play.asks:
        kind, text = world.watch.processed.get((session_id, ask.name), ("", ""))
        if not kind or (ask.kind == EVENT and not _debited(ask, text)):
            continue
        for group, amount in ask.usage.items():
            if kind == "unknown_session":
                unrated += amount * scale
            else:
                used[DEFAULT_GROUPS[play.service] if group is None else group] += amount * scale
    return used, unrated


def _debited(ask, text: str) -> bool:
    """Whether an event was charged: by its answer, or, where nobody has ever seen that, by the journal."""
    if not ask.stored:
        return text != ""
    groups = grants_of(bytes(20) + ask.stored).values()
    return ask.result == SUCCESS and all(given.result == SUCCESS for given in groups)


def costs(world) -> Iterator[str]:
    """What each session cost is what its usage costs by the oracle; its journal, CDRs and balances say the same."""
    cdrs: dict[str, list] = {}
    for cdr in world.inner._cdrs:
        cdrs.setdefault(cdr.session_id, []).append(cdr)
    journal: Counter[str] = Counter()
    paid: Counter[tuple[str, bool]] = Counter()
    for account_id, entries in world.inner._journal.items():
        kinds = {one.id: one.kind for entry in entries for one in entry.opened}
        for entry in entries:
            if entry.session_id:
                journal[entry.session_id] += entry.cost_nanos
                for one in entry.postings:
                    if one.value:
                        kind = kinds.get(one.balance_id.rpartition(OWNER_SEPARATOR)[2])
                        paid[entry.session_id, kind is Kind.MONETARY] -= one.value
        assert account_id
    for session_id in world.plays:
        records = cdrs.pop(session_id, [])
        cost = sum(cdr.cost_nanos for cdr in records)
        units = sum(cdr.unit_usage for cdr in records)
        if not cost == journal[session_id] == paid[session_id, True]:
            said = f"CDRs {cost}, journal {journal[session_id]}, balances {paid[session_id, True]}"
            yield f"{session_id} cost: {said}"
        if units != paid[session_id, False]:
            yield f"{session_id}: units paid for {units}, and {paid[session_id, False]} were taken"
        yield from _by_the_oracle(world, session_id, records)
    if cdrs:
        yield f"CDRs of sessions that nobody had: {sorted(cdrs)[:3]}"


def _by_the_oracle(world, session_id: str, records: list) -> Iterator[str]:
    used, unrated = _usage(world, session_id)
    if sum(cdr.unrated for cdr in records) != unrated:
        yield f"{session_id}: {sum(cdr.unrated for cdr in records)} are recorded as unrated, not {unrated}"
    play = world.plays[session_id]
    fee_due = True
    for group in sorted({cdr.rating_group for cdr in records} | set(used), key=str):
        own = [cdr for cdr in records if cdr.rating_group == group]
        amount = sum(cdr.usage - cdr.unrated for cdr in own)
        if amount != used[group]:
            yield f"{session_id} group {group}: {amount} recorded, {used[group]} reported"
            continue
        if world.around.reload_s and play.service == "data" and group != 900:
            expected = sum((cdr.usage - cdr.unrated - cdr.unit_usage) * PER_OCTET[cdr.tariff_version] for cdr in own)
        else:
            rate = _rate(play, group)
            expected = segment_cost(rate, amount - sum(cdr.unit_usage for cdr in own))
            if amount and (rate.fee_per_group or fee_due):
                expected += rate.connect_fee_nanos
                fee_due = fee_due and (rate.fee_per_group or not rate.connect_fee_nanos)
        cost = sum(cdr.cost_nanos for cdr in own)
        if cost != expected:
            yield f"{session_id} group {group}: {amount} cost {cost}, and should cost {expected}"


def _rate(play, group: int):
    if play.service == "voice":
        return CALLS[play.called]
    return SMS if play.service == "sms" else RATES[group]


def holds_released(world) -> Iterator[str]:
    """No session is open, nothing is held, and in a day all sessions are forgotten."""
    for account_id, account in world.inner._accounts.items():
        for balance in account.balances:
            if balance.held:
                yield f"{account_id} {balance.id} still holds {balance.held}"
    if world.inner._sessions:
        yield f"sessions are not forgotten: {sorted(world.inner._sessions)[:3]}"
    if world.inner._pages:
        yield f"answers are not forgotten: {sorted(world.inner._pages)[:3]}"


def served(world) -> Iterator[str]:
    """Every client that lives got all its answers; a subscriber was refused for its own sake only."""
    for play in world.plays.values():
        if not (play.over or play.gone):
            waiting = [ask.name for ask in play.asks if not ask.answered]
            yield f"{play.session_id} still waits for {waiting}"
    for ask in world.asks:
        if ask.stored and ask.result == 4010 and not ask.play.line.refused:
            yield f"{ask.play.session_id} {ask.name} was denied"
    if len(world.state_ids) > 1:
        yield f"Origin-State-Ids {sorted(world.state_ids)}"


CHECKS = (holds_released, conserved, errands_once, charged_once, money_adds_up, costs, served)
"""In this order: what a later one finds may follow from what an earlier one does."""


def findings(world) -> Iterable[tuple[str, str]]:
    """(checker, what it found) of all checkers."""
    for check in CHECKS:
        for found in check(world):
            yield check.__name__, found
