"""From a Credit-Control-Request to a ChargingRequest (RFC 8506 3.1, TS 32.299 6.4.2).

    read_request(message, rules, peer_rule) -> (ChargingRequest, ignored_avps)

The message has passed `grammar.check_request`; what is read here is checked again only where a wrong value would be
charged. Raises PeerError with the Failed-AVP to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from ocs.charging import refunded
from ocs.charging.contexts import Context, context_of
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingRequest, GroupRequest, RequestedAction, RequestType
from ocs.config.settings import PeerRule, Refusals, Settings
from ocs.diameter.applications import codes
from ocs.diameter.applications.containers import read_command_units, read_group
from ocs.diameter.applications.service_information import Reader, Service
from ocs.diameter.applications.subscription import Order, make_order, read_subscriber
from ocs.diameter.dictionary import VENDOR_3GPP
from ocs.diameter.errors import PeerError
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import unpack_time, unpack_unsigned32, unpack_unsigned64, unpack_utf8_string, wrong_value
from ocs.diameter.wire import Avp, Message, encode_avp
from ocs.limits import GROUPS_PER_REQUEST_MAX
from ocs.rating.units import NS_PER_S

_REQUEST_TYPES: Final = {int(request_type): request_type for request_type in RequestType}
_ACTIONS: Final = {int(action): action for action in RequestedAction}

_DESCRIPTIONS: Final = frozenset({
    codes.USER_NAME,
    codes.TERMINATION_CAUSE,
    codes.CC_CORRELATION_ID,
    codes.SERVICE_PARAMETER_INFO,
    codes.USER_EQUIPMENT_INFO,
    codes.USER_EQUIPMENT_INFO_EXTENSION,
})  # fmt: skip
"""AVPs of the command that only describe: they become attributes."""

_LATER: Final = (RequestType.UPDATE, RequestType.TERMINATION)
_ENDING: Final = frozenset({"cause_code", "termination_cause"})
"""Attributes that tell how a session ended."""

_SEVERAL: Final = frozenset({
    codes.SERVICE_INFORMATION,
    codes.AOC_REQUEST_TYPE,
    codes.MULTIPLE_SERVICES_CREDIT_CONTROL,
    codes.SUBSCRIPTION_ID,
    codes.SUBSCRIPTION_ID_EXTENSION,
    codes.USED_SERVICE_UNIT,
})  # fmt: skip
"""AVPs of the command of which there may be several that count, or that belong to a vendor."""


class Rules(msgspec.Struct, frozen=True):
    """What the settings say about reading requests.

    services: by the document number of their context; of several, those that take only some requests come first.
    contexts: by the name of the service.
    plain: names of the services for which later requests of a session need no description: it neither chooses the
    service, nor names who is called, nor leads to a rating group.
    """

    services: Mapping[str, tuple[ServicePolicy, ...]]
    contexts: Mapping[str, Context]
    order: Order
    plain: frozenset[str]


def compile_rules(settings: Settings) -> Rules:
    """The Rules of a configuration."""
    services: dict[str, tuple[ServicePolicy, ...]] = {}
    for policy in sorted(settings.services.values(), key=lambda policy: not policy.only):
        for context in policy.contexts:
            services[context.lower()] = (*services.get(context.lower(), ()), policy)
    order = make_order(settings.subscription_order, settings.realms, settings.tariff.numbering)
    contexts = {name: _context(policy) for name, policy in settings.services.items()}
    plain = frozenset(name for name, policy in settings.services.items() if _is_plain(policy, contexts[name]))
    return Rules(services, contexts, order, plain)


def _is_plain(policy: ServicePolicy, context: Context) -> bool:
    asked = policy.only or policy.rating_group_from or context.called or context.count or context.terminating
    return not asked


def _context(policy: ServicePolicy) -> Context:
    """The row of the service's context, with what the service says otherwise."""
    row = context_of(policy.contexts)
    return msgspec.structs.replace(row, called=policy.called_from or row.called, count=policy.count_from or row.count)


class Reading(NamedTuple):
    """A request, and how many unknown AVPs with the M bit were passed over in its Service-Information.

    Of a description that nobody has asked for none are counted.
    """

    request: ChargingRequest
    ignored_avps: int


class Described(Sequence[tuple[str, str]]):
    """The attributes of a request, read when somebody asks for them.

    Most later requests of a session describe it as its first one did, at length, and nobody looks.
    """

    __slots__ = ("_avps", "_read")

    def __init__(self, avps: list[Avp]) -> None:
        self._avps = avps
        self._read: tuple[tuple[str, str], ...] | None = None

    def _all(self) -> tuple[tuple[str, str], ...]:
        if self._read is None:
            self._read = _described(self._avps).described("")
        return self._read

    def __len__(self) -> int:
        return len(self._all())

    def __getitem__(self, index: Any) -> Any:
        """As of a tuple."""
        return self._all()[index]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Described) else other)

    def __hash__(self) -> int:
        return hash(self._all())


