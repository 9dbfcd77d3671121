"""What `ocs explain` is asked: an event in words or by options, of a subscriber of the configuration or of a plan."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ocs.api.explain import USAGE
from ocs.api.explain_view import explanation_view
from ocs.balances.account import Account
from ocs.charging.explain import explain, sharing_ids
from ocs.charging.explained import Asked
from ocs.config.settings import Settings
from ocs.rating.units import MEASURE_OF_KIND, Measure
from ocs.units import MalformedError, parse_measured, parse_quantity, parse_rfc3339

EXAMPLES = '"voice 491700000001 -> 61491570156 90s", "data 491700000002 308400 octets", "sms demo to 4917012345"'
PLAN_ACCOUNT = "*plan"
"""The id of the account that stands for a plan alone."""

_EVENT = re.compile(
    r"(?P<service>\S+)(?:\s+(?!->|to\s)(?P<subscriber>\S+))?(?:\s*(?:->|\bto\b)\s*(?P<called>\S+))?(?:\s+(?P<usage>.+))?"
)


class Wrong(Exception):
    """What is wrong with what was asked."""


class Wanted(NamedTuple):
    """An event as a person says it; None where nothing was said.

    subscriber: id of an account, or one of its identities with or without its scheme.
    """

    service: str
    subscriber: str | None
    called: str | None
    usage: str | None
    at: str | None = None
    rating_group: int | None = None
    plan: str | None = None

    def with_options(self, subscriber: str | None, called: str | None, usage: str | None) -> Wanted:
        """What options add to the words; what both say is said once too often."""
        twice = [
            option
            for option, word, given in (
                ("--from", self.subscriber, subscriber),
                ("--to", self.called, called),
                ("--usage", self.usage, usage),
            )
            if word is not None and given is not None
        ]
        if twice:
            raise Wrong(f"{' and '.join(twice)}: said in words, too")
        return self._replace(
            subscriber=subscriber or self.subscriber, called=called or self.called, usage=usage or self.usage
        )


def in_words(text: str) -> Wanted:
    """SERVICE [SUBSCRIBER] [to NUMBER] [USAGE]."""
    found = _EVENT.fullmatch(text.strip())
    if found is None:
        raise Wrong(f'"{text}" is not SERVICE SUBSCRIBER [to NUMBER] [USAGE], such as {EXAMPLES}')
    return Wanted(found["service"], found["subscriber"], found["called"], found["usage"])


def usage_text(text: str) -> str:
    """An amount as CDRs say it, "308400 octets" or "3 units", in the units of the rest of the program: B, and none."""
    return re.sub(r"\s*(octets|units)$", lambda unit: " B" if unit[1] == "octets" else "", text).strip()


def explained(wanted: Wanted, settings: Settings, now_ns: int) -> dict[str, Any]:
    """The explanation as the API gives it, by the configuration alone: with balances as accounts are opened."""
    asked = _asked(wanted, settings, now_ns)
    if wanted.plan is not None:
        if wanted.plan not in {*settings.tariff.plans, *settings.tariff.subjects}:
            raise Wrong(f'there is no plan "{wanted.plan}"; known: {", ".join(settings.tariff.plans)}')
        account: Account | None = plan_account(wanted.plan, settings.tariff.currency)
    elif wanted.subscriber is None:
        raise Wrong("whose account? --from SUBSCRIBER, or --plan PLAN for the price alone")
    else:
        account = _account(wanted.subscriber, settings)
    sharing = sharing_ids(account, settings.tariff, asked.at_ns)
    others = [each.account(settings.tariff.currency) for each in settings.subscribers if each.id in sharing]
    return explanation_view(explain(asked, account, settings.tariff, others))


def plan_account(plan: str, currency: str) -> Account:
    """An account that may owe whatever a plan asks for: for prices without a subscriber."""
    return Account(PLAN_ACCOUNT, 1, currency, plan, allow_negative=True)


def _asked(wanted: Wanted, settings: Settings, now_ns: int) -> Asked:
    service = settings.services.get(wanted.service)
    if service is None:
        raise Wrong(f'there is no service "{wanted.service}"; known: {", ".join(settings.services)}')
    measure = MEASURE_OF_KIND[service.kind]
    usage = USAGE[measure]
    try:
        if wanted.usage is not None:
            text = usage_text(wanted.usage)
            if measure is Measure.EVENTS:
                usage, measure = parse_quantity(text)
            else:
                usage = parse_measured(text, measure)
        at_ns = now_ns if wanted.at is None else parse_rfc3339(wanted.at)
    except MalformedError as error:
        raise Wrong(str(error)) from None
    if wanted.called is None and service.kind.value in ("voice", "sms", "mms"):
        raise Wrong(f"{service.name} goes to somebody: add to NUMBER")
    return Asked(service, wanted.called or "", usage, measure, at_ns, wanted.rating_group)


def _account(name: str, settings: Settings) -> Account | None:
    """By id, by identity ("msisdn:4917..."), or by the digits of one."""
    for subscriber in settings.subscribers:
        bare = {identity.partition(":")[2] for identity in subscriber.identities}
        if name == subscriber.id or name in subscriber.identities or name.lstrip("+") in bare:
            return subscriber.account(settings.tariff.currency)
    return None
