"""What must be true of a store after a load whose every session is over."""

from __future__ import annotations

from ocs.balances.journal import differences, fold
from ocs.limits import PAGE_ROWS_MAX
from ocs.rating.units import NS_PER_S
from ocs.store.ledger import verify
from tests.faults.plays import LINES

DEFAULT_GROUP = {"data": 100, "voice": 200, "sms": 300}
"""What the sample configuration rates and records where the client names no group."""


async def check_store(store, load):
    """Accounts, journals and CDRs are what the sessions cost when reckoned by hand; nothing is open or held."""
    assert all(play.over for play in load.plays)
    await store.open()
    try:
        for line in LINES:
            await check_account(store, line, [play for play in load.plays if play.line is line])
        assert (await verify(store, [line.account_id for line in LINES])).imbalances == ()
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
