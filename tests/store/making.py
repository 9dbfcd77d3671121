"""Small accounts, sessions and outcomes for the tests of the store."""

from __future__ import annotations

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.cover import Meter, Sliced
from ocs.balances.journal import Entry, Posting
from ocs.cdr.records import Cdr
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.requests import ChargingAnswer, ChargingRequest, RequestType, Result
from ocs.charging.session import Answered, AnswerPage, Group, Hold, Segment, Session, SessionState
from ocs.rating.prices import Rate
from ocs.rating.units import Kind, Measure

MAIN = "main"


def account(account_id: str = "a", version: int = 1, value: int = 1_000, held: int = 0) -> Account:
    balances = (Balance(MAIN, Kind.MONETARY, value, held, destinations=("AU", "!AU_PREMIUM")),)
    return Account(account_id, version, "AUD", "standard", balances=balances)


def write(account_id: str = "a", version: int = 1, value: int = 1_000, *, change: int | None = None) -> AccountWrite:
    """A write of that version; the entry says that the balance changed by `change` (all of it for version 1)."""
    opened = (Balance(MAIN, Kind.MONETARY, 0, destinations=("AU", "!AU_PREMIUM")),) if version == 1 else ()
    amount = change if change is not None else (value if version == 1 else 0)
    entry = Entry(
        account_id,
        version,
        "open" if version == 1 else "charge",
        1_000 + version,
        session_id="s",
        request=f"U/{version}",
        postings=(Posting(MAIN, amount, 0),),
        opened=opened,
        by="pgw.example.com",
    )
    identities = (f"msisdn:{account_id}", f"imsi:{account_id}") if version == 1 else ()
    return AccountWrite(account(account_id, version, value), entry, identities)


def outcome(account_id: str = "a", version: int = 1, value: int = 1_000, **fields: object) -> Outcome:
    return msgspec.structs.replace(Outcome(writes=(write(account_id, version, value),)), **fields)


def session(
    key: str = "s",
    account_id: str = "a",
    *,
    state: SessionState = SessionState.OPEN,
    due_at_ns: int = 10_000,
    service: str = "data",
    number: int = 0,
) -> Session:
    """A session with something in every field."""
    meter = Meter(Rate("data", Measure.OCTETS, 10_000_000, 1_048_576, 1_024), "", 0, 308_400, 2_949_219)
    segment = Segment("v1", "*any", "", (meter,), (Sliced(MAIN, 60, 90),), until_ns=7)
    group = Group(100, None, Measure.OCTETS, segment, (Hold(MAIN, 5), Hold("other", 6)), 1_048_576, 8, 9)
    return Session(
        account_id=account_id,
        key=key,
        service=service,
        state=state,
        opened_at_ns=1,
        last_at_ns=2,
        due_at_ns=due_at_ns,
        subscriber="msisdn:491700000001",
        called="61299990000",
        origin_host="pgw.example.com",
        attributes=(("apn", "internet"), ("imei", "1")),
        groups=(group, msgspec.structs.replace(group, rating_group=None, service_id=7, segment=None)),
        fee_charged=True,
        seen={1: ((0, 0),), 2: ((1, 3), (5, number + 5))},
        answers=(Answered(1, 0, b"\x00\xff"), Answered(2, 1, b"")),
        pages=2,
        cause="normal",
    )


def cdr(
    session_id: str = "s",
    account_id: str = "a",
    *,
    rating_group: int | None = 100,
    service_id: int | None = None,
    partial: int = 0,
) -> Cdr:
    return Cdr(
        account_id=account_id,
        session_id=session_id,
        service="data",
        rating_group=rating_group,
        service_id=service_id,
        partial=partial,
        subscriber="msisdn:491700000001",
        called="",
        destination_id="*any",
        started_at_ns=1,
        ended_at_ns=2,
        usage=308_400,
        measure=Measure.OCTETS,
        unit_usage=3,
        cost_nanos=2_949_219,
        currency="AUD",
        tariff_version="v1",
        cause="normal",
        overrun=4,
        unrated=5,
        attributes=(("apn", "internet"),),
    )


def page(number: int, *answers: Answered, key: str = "s", account_id: str = "a") -> AnswerPage:
    return AnswerPage(account_id, key, number, answers)


def request(
    number: int = 0,
    *,
    key: str = "s",
    of: RequestType = RequestType.UPDATE,
    subscriber: tuple[str, ...] = ("msisdn:a",),
) -> ChargingRequest:
    return ChargingRequest(key, of, number, "data", "pgw.example.com", subscriber=subscriber)


def answered(result: Result = Result.SUCCESS, why: str = "") -> ChargingAnswer:
    return ChargingAnswer(result, why=why)


async def accounts_of(store, account_ids):
    """Those of the accounts that there are, in the order of their ids."""
    loaded = [await store.load(account_id, None) for account_id in sorted(set(account_ids))]
    return [one.account for one in loaded if one.account is not None]
