"""Writes what was imported from CGRateS in the language of our configuration: tariff files and subscribers.

What our language has no words for is left out with a warning at the place where it was said. Names that are no ids
here are changed, with a warning each.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any, Final

import yaml

from ocs.balances.account import Balance
from ocs.config.cgrates_accounts import Accounts, ImportedAccount
from ocs.config.cgrates_rows import DestinationRate, PlanRow, Rows, Slot, TimingRow
from ocs.config.cgrates_values import ANY
from ocs.config.diagnostics import Place, Problems
from ocs.config.timing_file import WEEK_DAYS
from ocs.rating.timings import DAY_S
from ocs.rating.units import MEASURE_OF_KIND, Kind, Measure
from ocs.units import Price, format_measured, format_money, format_price, format_rfc3339

ID_LENGTH_MAX: Final = 64
DECIMALS_MAX: Final = 9
DECK_FROM: Final = 2_000
"""More prices than these of one service of one plan go to a CSV deck."""
DECK_SUFFIX: Final = ".csv"

Tree = dict[str, Any]

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]")


class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes every value where it stands, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def to_yaml(tree: Tree, comment: str) -> str:
    """The text of a file."""
    text = yaml.dump(tree, Dumper=_Plain, sort_keys=False, default_flow_style=None, allow_unicode=True, width=118)
    return f"# {comment}\n\n{text}"


class Writer:
    """Makes the trees of the files. kinds: what each category, that is service, counts."""

    def __init__(
        self,
        rows: Rows,
        accounts: Accounts,
        kinds: Mapping[str, Kind],
        currency: str,
        time_zone: str,
        problems: Problems,
    ) -> None:
        self.rows = rows
        self.accounts = accounts
        self.kinds = kinds
        self.currency = currency
        self.time_zone = time_zone
        self.problems = problems
        tenants = {profile.tenant for profile in rows.profiles} | {account.tenant for account in accounts.accounts}
        self.one_tenant = len(tenants) <= 1
        self._renamed: dict[str, str] = {}
        self.decks: dict[str, str] = {}
        """Decks by path below the configuration folder, once `files` has run."""
        self._in_decks: set[str] = set()
        self.prefixes = {
            self.id(name, found[0].place): sorted({row.prefix for row in found})
            for name, found in rows.destinations.items()
        }
        self.subjects = {(profile.tenant, profile.subject) for profile in rows.profiles}

    def files(self) -> dict[str, Tree]:
        """Path below the configuration folder -> tree, those that would be empty left out; it fills `decks`.

        A destination that stands in decks alone is a name there, and needs no entry of its own.
        """
        sold = self._plans()
        plans = {"time_zone": self.time_zone, "timings": self._timings(), "plans": sold}
        needless = self._in_decks - self._named(sold)
        destinations = {
            name: {"prefixes": prefixes} for name, prefixes in self.prefixes.items() if name not in needless
        }
        profiles = {"profiles": self._profiles(), "shared_groups": self._shared_groups()}
        trees: dict[str, Tree] = {
            "tariffs/destinations.yaml": {"currency": self.currency, "destinations": destinations},
            "tariffs/plans.yaml": {"currency": self.currency, **plans},
            "tariffs/profiles.yaml": profiles,
            "subscribers.yaml": {"accounts": self._accounts()},
        }
        filled = {path: {key: part for key, part in tree.items() if part} for path, tree in trees.items()}
        return {path: tree for path, tree in filled.items() if tree.keys() - {"currency", "time_zone"}}

    # --- names -------------------------------------------------------------------------------------------------------

    def id(self, name: str, place: Place) -> str:
        """A name as an id of ours; what cannot stand in one becomes a dash."""
        changed = _STRANGE.sub("-", name).lstrip("-._")[:ID_LENGTH_MAX] or "x"
        if changed == name:
            return name
        if name not in self._renamed:
            taken = set(self._renamed.values())
            number = 1
            unique = changed
            while unique in taken:
                number += 1
                unique = f"{changed[: ID_LENGTH_MAX - 4]}-{number}"
            self._renamed[name] = unique
            self.problems.warn(place, f'"{name}" is no id here', hint=f"it becomes {unique}")
        return self._renamed[name]

    def subject(self, tenant: str, name: str, place: Place) -> str:
        """A subject; with its tenant where there are several."""
        own = name if name == ANY else self.id(name, place)
        return own if self.one_tenant or not tenant else f"{self.id(tenant, place)}:{own}"

    # --- tariff ------------------------------------------------------------------------------------------------------

    def _timings(self) -> Tree:
        """Those that plans and balances refer to: the others are of schedules."""
        balances = [balance for account in self.accounts.accounts for balance in account.balances]
        used = {line.timing_id for lines in self.rows.plans.values() for line in lines}
        used |= {name.removeprefix("!") for balance in balances for name in balance.timings}
        return {self.id(name, row.place): _timing(row) for name, row in self.rows.timings.items() if name in used}

    def _plans(self) -> Tree:
        services: dict[str, set[str]] = {}
        for profile in self.rows.profiles:
            services.setdefault(profile.plan_id, set()).add(profile.category)
        plans: Tree = {}
        for plan_id, lines in self.rows.plans.items():
            place = lines[0].place
            if plan_id not in services:
                self.problems.warn(place, f'the plan "{plan_id}" is not imported: no profile says what it is for')
                continue
            name = self.id(plan_id, place)
            sold = {}
            for category in sorted(services[plan_id]):
                service = self.id(category, place)
                rates = self._rates(lines, self.kinds[category])
                sold[service] = self._with_deck(rates, f"{name}-{service}{DECK_SUFFIX}")
            plans[name] = {service: tree for service, tree in sold.items() if tree}
        return plans

    def _with_deck(self, rates: Mapping[str, Sequence[Tree]], deck: str) -> Tree:
        """The rates of a service; very many of them in a deck, as far as a line of it can say them."""
        size = sum(len(self.prefixes.get(name, ())) * len(found) for name, found in rates.items())
        in_deck: set[str] = set()
        if size > DECK_FROM:
            in_deck = {name for name in rates if name != ANY and not any("tiers" in rate for rate in rates[name])}
        tree: Tree = {"deck": deck} if in_deck else {}
        if in_deck:
            self._in_decks |= in_deck
            self.decks[f"tariffs/{deck}"] = self._deck({name: rates[name] for name in rates if name in in_deck})
        written = {name: found for name, found in rates.items() if name not in in_deck}
        return tree | {name: found[0] if len(found) == 1 else found for name, found in written.items()}

    def _deck(self, rates: Mapping[str, Sequence[Tree]]) -> str:
        """The lines of a deck: prefix, destination, and the options that any of its rates has."""
        flat = [(name, _flat(rate)) for name, found in rates.items() for rate in found]
        options = sorted({option for _, rate in flat for option in rate})
        text = StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["prefix", "destination", *options])
        for name, rate in flat:
            cells = [rate.get(option, "") for option in options]
            lines.writerows([prefix, name, *cells] for prefix in self.prefixes[name])
        return text.getvalue()

    def _named(self, plans: Tree) -> set[str]:
        """Destinations that plans or balances name."""
        named = {name for plan in plans.values() for rates in plan.values() for name in rates}
        for account in self.accounts.accounts:
            for balance in account.balances:
                named |= {name.removeprefix("!") for name in self._ids(balance.destinations, account.place)}
        return named

    def _rates(self, lines: Sequence[PlanRow], kind: Kind) -> dict[str, list[Tree]]:
        rates: dict[str, list[Tree]] = {}
        for line in lines:
            for found in self.rows.destination_rates[line.destination_rates_id]:
                if kind is Kind.DATA and found.destination_id != ANY:
                    self.problems.warn(found.place, "data has no destinations: the rate is not imported")
                    continue
                destination = ANY if found.destination_id == ANY else self.id(found.destination_id, found.place)
                when: Tree = {"when": self.id(line.timing_id, line.place)} if line.timing_id else {}
                weight: Tree = {"weight": line.weight} if line.weight else {}
                rate = self._rate(found, self.rows.rates[found.rate_id], MEASURE_OF_KIND[kind])
                rates.setdefault(destination, []).append({**rate, **when, **weight})
        return rates

    def _rate(self, found: DestinationRate, slots: Sequence[Slot], measure: Measure) -> Tree:
        """A rate. One that costs nothing is free, which also spares balances of units: that is warned about."""
        first, *others = slots
        fee = {"connect_fee": self._money(first.fee_nanos)} if first.fee_nanos else {}
        tiers = [
            {"from": format_measured(slot.start, measure), **(self._price(slot, measure) or {"free": True})}
            for slot in others
        ]
        price = self._price(first, measure)
        if not price and not fee and not any(slot.price for slot in others):
            message = "costs nothing: it becomes free: true, for which balances of units are not used up"
            self.problems.warn(first.place, message)
            return {"free": True}
        tree: Tree = {**(price or ({} if fee else {"free": True})), **fee}
        if tiers:
            tree["tiers"] = tiers
        rounding = self._rounding(found)
        if rounding and (price or tiers):
            tree["rounding"] = rounding
        if found.max_cost_nanos is not None and (price or tiers):
            tree["max_cost"] = self._money(found.max_cost_nanos)
            tree["max_cost_strategy"] = "disconnect" if found.disconnect else "free"
        return tree

    def _price(self, slot: Slot, measure: Measure) -> Tree:
        """Price and increment; empty where it costs nothing. Parts of nanos are whole ones for more units."""
        if not slot.price:
            return {}
        times = slot.price.denominator
        price = Price(int(slot.price * times), self.currency, slot.unit_size * times, measure)
        tree: Tree = {"price": format_price(price)}
        if measure is not Measure.EVENTS:
            tree["increment"] = format_measured(slot.increment, measure)
        elif slot.increment != 1:
            tree["increment"] = slot.increment
        return tree

    def _rounding(self, found: DestinationRate) -> Tree:
        if found.decimals < 0:
            self.problems.warn(found.place, "a price cannot be rounded to tens: it is rounded to whole units")
        decimals = min(max(found.decimals, 0), DECIMALS_MAX)
        if not found.rounding or (decimals, found.rounding) == (DECIMALS_MAX, "middle"):
            return {}
        return {"decimals": decimals, "method": found.rounding}

    def _profiles(self) -> Tree:
        profiles: dict[str, dict[str, list[Tree]]] = {}
        for profile in self.rows.profiles:
            name = self.subject(profile.tenant, profile.subject, profile.place)
            activation: Tree = {"from": format_rfc3339(profile.from_ns)} if profile.from_ns else {}
            activation["plan"] = self.id(profile.plan_id, profile.place)
            fallbacks = []
            for fallback in profile.fallbacks:
                if (profile.tenant, fallback) in self.subjects:
                    fallbacks.append(self.subject(profile.tenant, fallback, profile.place))
                else:
                    self.problems.warn(profile.place, f'there is no profile "{fallback}" to fall back to')
            if fallbacks:
                activation["fallback"] = fallbacks
            category = self.id(profile.category, profile.place)
            profiles.setdefault(name, {}).setdefault(category, []).append(activation)
        return {
            name: {category: found[0] if len(found) == 1 else found for category, found in by_category.items()}
            for name, by_category in profiles.items()
        }

    def _shared_groups(self) -> Tree:
        groups: Tree = {}
        for name, group in self.rows.shared_groups.items():
            members = [self.account_id(account) for account in self.accounts.members.get(name, ())]
            if not members:
                self.problems.warn(group.place, f'the shared group "{name}" is not imported: no account is in it')
                continue
            groups[self.id(name, group.place)] = {"members": members, "strategy": group.strategy}
        return groups

    # --- accounts ----------------------------------------------------------------------------------------------------

    def account_id(self, account: ImportedAccount) -> str:
        """An account's name; with its tenant where there are several."""
        own = self.id(account.name, account.place)
        return own if self.one_tenant else f"{own}@{self.id(account.tenant, account.place)}"

    def _accounts(self) -> Tree:
        accounts: Tree = {}
        for account in self.accounts.accounts:
            name = self.account_id(account)
            own = account.name if (account.tenant, account.name) in self.subjects else ANY
            digits = account.name.removeprefix("+")
            is_number = digits.isdecimal() and 5 <= len(digits) <= 15
            tree: Tree = {"msisdn": digits} if is_number else {"private": name}
            tree["plan"] = self.subject(account.tenant, own, account.place)
            if account.disabled:
                tree["status"] = "disabled"
            if account.allow_negative:
                tree["allow_negative"] = True
            if account.balances:
                tree["balances"] = {
                    self.id(balance.id, account.place): self._balance(balance, account) for balance in account.balances
                }
            accounts[name] = tree
        return accounts

    def _balance(self, balance: Balance, account: ImportedAccount) -> Tree:
        tree: Tree = {"kind": balance.kind.value, "value": self._value(balance)}
        optional: Tree = {
            "weight": balance.weight,
            "expires_at": None if balance.expires_at_ns is None else format_rfc3339(balance.expires_at_ns),
            "destinations": self._ids(balance.destinations, account.place),
            "blocker": balance.blocker,
            "categories": self._ids(balance.categories, account.place),
            "timings": self._ids(balance.timings, account.place),
            "disabled": balance.disabled,
            "rating_subject": self._rating_subject(balance.rating_subject, account),
            "shared_group": self.id(balance.shared_group, account.place) if balance.shared_group else "",
        }
        return tree | {key: value for key, value in optional.items() if value}

    def _value(self, balance: Balance) -> str:
        if balance.kind is Kind.MONETARY:
            return self._money(balance.value)
        return format_measured(balance.value, MEASURE_OF_KIND[balance.kind])

    def _rating_subject(self, subject: str, account: ImportedAccount) -> str:
        if not subject or subject.startswith("*"):
            return subject
        if (account.tenant, subject) not in self.subjects:
            self.problems.warn(account.place, f'no profile has the rating subject "{subject}" of a balance')
        return self.subject(account.tenant, subject, account.place)

    def _ids(self, names: Iterable[str], place: Place) -> list[str]:
        return [("!" if name.startswith("!") else "") + self.id(name.removeprefix("!"), place) for name in names]

    def _money(self, nanos: int) -> str:
        return f"{format_money(nanos, self.currency)} {self.currency}"


def _flat(rate: Tree) -> Tree:
    """The options of a rate as the columns of a deck have them."""
    flat = {name: "true" if value is True else value for name, value in rate.items() if name != "rounding"}
    return flat | {f"rounding_{name}": value for name, value in rate.get("rounding", {}).items()}


def _timing(row: TimingRow) -> Tree:
    days = {number: name for name, number in WEEK_DAYS.items()}
    tree: Tree = {
        "years": sorted(row.years),
        "months": sorted(row.months),
        "month_days": sorted(row.month_days),
        "week_days": [days[day] for day in sorted(row.week_days)],
        "time": "" if (row.start_s, row.end_s) == (0, DAY_S) else f"{_clock(row.start_s)}-{_clock(row.end_s)}",
    }
    return {key: value for key, value in tree.items() if value}


def _clock(second: int) -> str:
    return f"{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02}"
