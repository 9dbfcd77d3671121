"""Commands by people as outcomes: opening an account, topping up a balance, and the memory of idempotency keys."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256

import msgspec

from ocs.api.problems import Problem
from ocs.api.views import account_view
from ocs.balances.account import Account, Balance, Status
from ocs.balances.adjust import (
    AdjustError,
    open_account,
    remove_balance,
    remove_expired,
    set_status,
    set_value,
    top_up,
)
from ocs.charging.outcome import AccountWrite, Outcome
from ocs.charging.session import Answered, Session, SessionState
from ocs.config.settings import Settings, Subscriber
from ocs.limits import BY_CHARACTERS_MAX, REASON_CHARACTERS_MAX, REPEAT_MEMORY_S
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Kind
from ocs.units import MalformedError, parse_measured, parse_money, parse_rfc3339

KEY_OCTETS_MAX = 255


class Attributed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every change by people says: who makes it, and why. `check_attributed` refuses one that does not."""

    by: str = ""
    reason: str = ""


class NewBalance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A balance of a new account; `value` with its unit: "10.00 AUD", "100 min", "1 GiB", "20"."""

    id: str
    kind: Kind
    value: str
    weight: int = 0
    expires_at: str | None = None
    destinations: tuple[str, ...] = ()
    blocker: bool = False


class NewAccount(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/accounts. identities: "msisdn:...", "imsi:...", "sip:...", "nai:...", "private:..."."""

    id: str
    identities: tuple[str, ...]
    plan: str
    status: Status = Status.ACTIVE
    expires_at: str | None = None
    balances: tuple[NewBalance, ...] = ()


