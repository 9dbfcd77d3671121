"""From a ChargingAnswer to a Credit-Control-Answer (RFC 8506 3.2).

    render(message, request, answer, style, origin) -> content: every AVP of the answer but Proxy-Info
    frame(content, message) -> octets to send

Content is what is stored with the charge. A repeat gets it to the byte, framed with its own Hop-by-Hop and End-to-End
identifiers, P bit and Proxy-Info. AVPs of 3GPP are sent without the M bit: clients need not know them.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

import msgspec

from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, FinalUnit, GroupAnswer, RequestType, Result
from ocs.diameter.applications import codes
from ocs.diameter.applications.answer_terms import Terms, command_terms, cost_information, make_terms, vendor
from ocs.diameter.base_answers import Origin, answer_bytes, answer_head, answer_tail
from ocs.diameter.types import (
    pack_address,
    pack_enumerated,
    pack_time,
    pack_unsigned32,
    pack_utf8_string,
    unpack_unsigned32,
)
from ocs.diameter.wire import AVP_FLAG_MANDATORY, Message, decode_avps, encode_avp
from ocs.rating.units import MEASURE_OF_KIND, NS_PER_S, Measure

_APPLICATION: Final = encode_avp(258, pack_unsigned32(4))
_REQUEST_TYPES: Final = {kind: encode_avp(codes.CC_REQUEST_TYPE, pack_enumerated(kind)) for kind in RequestType}
_RESULTS: Final = {result: encode_avp(codes.RESULT_CODE, pack_unsigned32(result)) for result in Result}

_ENOUGH_CREDIT: Final = encode_avp(codes.CHECK_BALANCE_RESULT, pack_enumerated(0))
_NO_CREDIT: Final = encode_avp(codes.CHECK_BALANCE_RESULT, pack_enumerated(1))

_CC_TIME_MAX: Final = 2**32 - 1

_MANDATORY: Final = AVP_FLAG_MANDATORY << 24
_U32: Final = struct.Struct("!III").pack  # code, flags and length 12, value
_U64: Final = struct.Struct("!IIQ").pack  # code, flags and length 16, value
_U32_HEAD: Final = _MANDATORY | 12
_U64_HEAD: Final = _MANDATORY | 16
_GROUP_HEAD: Final = struct.Struct("!II").pack


class Style(msgspec.Struct, frozen=True):
    """What a service's answers have besides the decision, encoded.

    session: CC-Session-Failover and Credit-Control-Failure-Handling; event: Direct-Debiting-Failure-Handling.
    terms: what is told of quotas, cost and balance.
    """

    session: bytes
    event: bytes
    terms: Terms


def make_style(policy: ServicePolicy) -> Style:
    """The Style of a service."""
    return Style(
        encode_avp(codes.CC_SESSION_FAILOVER, pack_enumerated(int(policy.session_failover)))
        + encode_avp(codes.CREDIT_CONTROL_FAILURE_HANDLING, pack_enumerated(policy.failure_handling)),
        encode_avp(codes.DIRECT_DEBITING_FAILURE_HANDLING, pack_enumerated(policy.direct_debiting_failure_handling)),
        make_terms(policy, MEASURE_OF_KIND[policy.kind]),
    )


def frame(content: bytes, message: Message) -> bytes:
    """The whole answer to `message` with that content."""
    return answer_bytes(message, content + answer_tail(message))


def render(message: Message, request: ChargingRequest, answer: ChargingAnswer, style: Style, origin: Origin) -> bytes:
    """The content of the answer to `message`, which was read as `request`."""
    result = _command_result(request, answer)
    parts = [
        answer_head(message, result, origin),
        _APPLICATION,
        _REQUEST_TYPES[request.type],
        _U32(codes.CC_REQUEST_NUMBER, _U32_HEAD, request.number),
    ]
    if request.sub_session_id is not None:
        parts.append(_U64(codes.CC_SUB_SESSION_ID, _U64_HEAD, request.sub_session_id))
    if request.type is RequestType.EVENT:
        parts.append(style.event)
    elif request.type is not RequestType.TERMINATION:
        parts.append(style.session)
    more = vendor(codes.REFUND_INFORMATION, answer.refund_information) if answer.refund_information else b""
    if request.command_level:
        parts.extend(_units(group) for group in answer.groups[:1])
        parts.append(more)
    else:
        terms = style.terms
        parts.extend(
            [
                _mscc(group, (more if group.result is Result.SUCCESS else b"") + terms.of(group, message))
                for group in answer.groups
            ]
        )
    if answer.enough_credit is not None:
        parts.append(_ENOUGH_CREDIT if answer.enough_credit else _NO_CREDIT)
    if answer.cost_nanos is not None:
        parts.append(cost_information(answer.cost_nanos, answer.currency))
    parts.append(command_terms(style.terms.answers, request, answer))
    if result is Result.RATING_FAILED:
        parts.append(_failed_avp(message, request, answer))
    return b"".join(parts)


def shown_result(request: ChargingRequest, answer: ChargingAnswer) -> int:
    """The Result-Code at command level."""
    return int(_command_result(request, answer))


def result_of(content: bytes) -> int:
    """The Result-Code at command level of a stored content."""
    return next((unpack_unsigned32(avp) for avp in decode_avps(content) if avp.code == codes.RESULT_CODE), 0)


def _command_result(request: ChargingRequest, answer: ChargingAnswer) -> Result:
    """A client that sent no Multiple-Services-Credit-Control finds the result of its units at command level."""
    if request.command_level and answer.groups and answer.result is Result.SUCCESS:
        return answer.groups[0].result
    return answer.result


def _mscc(group: GroupAnswer, more: bytes = b"") -> bytes:
    """Multiple-Services-Credit-Control (RFC 8506 8.16): always with a Result-Code, with the ids that were sent."""
    ids = b""
    if group.service_id is not None:
        ids = _U32(codes.SERVICE_IDENTIFIER, _U32_HEAD, group.service_id)
    if group.rating_group is not None:
        ids += _U32(codes.RATING_GROUP, _U32_HEAD, group.rating_group)
    data = b"".join((_granted(group), ids, _RESULTS[group.result], _limits(group), more))
    return _GROUP_HEAD(codes.MULTIPLE_SERVICES_CREDIT_CONTROL, _MANDATORY | (len(data) + 8)) + data


def _units(group: GroupAnswer) -> bytes:
    """The same at command level, where the ids and the result are those of the command."""
    return _granted(group) + _limits(group)


def _granted(group: GroupAnswer) -> bytes:
    """Granted-Service-Unit in the measure of the group; time in whole seconds, but never 0 for what was granted."""
    amount = group.granted
    if amount is None:
        return b""
    if group.measure is Measure.TIME:
        seconds = min(max(amount // NS_PER_S, 1), _CC_TIME_MAX) if amount else 0
        units = _U32(codes.CC_TIME, _U32_HEAD, seconds)
    else:
        code = codes.CC_TOTAL_OCTETS if group.measure is Measure.OCTETS else codes.CC_SERVICE_SPECIFIC_UNITS
        units = _U64(code, _U64_HEAD, amount)
    if group.tariff_change_at_ns is not None:
        units = encode_avp(codes.TARIFF_TIME_CHANGE, pack_time(group.tariff_change_at_ns // NS_PER_S)) + units
    return _GROUP_HEAD(codes.GRANTED_SERVICE_UNIT, _MANDATORY | (len(units) + 8)) + units


def _limits(group: GroupAnswer) -> bytes:
    """Validity-Time and Final-Unit-Indication, where there are any."""
    limits = b""
    if group.validity_time_s is not None:
        limits = _U32(codes.VALIDITY_TIME, _U32_HEAD, group.validity_time_s)
    if group.final_unit is not None:
        limits += final_unit_avp(group.final_unit)
    return limits


@lru_cache(maxsize=256)
def final_unit_avp(final_unit: FinalUnit) -> bytes:
    """Final-Unit-Indication (RFC 8506 8.34), or QoS-Final-Unit-Indication (8.68), which has no M bit."""
    data = encode_avp(codes.FINAL_UNIT_ACTION, pack_enumerated(final_unit.action))
    data += b"".join(
        encode_avp(codes.RESTRICTION_FILTER_RULE, pack_utf8_string(rule)) for rule in final_unit.filter_rules
    )
    data += b"".join(encode_avp(codes.FILTER_ID, pack_utf8_string(name)) for name in final_unit.filter_ids)
    if final_unit.extended:
        data += _redirect_extension(final_unit.redirect_to)
        return encode_avp(codes.QOS_FINAL_UNIT_INDICATION, data, mandatory=False)
    if final_unit.redirect_to:
        server = encode_avp(
            codes.REDIRECT_ADDRESS_TYPE, pack_enumerated(redirect_address_type(final_unit.redirect_to))
        ) + encode_avp(codes.REDIRECT_SERVER_ADDRESS, pack_utf8_string(final_unit.redirect_to))
        data += encode_avp(codes.REDIRECT_SERVER, server)
    return encode_avp(codes.FINAL_UNIT_INDICATION, data)


def _redirect_extension(address: str) -> bytes:
    """Redirect-Server-Extension (RFC 8506 8.64)."""
    if not address:
        return b""
    kind = redirect_address_type(address)
    if kind in (0, 1):
        inside = encode_avp(codes.REDIRECT_ADDRESS_IP, pack_address(ip_address(address)), mandatory=False)
    else:
        code = codes.REDIRECT_ADDRESS_URL if kind == 2 else codes.REDIRECT_ADDRESS_SIP_URI
        inside = encode_avp(code, pack_utf8_string(address), mandatory=False)
    return encode_avp(codes.REDIRECT_SERVER_EXTENSION, inside, mandatory=False)


def redirect_address_type(address: str) -> int:
    """Redirect-Address-Type by the form of the address: IPv4 0, IPv6 1, URL 2, SIP URI 3 (RFC 8506 8.38)."""
    if address.lower().startswith(("sip:", "sips:")):
        return 3
    try:
        return 0 if ip_address(address).version == 4 else 1
    except ValueError:
        return 2


def _failed_avp(message: Message, request: ChargingRequest, answer: ChargingAnswer) -> bytes:
    """What could not be rated (RFC 8506 9.2): the Rating-Group within its group, else the Service-Context-Id."""
    failed = b""
    for group in answer.groups:
        if group.result is Result.RATING_FAILED and group.rating_group is not None and not request.command_level:
            rating_group = _U32(codes.RATING_GROUP, _U32_HEAD, group.rating_group)
            failed = encode_avp(codes.MULTIPLE_SERVICES_CREDIT_CONTROL, rating_group)
            break
    else:
        context = message.find(codes.SERVICE_CONTEXT_ID)
        failed = b"" if context is None else context.encode()
    return encode_avp(codes.FAILED_AVP, failed) if failed else b""
