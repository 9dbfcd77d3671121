"""Who pays at what price: the lookups of one decision, over the working copy of its accounts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ocs.balances.account import Account, Balance
from ocs.balances.book import Book
from ocs.balances.choice import Choice, Event, choose
from ocs.balances.cover import Meter, State, subjects_of
from ocs.charging import house
from ocs.charging.policy import ServicePolicy
from ocs.charging.session import Group, Segment, Session
from ocs.rating.conditions import Facts
from ocs.rating.memo import remembered_rate
from ocs.rating.prices import Rate
from ocs.rating.tariff import Found, NotFound, SubjectTried, Tariff, find_rate
from ocs.rating.units import MEASURE_OF_KIND, Kind, Measure

NOTHING = Choice((), ())


class Payer:
    """Lives inside one pure call."""

    def __init__(
        self,
        account: Account,
        others: Sequence[Account],
        session: Session,
        tariff: Tariff,
        policy: ServicePolicy,
    ) -> None:
        self.book = Book(account, others)
        self.account = account
        self.tariff = tariff
        self.policy = policy
        self._others = others
        self.facts: Facts = session.facts
        self._house_account = account.id == house.HOUSE_ACCOUNT
        self.call(session)

    def call(self, session: Session) -> None:
        """Rate by the called party of a session from now on. What the served user receives has no destination."""
        terminating = session.terminating
        self._called = session.called
        self._number = "" if terminating else session.called
        self._free = (house.TERMINATING, "") if terminating and not self.policy.terminating_rated else None
        self._choices: dict[int, Choice] = {}
        self._found: dict[tuple[int | None, int, Facts], Found | NotFound] = {}

    def call_free(self, destination: tuple[str, str]) -> None:
        """Rate what follows as one of the destinations that are free for everybody."""
        self._free = destination

    def find_rate(
        self,
        rating_group: int | None,
        at_ns: int,
        tried: list[SubjectTried] | None = None,
        facts: Facts | None = None,
    ) -> Found | NotFound:
        """The rate of a rating group of the session at a time. `tried` takes what was looked at, for explanations.

        facts: the circumstances, None = those of now.
        """
        key = (rating_group, at_ns, self.facts if facts is None else facts)
        found = None if tried is not None else self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(*key, tried)
        return found

    def _look_up(
        self, rating_group: int | None, at_ns: int, facts: Facts, tried: list[SubjectTried] | None
    ) -> Found | NotFound:
        measure = MEASURE_OF_KIND[self.policy.kind]
        if self._house_account:
            tariff = self.tariff.at(at_ns)
            destination_id, prefix = house.house_destination(self._called, tariff) or (house.FREE, "")
            return house.free(destination_id, prefix, measure, tariff.version)
        if self._free is not None:
            return house.free(*self._free, measure, self.tariff.at(at_ns).version)
        return self._rate_of(self.account.plan, rating_group, at_ns, facts, tried)

    def segment(self, found: Found | NotFound, group: Group, facts: Facts | None = None) -> Segment | None:
        """A segment that begins now, None where there is no rate for what the group counts.

        facts: the circumstances that the rate was found for, None = those of now.

        A free slice that was begun goes on: its length is the balance's, and has nothing to do with the price.
        """
        found = for_measure(found, group.measure)
        if isinstance(found, NotFound):
            return None
        meter = Meter(found.rate, start=group.position)
        sliced = () if group.segment is None else group.segment.sliced
        held = self.facts if facts is None else facts
        return Segment(found.version, found.destination_id, found.prefix, (meter,), sliced, found.until_ns, held)

    def choice(self, rate: Rate, measure: Measure, at_ns: int) -> Choice:
        """The balances for usage of a rate: none for one that is free, no minutes for octets."""
        if rate.free:
            return NOTHING
        choice = self._choices.get(at_ns)
        if choice is None:
            event = Event(self.policy.kind, self.policy.name, self._number, at_ns)
            choice = choose(self.account, event, self.tariff.at(at_ns), self._others)
            if self.account.allow_negative:
                choice = self._with_debtor(choice)
            self._choices[at_ns] = choice
        if all(_pays(balance, measure) for balance in choice.units):
            return choice
        return Choice(tuple([balance for balance in choice.units if _pays(balance, measure)]), choice.money)

    def state(self, group: Group, segment: Segment, choice: Choice, at_ns: int, *, fee_charged: bool) -> State:
        """Where the group's segment stands.

        The connect fee is due with the first usage of the group, at the price of that; once per session, or per group
        if the rate says so.
        """
        rate = segment.rate
        charged = bool(group.position) or (group.fee_charged if rate.fee_per_group else fee_charged)
        subjects = subjects_of(choice)
        return State(
            segment.meters,
            segment.sliced,
            group.position,
            0 if charged else rate.connect_fee_nanos,
            group.spent_nanos,
            tuple([(subject, self._subject_rate(subject, group, segment, at_ns)) for subject in subjects])
            if subjects
            else (),
            self.policy.name,
        )

    def _subject_rate(self, subject: str, group: Group, segment: Segment, at_ns: int) -> Rate | None:
        found = for_measure(self._rate_of(subject, group.rating_group, at_ns, segment.facts), group.measure)
        return None if isinstance(found, NotFound) else found.rate

    def _rate_of(
        self,
        subject: str,
        rating_group: int | None,
        at_ns: int,
        facts: Facts,
        tried: list[SubjectTried] | None = None,
    ) -> Found | NotFound:
        number = self.policy.default_rating_group if rating_group is None else rating_group
        if tried is None:
            return remembered_rate(self.tariff, subject, self.policy.name, number, self._number, at_ns, facts)
        return find_rate(self.tariff, subject, self.policy.name, number, self._number, at_ns, tried, facts)

    def _with_debtor(self, choice: Choice) -> Choice:
        """An account that may be negative always has a balance to charge, after all others."""
        debtor = self.book.debtor(())
        money = tuple([balance for balance in choice.money if balance.id != debtor])
        last = msgspec.structs.replace(self.book.balance(debtor), blocker=False)
        return Choice(choice.units, (*money, last))


def for_measure(found: Found | NotFound, measure: Measure) -> Found | NotFound:
    """What was found, unless it cannot price usage counted in `measure`: a price per MiB says nothing of seconds."""
    if isinstance(found, Found) and (found.rate.price_nanos or found.rate.tiers) and found.rate.measure is not measure:
        return NotFound("no_rate")
    return found


def _pays(balance: Balance, measure: Measure) -> bool:
    """Whether units of the balance are those of the usage; generic ones are whatever they are used for."""
    return balance.kind is Kind.GENERIC or MEASURE_OF_KIND[balance.kind] is measure
