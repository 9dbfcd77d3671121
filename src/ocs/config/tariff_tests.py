"""Tests that stand beside a tariff: an event, and what has to come of it. Each is explained, and that is compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ocs.balances.account import Account, Balance
from ocs.charging.explain import explain, sharing_ids
from ocs.charging.explained import Asked, Explanation
from ocs.charging.requests import Result
from ocs.config.diagnostics import Diagnostic, Place, Problems, did_you_mean, one_of
from ocs.config.document import Node
from ocs.config.schema import Entry, Located
from ocs.config.settings import Settings, Subscriber
from ocs.config.subscribers_compile import Known, compile_subscribers
from ocs.config.subscribers_file import RawAccount, RawBalance, RawSubscribers
from ocs.config.tariff_test_file import TEST, RawExpect, RawTest
from ocs.rating.tariff import Tariff
from ocs.rating.units import MEASURE_OF_KIND, Kind, Measure
from ocs.units import MalformedError, format_measured, format_money, parse_measured, parse_money

_ACCOUNT = "test"


class Tried(NamedTuple):
    """One test that was run: where it stands, what is wrong (nothing = it passed), and why what came out came out.

    explained: None where the test itself cannot be read.
    """

    name: str
    place: Place
    failures: tuple[Diagnostic, ...]
    explained: Explanation | None


def run_tests(settings: Settings) -> list[Tried]:
    """Run the tests of a configuration, in the order in which they are written."""
    known = _known(settings)
    return [_run(written, settings, known) for written in settings.tests]


def _run(written: Located[Node], settings: Settings, known: Known) -> Tried:
    problems = Problems()
    test = TEST.read(written.value, written.place, problems)
    name = test.name if test is not None else ""
    explained = None
    if test is not None and not problems.fatal:
        asked, account = _asked(test, settings, problems), _account(test, settings, known, problems)
        if asked is not None and account is not None and test.expect is not None and not problems.fatal:
            sharing = sharing_ids(account, settings.tariff, asked.at_ns)
            others = [each.account(account.currency) for each in settings.subscribers if each.id in sharing]
            explained = explain(asked, account, settings.tariff, others)
            _compare(test.expect, explained, account, problems)
    return Tried(name, written.place, tuple(problems.sorted()), explained)


def _known(settings: Settings) -> Known:
    """The names that tests may speak of, of all versions of the tariff."""
    versions = list(_versions(settings.tariff))
    return Known(
        settings.tariff.currency,
        {name for version in versions for name in (*version.plans, *version.subjects)},
        {name for version in versions for name in version.destinations},
        {name for version in versions for name in version.timings},
        None,
        settings.services,
    )


def _versions(tariff: Tariff) -> Iterator[Tariff]:
    each: Tariff | None = tariff
    while each is not None:
        yield each
        each = each.successor


# --- what is asked ---------------------------------------------------------------------------------------------------


def _asked(test: RawTest, settings: Settings, problems: Problems) -> Asked | None:
    service = settings.services.get(test.service or "")
    if service is None:
        hint = did_you_mean(test.service or "", settings.services)
        problems.error(test.at("service"), f'server.yaml has no service "{test.service}"', "one of its services", hint)
    if service is None or test.usage is None or test.at_ns is None:
        return None
    amount, measure = test.usage
    return Asked(service, test.to, amount, measure, test.at_ns, test.rating_group)


def _account(test: RawTest, settings: Settings, known: Known, problems: Problems) -> Account | None:
    if (test.plan is None) == (test.account is None):
        problems.error(test.place, "a test is of a plan or of an account", '"plan" or "account", one of them')
        return None
    if test.plan is not None:
        return _of_plan(test, test.plan, settings, known, problems)
    if "balances" in test.given:
        problems.error(test.at("balances"), "the account has balances of its own", '"plan" instead of "account"')
        return None
    for subscriber in settings.subscribers:
        if subscriber.id == test.account:
            return subscriber.account(settings.tariff.currency, 1)
    names = [subscriber.id for subscriber in settings.subscribers]
    hint = did_you_mean(test.account or "", names)
    problems.error(test.at("account"), f'subscribers.yaml has no account "{test.account}"', "one of its accounts", hint)
    return None


def _of_plan(test: RawTest, plan: str, settings: Settings, known: Known, problems: Problems) -> Account | None:
    """An account with the balances of the test; without any it may go below zero, so that only the price counts."""
    service = settings.services.get(test.service or "")
    balances = {
        name: Entry(_of_service(entry.value, service.kind if service else None), entry.place)
        for name, entry in test.balances.items()
    }
    raw = RawAccount(place=test.place, given=test.given, plan=plan, balances=balances)
    accounts = RawSubscribers(place=test.place, given={}, accounts={_ACCOUNT: Entry(raw, test.place)})
    found: tuple[Subscriber, ...] = compile_subscribers(accounts, known, problems)
    if not found:
        return None
    account = found[0].account(settings.tariff.currency, 1)
    return msgspec.structs.replace(account, allow_negative="balances" not in test.given)


def _of_service(raw: RawBalance | None, kind: Kind | None) -> RawBalance | None:
    """A count without a kind is of what the service counts, where that is events."""
    if raw is None or kind is None or raw.kind is not Kind.GENERIC or "kind" in raw.given:
        return raw
    return msgspec.structs.replace(raw, kind=kind) if MEASURE_OF_KIND[kind] is Measure.EVENTS else raw


# --- what came out ---------------------------------------------------------------------------------------------------


def _compare(expect: RawExpect, explained: Explanation, account: Account, problems: Problems) -> None:
    """Report everything that is not as expected."""
    refused = explained.event.result is not Result.SUCCESS
    reasons = {explained.event.why, str(int(explained.event.result))} if refused else set()
    if expect.refused is not None and expect.refused not in reasons:
        why = f"{explained.event.why} ({int(explained.event.result)})"
        came = f"it is refused with {why}" if refused else "it is not refused"
        problems.error(expect.at("refused"), came, expect.refused)
    elif expect.refused is None and expect.overdraft is None and refused:
        message = f"it is refused with {explained.event.why} ({int(explained.event.result)})"
        problems.error(expect.place, message, "success")
    _compare_money("cost", expect, explained.cost_nanos, explained.currency, problems)
    _compare_money("overdraft", expect, explained.overdraft_nanos, explained.currency, problems)
    destinations = [part.destination_id for part in explained.parts if not part.reason]
    if explained.house is not None:
        destinations = [explained.house[0]]
    if expect.destination is not None and expect.destination not in destinations:
        came = f"the destination is {one_of(destinations)}" if destinations else "there is no destination"
        problems.error(expect.at("destination"), came, expect.destination)
    if expect.affordable is not None:
        payable = explained.asked.usage if explained.affordable is None else explained.affordable
        amount, measure = expect.affordable
        if (amount, measure) != (payable, explained.asked.measure):
            message = f"{format_measured(payable, explained.asked.measure)} can be paid"
            problems.error(expect.at("affordable"), message, format_measured(amount, measure))
    taken = {} if refused and expect.overdraft is None else dict(explained.taken)
    for name, entry in expect.balances.items():
        if entry.value is not None:
            _compare_balance(name, entry.value, account, taken, problems)


def _compare_money(field: str, expect: RawExpect, nanos: int, currency: str, problems: Problems) -> None:
    wanted = getattr(expect, field)
    if wanted is not None and (wanted.nanos, wanted.currency) != (nanos, currency):
        message = f"the {field} is {format_money(nanos, currency)} {currency}"
        problems.error(expect.at(field), message, f"{format_money(wanted.nanos, wanted.currency)} {wanted.currency}")


def _compare_balance(
    name: str, wanted: Located[str], account: Account, taken: dict[str, int], problems: Problems
) -> None:
    balance = next((balance for balance in account.balances if balance.id == name), None)
    if balance is None and name in taken:
        balance = Balance(name, Kind.MONETARY, 0)  # made for a debt
    if balance is None:
        hint = did_you_mean(name, [each.id for each in account.balances])
        problems.error(wanted.place, f'the account has no balance "{name}"', "one of its balances", hint)
        return
    after = balance.value - taken.get(name, 0)
    try:
        amount = _amount(wanted.value, balance.kind, account.currency)
    except MalformedError as problem:
        problems.error(wanted.place, problem.message, problem.expected, problem.hint)
        return
    if amount != after:
        came = _text(after, balance.kind, account.currency)
        problems.error(wanted.place, f"{name} is {came}", _text(amount, balance.kind, account.currency))


def _amount(text: str, kind: Kind, currency: str) -> int:
    if kind is not Kind.MONETARY:
        return parse_measured(text, MEASURE_OF_KIND[kind])
    money = parse_money(text)
    if money.currency != currency:
        raise MalformedError(f"the value is in {money.currency}", currency)
    return money.nanos


def _text(value: int, kind: Kind, currency: str) -> str:
    return (
        f"{format_money(value, currency)} {currency}"
        if kind is Kind.MONETARY
        else format_measured(value, MEASURE_OF_KIND[kind])
    )