def _described(avps: list[Avp]) -> Service:
    """What the command and its Service-Information say of the service."""
    reader = Reader()
    for avp in avps:
        if avp.vendor_id:
            if avp.code == codes.SERVICE_INFORMATION and avp.vendor_id == VENDOR_3GPP:
                reader.read_service(avp)
        elif avp.code in _DESCRIPTIONS:
            reader.read_command(avp)
    return reader.service()


def _ended(one: Mapping[int, Avp], bearer_ids: list[Avp]) -> Service:
    """Of a description that nobody has asked for, only how the session ended."""
    cause = one.get(codes.TERMINATION_CAUSE)
    if cause is None:
        return Service({}, {}, bearer_ids, 0)
    reader = Reader()
    reader.read_command(cause)
    return Service(reader.attributes, {}, bearer_ids, 0)


def _bearer_ids(informations: list[Avp]) -> list[Avp] | None:
    """The Subscription-Ids inside Service-Information; None where it describes more than a bearer (PS-Information).

    Raises PeerError 5014 where it cannot be cut into AVPs.
    """
    ids = []
    for information in informations:
        for avp in information.children():
            if avp.vendor_id:
                if avp.code != codes.PS_INFORMATION or avp.vendor_id != VENDOR_3GPP:
                    return None
            elif avp.code == codes.SUBSCRIPTION_ID:
                ids.append(avp)
            else:
                return None
    return ids


def read_request(message: Message, rules: Rules, peer_rule: PeerRule) -> Reading:
    """One pass over the AVPs of the command, groups opened where they matter."""
    one = message.firsts()
    groups: list[Avp] = []
    used: list[Avp] = []
    ids: list[Avp] = []
    informations: list[Avp] = []
    advice = 0
    for avp in message.avps:
        code = avp.code
        if code not in _SEVERAL:
            continue
        if avp.vendor_id:
            if code == codes.SERVICE_INFORMATION and avp.vendor_id == VENDOR_3GPP:
                informations.append(avp)
            elif code == codes.AOC_REQUEST_TYPE and avp.vendor_id == VENDOR_3GPP:
                advice = int.from_bytes(avp.data)
        elif code == codes.MULTIPLE_SERVICES_CREDIT_CONTROL:
            groups.append(avp)
        elif code == codes.USED_SERVICE_UNIT:
            used.append(avp)
        elif code in (codes.SUBSCRIPTION_ID, codes.SUBSCRIPTION_ID_EXTENSION):
            ids.append(avp)
    request_type = _request_type(one)
    policies = _policies(one, rules)
    attributes: Sequence[tuple[str, str]]
    called: tuple[str, ...] = ()
    count, terminating = 1, False
    bearer_ids = None
    if request_type in _LATER and policies[0].name in rules.plain:
        bearer_ids = _bearer_ids(informations)
    if bearer_ids is None:
        service = _described(message.avps)
        described = service.attributes
        policy = _chosen(policies, described, one)
        context = rules.contexts[policy.name]
        called = service.called(context.called)
        count = _count(described.get(context.count, ""))
        terminating = any(described.get(name) == value for name, value in context.terminating)
        attributes = service.described(called[0] if len(called) == 1 else "")
    else:
        service = _ended(one, bearer_ids)
        policy = policies[0]
        attributes = Described(message.avps)
    sub_session_id = one.get(codes.CC_SUB_SESSION_ID)
    event_at = one.get(codes.EVENT_TIMESTAMP)
    action = _action(one) if request_type is RequestType.EVENT else None
    refund_of, refund_number = _refunded(message, groups) if action is RequestedAction.REFUND_ACCOUNT else ("", None)
    request = ChargingRequest(
        session_id=_session_id(_required(one, codes.SESSION_ID)),
        type=request_type,
        number=unpack_unsigned32(_required(one, codes.CC_REQUEST_NUMBER)),
        service=policy.name,
        origin_host=unpack_utf8_string(_required(one, codes.ORIGIN_HOST)),
        sub_session_id=None if sub_session_id is None else unpack_unsigned64(sub_session_id),
        subscriber=read_subscriber(ids, service.ids, one.get(codes.USER_NAME), rules.order),
        action=action,
        called=called[0] if called else "",
        more_called=called[1:],
        count=count,
        terminating=terminating,
        groups=_named(_groups(groups, one, used, request_type), policy, service.attributes),
        command_level=not groups,
        refuse_in_group=peer_rule.refusals is Refusals.MSCC,
        grant_unasked=peer_rule.grant_without_rsu,
        event_at_ns=None if event_at is None else unpack_time(event_at) * NS_PER_S,
        attributes=attributes,
        refund_of=refund_of,
        refund_number=refund_number,
        advice=advice,
        asked_at_ns=service.asked_at_ns,
        answered_at_ns=service.answered_at_ns,
        ending=tuple([pair for pair in service.attributes.items() if pair[0] in _ENDING]),
    )
    return Reading(request, service.ignored_avps)