class TopUp(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/accounts/{id}/topup. `kind` may be left out where the account has that balance."""

    balance: str
    amount: str
    kind: Kind | None = None


class Change(Enum):
    """What POST /v1/accounts/{id}/adjust does; the first three need a balance, and `set` a value."""

    SET = "set"
    RESET = "reset"
    REMOVE = "remove"
    REMOVE_EXPIRED = "remove_expired"
    ENABLE = "enable"
    DISABLE = "disable"


class Adjustment(Attributed, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/accounts/{id}/adjust; `value` with its unit, as in a new balance."""

    change: Change
    balance: str = ""
    value: str = ""


def check_attributed(asked: Attributed) -> None:
    """422 where a change does not say who makes it, or why."""
    errors = []
    for name, text, wanted, most in (
        ("by", asked.by, "who makes the change", BY_CHARACTERS_MAX),
        ("reason", asked.reason, "why the change is made", REASON_CHARACTERS_MAX),
    ):
        if not text.strip():
            errors.append(f'{name}: missing or blank; say {wanted}, for the journal: "{name}": "..."')
        elif len(text) > most:
            errors.append(f"{name}: longer than {most} characters")
    if errors:
        raise Problem(422, errors[0], errors if len(errors) > 1 else ())


def amount_of(text: str, kind: Kind, currency: str, name: str) -> int:
    """Base units of an amount with its unit; 422 where it does not fit the kind or is negative."""
    try:
        if kind is not Kind.MONETARY:
            return parse_measured(text, MEASURE_OF_KIND[kind])
        money = parse_money(text)
    except MalformedError as error:
        raise Problem(422, f"{name}: {error}") from None
    if money.currency != currency:
        raise Problem(422, f"{name}: the account is in {currency}, not in {money.currency}")
    if money.nanos < 0:
        raise Problem(422, f"{name}: a negative amount")
    return money.nanos


def _time(text: str | None, name: str) -> int | None:
    try:
        return None if text is None else parse_rfc3339(text)
    except MalformedError as error:
        raise Problem(422, f"{name}: {error}") from None


def subscriber_of(new: NewAccount, settings: Settings) -> Subscriber:
    """The account that the body describes, checked against the configuration; 422 says what does not fit."""
    tariff = settings.tariff
    plans = {*tariff.plans, *tariff.subjects}
    errors = []
    if not new.id or new.id.startswith("*") or "/" in new.id:
        errors.append("id: not empty, without a slash, and not beginning with *")
    if new.plan not in plans:
        errors.append(f'plan: there is no "{new.plan}"; known: {", ".join(sorted(plans))}')
    schemes = settings.subscription_order
    errors += [f'identities: "{i}" does not begin with one of {", ".join(f"{s}:" for s in schemes)}'
               for i in new.identities if i.partition(":")[0] not in schemes or not i.partition(":")[2]]  # fmt: skip
    ids = [balance.id for balance in new.balances]
    errors += [f'balances: "{name}" is there twice' for name in sorted({n for n in ids if ids.count(n) > 1})]
    if errors:
        raise Problem(422, errors[0], errors if len(errors) > 1 else ())
    currency = settings.tariff.currency
    balances = tuple(
        Balance(
            id=balance.id,
            kind=balance.kind,
            value=amount_of(balance.value, balance.kind, currency, f"balances[{index}].value"),
            weight=balance.weight,
            expires_at_ns=_time(balance.expires_at, f"balances[{index}].expires_at"),
            destinations=balance.destinations,
            blocker=balance.blocker,
        )
        for index, balance in enumerate(new.balances)
    )
    expires_at_ns = _time(new.expires_at, "expires_at")
    return Subscriber(new.id, new.identities, new.plan, new.status, balances, expires_at_ns)


def opening(subscriber: Subscriber, currency: str, by: str, reason: str, now_ns: int) -> Outcome:
    """The outcome that opens an account."""
    try:
        account, entry = open_account(subscriber.account(currency), now_ns, by=by, reason=reason)
    except AdjustError as error:
        return Outcome(conflict=str(error))
    return Outcome(writes=(AccountWrite(account, entry, subscriber.identities),))


def topping_up(account: Account, asked: TopUp, now_ns: int) -> Outcome:
    """The outcome that adds to a balance."""
    kind = asked.kind
    if kind is None:
        kind = next((balance.kind for balance in account.balances if balance.id == asked.balance), None)
    if kind is None:
        raise Problem(422, f'kind: the account has no balance "{asked.balance}", so its kind has to be said')
    amount = amount_of(asked.amount, kind, account.currency, "amount")
    target = Balance(id=asked.balance, kind=kind, value=0)
    try:
        after, entry = top_up(account, target, amount, now_ns, by=asked.by, reason=asked.reason)
    except AdjustError as error:
        return Outcome(conflict=str(error))
    return Outcome(writes=(AccountWrite(after, entry),))


def adjusting(account: Account, asked: Adjustment, now_ns: int) -> Outcome:
    """The outcome that sets, resets or removes a balance, removes expired ones, or switches the account on or off."""
    who = {"by": asked.by, "reason": asked.reason}
    try:
        match asked.change:
            case Change.SET:
                kind = next(
                    (balance.kind for balance in account.balances if balance.id == asked.balance), Kind.MONETARY
                )
                value = amount_of(asked.value, kind, account.currency, "value")
                changed = set_value(account, asked.balance, value, now_ns, **who)
            case Change.RESET:
                changed = set_value(account, asked.balance, 0, now_ns, **who)
            case Change.REMOVE:
                changed = remove_balance(account, asked.balance, now_ns, **who)
            case Change.REMOVE_EXPIRED:
                expired = remove_expired(account, now_ns, **who)
                if expired is None:
                    return Outcome(conflict="no balance has expired that could be removed")
                changed = expired
            case Change.ENABLE | Change.DISABLE:
                status = Status.ACTIVE if asked.change is Change.ENABLE else Status.DISABLED
                changed = set_status(account, status, now_ns, **who)
    except AdjustError as error:
        return Outcome(conflict=str(error))
    return Outcome(writes=(AccountWrite(*changed),))


class Memory:
    """One use of an idempotency key on an account: kept 24 h beside the sessions, in the transaction of the change."""

    def __init__(self, account_id: str, key: str | None, body: msgspec.Struct) -> None:
        if key is None or not key.strip():
            raise Problem(
                400,
                "Idempotency-Key: the header is missing or blank; give each change a key of its own, and the same one "
                "when it is sent again: then it is made once",
            )
        if not (key.isascii() and key.isprintable()) or len(key) > KEY_OCTETS_MAX:
            raise Problem(400, f"Idempotency-Key: printable ASCII, {KEY_OCTETS_MAX} octets at the most")
        self._account_id = account_id
        self._fingerprint = sha256(msgspec.json.encode(body)).digest()
        self.session_key = f"*command:{account_id}:{key}"

    def recall(self, session: Session | None) -> Outcome | None:
        """What was answered under this key, as a repeat; 422 where that was to another command."""
        if session is None or not session.answers:
            return None
        content = session.answers[0].content
        if content[:32] != self._fingerprint:
            raise Problem(422, "this Idempotency-Key was used for another command")
        return Outcome(repeat=content[32:])

    def keep(self, outcome: Outcome, now_ns: int, answer: bytes | None = None) -> Outcome:
        """The outcome, with its answer to be remembered: None = the account."""
        if not outcome.writes:
            return outcome
        if answer is None:
            answer = msgspec.json.encode(account_view(outcome.writes[0].account))
        content = self._fingerprint + answer
        session = Session(
            account_id=self._account_id,
            key=self.session_key,
            service="",
            state=SessionState.CLOSED,
            opened_at_ns=now_ns,
            last_at_ns=now_ns,
            due_at_ns=now_ns + REPEAT_MEMORY_S * NS_PER_S,
            answers=(Answered(0, 0, content),),
        )
        return msgspec.structs.replace(outcome, session=session)
