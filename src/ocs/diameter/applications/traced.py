"""What traces are told: whom a request names, and what was decided on it."""

from __future__ import annotations

from contextlib import suppress

from ocs.charging.outcome import Outcome
from ocs.charging.requests import ChargingAnswer
from ocs.diameter.applications import codes
from ocs.diameter.applications.subscription import Order, read_subscriber
from ocs.diameter.dictionary import VENDOR_3GPP
from ocs.diameter.errors import PeerError
from ocs.diameter.trace import Decision, GroupDecision
from ocs.diameter.wire import Avp, Message

_IDS = (codes.SUBSCRIPTION_ID, codes.SUBSCRIPTION_ID_EXTENSION)


def subscribers_of(message: Message, order: Order) -> tuple[str, ...]:
    """All identities that a request names; what cannot be read names nobody."""
    ids = [avp for avp in message.avps if not avp.vendor_id and avp.code in _IDS]
    inside = [avp for avp in _service_information(message) if not avp.vendor_id and avp.code in _IDS]
    try:
        return read_subscriber([], [*ids, *inside], message.find(codes.USER_NAME), order)
    except PeerError:
        return ()


def decision_of(answer: ChargingAnswer, outcome: Outcome | None) -> Decision:
    """The decision of charging, in numbers; `outcome` only where it was carried out."""
    costs = () if outcome is None else tuple((w.account.currency, w.entry.cost_nanos) for w in outcome.writes)
    return Decision(
        int(answer.result),
        answer.why,
        costs=tuple((currency, nanos) for currency, nanos in costs if nanos),
        groups=tuple(
            GroupDecision(group.rating_group, int(group.result), group.measure.value, group.granted, group.why)
            for group in answer.groups
        ),
    )


def _service_information(message: Message) -> list[Avp]:
    inside: list[Avp] = []
    for avp in message.find_all(codes.SERVICE_INFORMATION, VENDOR_3GPP):
        with suppress(PeerError):
            inside += avp.children()
    return inside