def document_number(context: str) -> str:
    """The document number of a Service-Context-Id: "ext.01.001.8.32260@3gpp.org" -> "32260" (TS 32.299 7.1.12)."""
    return context.partition("@")[0].rpartition(".")[2].strip().lower()


def _policies(one: Mapping[int, Avp], rules: Rules) -> tuple[ServicePolicy, ...]:
    """The services that the Service-Context-Id leads to; 5031 with that AVP where there is none (RFC 8506 9.2)."""
    avp = _required(one, codes.SERVICE_CONTEXT_ID)
    context = unpack_utf8_string(avp)
    return rules.services.get(document_number(context)) or rules.services.get(context.lower()) or _no_service(avp)


def _chosen(
    policies: tuple[ServicePolicy, ...], attributes: Mapping[str, str], one: Mapping[int, Avp]
) -> ServicePolicy:
    """The first service that takes a request with these attributes; 5031 where none does."""
    for policy in policies:
        if all(attributes.get(name) in values for name, values in policy.only):
            return policy
    return _no_service(one[codes.SERVICE_CONTEXT_ID])


def _no_service(avp: Avp) -> NoReturn:
    raise PeerError(ResultCode.RATING_FAILED, avp.encode(), f"no service has the context {unpack_utf8_string(avp)!r}")


def _named(
    groups: tuple[GroupRequest, ...], policy: ServicePolicy, attributes: Mapping[str, str]
) -> tuple[GroupRequest, ...]:
    """The groups, with the rating group that the service's attributes lead to where the client names none."""
    if not policy.rating_group_from or all(group.rating_group is not None for group in groups):
        return groups
    for name, value, rating_group in policy.rating_group_from:
        if value in attributes.get(name, "").split(","):
            return tuple(
                [
                    msgspec.structs.replace(group, rated_as=rating_group) if group.rating_group is None else group
                    for group in groups
                ]
            )
    return groups


def _count(text: str) -> int:
    """How many units an event is of that names none."""
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _request_type(one: Mapping[int, Avp]) -> RequestType:
    avp = _required(one, codes.CC_REQUEST_TYPE)
    request_type = _REQUEST_TYPES.get(unpack_unsigned32(avp))
    if request_type is None:
        raise wrong_value(avp, "no CC-Request-Type")
    return request_type


def _action(one: Mapping[int, Avp]) -> RequestedAction:
    """Requested-Action of an event; some clients send one with sessions, where it means nothing (RFC 8506 8.41)."""
    avp = _required(one, codes.REQUESTED_ACTION)
    action = _ACTIONS.get(unpack_unsigned32(avp))
    if action is None:
        raise wrong_value(avp, "no Requested-Action")
    return action


def _refunded(message: Message, groups: list[Avp]) -> tuple[str, int | None]:
    """(session, number) of the event that a refund is of, by Refund-Information in the command or in a group of it."""
    avps = [*message.avps, *(avp for mscc in groups for avp in mscc.children())]
    for avp in avps:
        if avp.code == codes.REFUND_INFORMATION and avp.vendor_id == VENDOR_3GPP:
            named = refunded.named_by(avp.data)
            if named is None:
                raise wrong_value(avp, "a Refund-Information that was not given out here")
            return named
    return "", None


def _session_id(avp: Avp) -> str:
    text = unpack_utf8_string(avp)
    if "\0" in text:
        raise wrong_value(avp, "a Session-Id that is no text")
    return text


def _groups(
    groups: list[Avp], one: Mapping[int, Avp], used: list[Avp], request_type: RequestType
) -> tuple[GroupRequest, ...]:
    """The units asked for and reported: in Multiple-Services-Credit-Control, else those of the command.

    A session's request without any units has no groups; an EVENT always has one, since something happened.
    """
    if groups:
        if len(groups) > GROUPS_PER_REQUEST_MAX:
            raise PeerError(
                ResultCode.AVP_OCCURS_TOO_MANY_TIMES,
                groups[GROUPS_PER_REQUEST_MAX].encode(),
                f"{len(groups)} Multiple-Services-Credit-Control in one request",
                "groups_per_request",
            )
        return tuple([read_group(avp) for avp in groups])
    requested = one.get(codes.REQUESTED_SERVICE_UNIT)
    if requested is None and not used and request_type is not RequestType.EVENT:
        return ()
    service_id = one.get(codes.SERVICE_IDENTIFIER)
    return (read_command_units(requested, used, None if service_id is None else unpack_unsigned32(service_id)),)


def _required(one: Mapping[int, Avp], code: int) -> Avp:
    """An AVP that must be there: 5005 with an example of four zeros, the size of most, where it is not."""
    avp = one.get(code)
    if avp is None:
        raise PeerError(ResultCode.MISSING_AVP, encode_avp(code, bytes(4)), f"AVP {code} is missing")
    return avp
