"""Which AVPs a command must have, may have once, or may not have: the grammars of RFC 6733 and RFC 8506 as tables.

A message is read in one pass. An AVP without a row in its command's table is accepted when the dictionary knows it or
when its M bit is clear (what clients send beyond the grammar is understood, not acted on), else refused with 5001.
Service-Information and Proxy-Info are not opened: gateways put AVPs of their own with the M bit into the former, the
latter belongs to whoever added it. `strict` opens everything but Proxy-Info.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from ocs.diameter.dictionary import BY_KEY, BY_NAME, name_of
from ocs.diameter.errors import PeerError
from ocs.diameter.result_codes import ResultCode, is_success
from ocs.diameter.subscription_id import usual
from ocs.diameter.types import (
    FIXED_OCTETS,
    MINIMUM_OCTETS,
    UNPACK,
    AvpType,
    unpack_diameter_identity,
    unpack_unsigned32,
    unpack_utf8_string,
    wrong_length,
    wrong_value,
)
from ocs.diameter.wire import AVP_FLAG_MANDATORY, Avp, Message, encode_avp
from ocs.limits import GROUPS_PER_REQUEST_MAX, SESSION_ID_OCTETS_MAX, USAGE_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

_Check = Callable[[Avp], object]

_EVENT_REQUEST: Final = 4

# Base protocol and credit control: the command's logic depends on these, so a number outside the enumeration is 5004.
_ENUMERATIONS_HELD: Final = frozenset({
    "CC-Request-Type",
    "CC-Unit-Type",
    "Disconnect-Cause",
    "Multiple-Services-Indicator",
    "Re-Auth-Request-Type",
    "Tariff-Change-Usage",
})  # fmt: skip


_Passes = Callable[[bytes], bool]

Rule = tuple[int, int, int, _Passes | None, _Check | None]
"""What holds for one AVP in one place: (bit, once_bit, octets, passes, check), a plain tuple: it is read for each AVP.

`bit` marks it as seen; `once_bit` is the same bit where a second one is too many, else 0; `octets` is the length of its
data where the type has one, else 0; `check` looks at the value, which is not needed where `passes` says so of its data:
it knows the usual ones at once, and says nothing of others.
"""


class Grammar(NamedTuple):
    """The rules of one command or group, by (code, vendor), and the bits of those that must be there.

    plain: the rules of the AVPs that belong to no vendor, by code.
    """

    rules: dict[tuple[int, int], Rule]
    required: int
    plain: dict[int, Rule]

    def bit(self, name: str) -> int:
        """The bit that says that AVP `name` was seen."""
        definition = BY_NAME[name]
        return self.rules[definition.code, definition.vendor_id][0]


def _grammar(
    required: str = "",
    once: str = "",
    many: str = "",
    refused: str = "",
    required_many: str = "",
    checks: Mapping[str, _Check] | None = None,
) -> Grammar:
    """A grammar from names, separated by spaces: `{required} [once] *[many] 1*{required_many}`, and `refused` ones."""
    rules: dict[tuple[int, int], Rule] = {}
    required_bits = 0
    kinds = ((required, True, True), (once, False, True), (many, False, False), (required_many, True, False))
    for names, is_required, is_single in kinds:
        for name in names.split():
            definition = BY_NAME[name]
            bit = 1 << len(rules)
            check = checks[name] if checks and name in checks else _check_of(name, definition.type)
            octets = FIXED_OCTETS.get(definition.type, 0)
            passes = _PASSES.get(check) if name not in _ENUMERATIONS_HELD else _usual_number(name)
            rules[definition.code, definition.vendor_id] = (bit, bit if is_single else 0, octets, passes, check)
            required_bits |= bit if is_required else 0
    for name in refused.split():
        definition = BY_NAME[name]
        rules[definition.code, definition.vendor_id] = (0, 0, 0, None, _refuse)
    return Grammar(rules, required_bits, {code: rule for (code, vendor_id), rule in rules.items() if not vendor_id})


def _check_of(name: str, avp_type: AvpType) -> _Check | None:
    if name in _ENUMERATIONS_HELD:
        return _one_of(name)
    if avp_type in FIXED_OCTETS or avp_type in {AvpType.OCTET_STRING, AvpType.GROUPED}:
        return None
    return UNPACK[avp_type]


def _numbers(name: str) -> frozenset[bytes]:
    values = BY_NAME[name].values
    assert values, name
    return frozenset(value.to_bytes(4) for value in values)


def _usual_number(name: str) -> _Passes:
    return _numbers(name).__contains__


def _one_of(name: str) -> _Check:
    accepted = _numbers(name)

    def check(avp: Avp) -> None:
        if avp.data not in accepted:
            raise wrong_value(avp, f"{unpack_unsigned32(avp)} is no {name}")

    return check


def _group(grammar: Grammar) -> _Check:
    def check(avp: Avp) -> None:
        children = avp.children()
        try:
            _check(children, grammar)
        except PeerError as error:
            raise error.within(avp) from None

    return check


def _refuse(avp: Avp) -> None:
    raise PeerError(ResultCode.AVP_NOT_ALLOWED, avp.encode(), f"{name_of(avp)} has no place in this message")


def _check_session_id(avp: Avp) -> None:
    if not avp.data:
        raise wrong_value(avp, "an empty Session-Id")
    if len(avp.data) > SESSION_ID_OCTETS_MAX:
        error = wrong_value(avp, f"a Session-Id of {len(avp.data)} octets")
        error.limit = "session_id_octets"
        raise error
    if not avp.data.isascii():
        unpack_utf8_string(avp)


def _check_usage(avp: Avp) -> None:
    if int.from_bytes(avp.data) > USAGE_MAX:
        error = wrong_value(avp, "more usage than can be counted")
        error.limit = "usage"
        raise error


_PASSES: Final[dict[_Check | None, _Passes]] = {
    unpack_utf8_string: bytes.isascii,
    unpack_diameter_identity: bytes.isascii,
    _check_usage: USAGE_MAX.to_bytes(8).__ge__,
}
"""By check: what is sure to pass it, of data that is not empty and of the right length."""


# Groups

_UNIT_VALUE: Final = _grammar(required="Value-Digits", once="Exponent")

_CC_MONEY: Final = _grammar(required="Unit-Value", once="Currency-Code", checks={"Unit-Value": _group(_UNIT_VALUE)})

_UNITS: Final = _grammar(
    once="CC-Time CC-Money CC-Total-Octets CC-Input-Octets CC-Output-Octets CC-Service-Specific-Units"
    " Tariff-Change-Usage Tariff-Time-Change",
    many="Reporting-Reason Event-Charging-TimeStamp",
    checks={
        "CC-Money": _group(_CC_MONEY),
        "CC-Total-Octets": _check_usage,
        "CC-Input-Octets": _check_usage,
        "CC-Output-Octets": _check_usage,
        "CC-Service-Specific-Units": _check_usage,
    },
)

_POOL_REFERENCE: Final = _grammar(
    required="G-S-U-Pool-Identifier CC-Unit-Type Unit-Value", checks={"Unit-Value": _group(_UNIT_VALUE)}
)

_MULTIPLE_SERVICES: Final = _grammar(
    once="Granted-Service-Unit Requested-Service-Unit Tariff-Change-Usage Rating-Group Validity-Time Result-Code"
    " Final-Unit-Indication",
    many="Used-Service-Unit Service-Identifier G-S-U-Pool-Reference Reporting-Reason",
    checks={
        "Granted-Service-Unit": _group(_UNITS),
        "Requested-Service-Unit": _group(_UNITS),
        "Used-Service-Unit": _group(_UNITS),
        "G-S-U-Pool-Reference": _group(_POOL_REFERENCE),
    },
)

_SUBSCRIPTION_ID: Final = _grammar(required="Subscription-Id-Type Subscription-Id-Data")

_check_subscription: Final = _group(_SUBSCRIPTION_ID)
_PASSES[_check_subscription] = lambda data: usual(data) is not None

_VENDOR_APPLICATION: Final = _grammar(required_many="Vendor-Id", once="Auth-Application-Id Acct-Application-Id")

_CHECKS: Final[dict[str, _Check]] = {
    "Session-Id": _check_session_id,
    "Vendor-Specific-Application-Id": _group(_VENDOR_APPLICATION),
    "Subscription-Id": _check_subscription,
    "Requested-Service-Unit": _group(_UNITS),
    "Used-Service-Unit": _group(_UNITS),
    "Granted-Service-Unit": _group(_UNITS),
    "Multiple-Services-Credit-Control": _group(_MULTIPLE_SERVICES),
}

# Requests

_REFUSED: Final = "Result-Code Experimental-Result Failed-AVP Error-Message Error-Reporting-Host"
_ON_THE_WAY: Final = "Proxy-Info Route-Record"

_CREDIT_CONTROL: Final = _grammar(  # RFC 8506 3.1
    required="Session-Id Origin-Host Origin-Realm Destination-Realm Service-Context-Id CC-Request-Type"
    " CC-Request-Number",
    once="Auth-Application-Id Destination-Host User-Name CC-Sub-Session-Id Acct-Multi-Session-Id Origin-State-Id"
    " Event-Timestamp Service-Identifier Termination-Cause Requested-Service-Unit Requested-Action"
    " Multiple-Services-Indicator CC-Correlation-Id User-Equipment-Info User-Equipment-Info-Extension"
    " Service-Information AoC-Request-Type",
    many="Vendor-Specific-Application-Id Subscription-Id Subscription-Id-Extension Used-Service-Unit"
    f" Multiple-Services-Credit-Control Service-Parameter-Info {_ON_THE_WAY}",
    refused=_REFUSED,
    checks=_CHECKS,
)

REQUESTS: Final[dict[int, Grammar]] = {
    257: _grammar(  # RFC 6733 5.3.1
        required="Origin-Host Origin-Realm Vendor-Id Product-Name",
        required_many="Host-IP-Address",
        once="Origin-State-Id Firmware-Revision",
        many="Supported-Vendor-Id Auth-Application-Id Inband-Security-Id Acct-Application-Id"
        " Vendor-Specific-Application-Id",
        refused=_REFUSED,
        checks=_CHECKS,
    ),
    280: _grammar(  # RFC 6733 5.5.1
        required="Origin-Host Origin-Realm", once="Origin-State-Id", refused=_REFUSED
    ),
    282: _grammar(  # RFC 6733 5.4.1
        required="Origin-Host Origin-Realm Disconnect-Cause", refused=_REFUSED
    ),
    258: _grammar(  # RFC 6733 8.3.1, RFC 8506 5.5
        required="Session-Id Origin-Host Origin-Realm Destination-Realm Destination-Host Auth-Application-Id"
        " Re-Auth-Request-Type",
        once="User-Name Origin-State-Id CC-Sub-Session-Id G-S-U-Pool-Identifier Service-Identifier Rating-Group",
        many=_ON_THE_WAY,
        refused=_REFUSED,
        checks=_CHECKS,
    ),
    272: _CREDIT_CONTROL,
    274: _grammar(  # RFC 6733 8.5.1
        required="Session-Id Origin-Host Origin-Realm Destination-Realm Destination-Host Auth-Application-Id",
        once="User-Name Origin-State-Id",
        many=_ON_THE_WAY,
        refused=_REFUSED,
        checks=_CHECKS,
    ),
    275: _grammar(  # RFC 6733 8.4.1
        required="Session-Id Origin-Host Origin-Realm Destination-Realm Auth-Application-Id Termination-Cause",
        once="User-Name Destination-Host Origin-State-Id",
        many=f"Class {_ON_THE_WAY}",
        refused=_REFUSED,
        checks=_CHECKS,
    ),
}
"""Grammars of requests by command code. A command that is not here is not looked at."""

# Answers

_ORIGIN: Final = "Origin-Host Origin-Realm"
_FAILURE: Final = "Error-Message Error-Reporting-Host Experimental-Result"
_IN_SESSION: Final = (
    "User-Name Origin-State-Id Redirect-Host-Usage Redirect-Max-Cache-Time Error-Message Error-Reporting-Host"
    " Result-Code Experimental-Result"
)

ANSWERS: Final[dict[int, Grammar]] = {
    257: _grammar(  # RFC 6733 5.3.2
        required=f"Result-Code {_ORIGIN} Vendor-Id Product-Name",
        required_many="Host-IP-Address",
        once=f"Origin-State-Id Firmware-Revision {_FAILURE}",
        many="Supported-Vendor-Id Auth-Application-Id Inband-Security-Id Acct-Application-Id"
        " Vendor-Specific-Application-Id Failed-AVP",
        checks=_CHECKS,
    ),
    280: _grammar(required=f"Result-Code {_ORIGIN}", once=f"Origin-State-Id {_FAILURE}", many="Failed-AVP"),
    282: _grammar(required=f"Result-Code {_ORIGIN}", once=_FAILURE, many="Failed-AVP"),
    258: _grammar(
        required=f"Session-Id {_ORIGIN}", once=_IN_SESSION, many="Failed-AVP Redirect-Host Proxy-Info", checks=_CHECKS
    ),
    272: _grammar(  # RFC 8506 3.2
        required=f"Session-Id {_ORIGIN} CC-Request-Type CC-Request-Number",
        once=f"{_IN_SESSION} Auth-Application-Id CC-Session-Failover CC-Sub-Session-Id Granted-Service-Unit"
        " Cost-Information Final-Unit-Indication Check-Balance-Result Credit-Control-Failure-Handling"
        " Direct-Debiting-Failure-Handling Validity-Time",
        many="Multiple-Services-Credit-Control Failed-AVP Redirect-Host Route-Record Proxy-Info",
        checks=_CHECKS,
    ),
    274: _grammar(
        required=f"Session-Id {_ORIGIN}", once=_IN_SESSION, many="Failed-AVP Redirect-Host Proxy-Info", checks=_CHECKS
    ),
    275: _grammar(
        required=f"Session-Id {_ORIGIN}",
        once=_IN_SESSION,
        many="Class Failed-AVP Redirect-Host Proxy-Info",
        checks=_CHECKS,
    ),
}
"""Grammars of answers that say success, by command code."""

_ANY_ANSWER: Final = (
    _grammar(  # RFC 6733 7.2: what every answer has, and the only thing an answer with an error must have
        required=_ORIGIN,
        once="Session-Id Result-Code Experimental-Result",
        many="Failed-AVP Proxy-Info",
        checks=_CHECKS,
    )
)

_AUTH_APPLICATION_BIT: Final = _CREDIT_CONTROL.bit("Auth-Application-Id")
_VENDOR_APPLICATION_BIT: Final = _CREDIT_CONTROL.bit("Vendor-Specific-Application-Id")
_REQUESTED_ACTION_BIT: Final = _CREDIT_CONTROL.bit("Requested-Action")
_RESULT_CODE_BIT: Final = _ANY_ANSWER.bit("Result-Code")
_EXPERIMENTAL_RESULT_BIT: Final = _ANY_ANSWER.bit("Experimental-Result")
_check_requested_action: Final = _one_of("Requested-Action")


def check_request(message: Message, strict: bool = False) -> None:
    """Hold a request to its command's grammar.

    Raises PeerError with the Failed-AVP to send: 5001 (unknown AVP with the M bit), 5004 (a value), 5005 (a missing
    AVP, shown with zeros), 5007 (two that contradict each other), 5008 (not allowed), 5009 (the first one too many) or
    5014 (a length). An offender inside a group comes wrapped in its groups. Reserved bits never matter.
    """
    grammar = REQUESTS.get(message.command_code)
    if grammar is None:
        return
    seen = _check(message.avps, grammar)
    if grammar is _CREDIT_CONTROL:
        _check_credit_control(message, seen)
    if strict:
        _check_deeply(message.avps, 0)


def check_answer(message: Message) -> None:
    """Hold an answer to its command's grammar, or to the generic one where it tells of an error (RFC 6733 7.2).

    Raises PeerError as `check_request` does; there is nobody to answer it to.
    """
    grammar = ANSWERS.get(message.command_code, _ANY_ANSWER)
    seen = _check(message.avps, _ANY_ANSWER)
    if not seen & (_RESULT_CODE_BIT | _EXPERIMENTAL_RESULT_BIT):
        raise _missing("Result-Code")
    result = message.find(268)
    if result is not None and is_success(unpack_unsigned32(result)) and not message.is_error:
        _check(message.avps, grammar)


def _check(avps: list[Avp], grammar: Grammar) -> int:
    """One pass over the AVPs of a message or group; what comes back are the bits of those seen."""
    rules = grammar.rules
    plain = grammar.plain
    seen = 0
    for avp in avps:
        rule = rules.get((avp.code, avp.vendor_id)) if avp.vendor_id else plain.get(avp.code)
        if rule is None:
            if avp.flags & AVP_FLAG_MANDATORY and (avp.code, avp.vendor_id) not in BY_KEY:
                raise _unknown(avp)
            continue
        bit, once_bit, octets, passes, check = rule
        if seen & once_bit:
            _check_repeated(avp, avps)
        seen |= bit
        if octets and len(avp.data) != octets:
            raise wrong_length(avp)
        if check is not None and (passes is None or not avp.data or not passes(avp.data)):
            check(avp)
    absent = grammar.required & ~seen
    if absent:
        key = next(key for key, rule in rules.items() if rule[0] & absent)
        raise _missing(BY_KEY[key].name)
    return seen


def _check_credit_control(message: Message, seen: int) -> None:
    """What RFC 8506 3.1 and 8.41 ask beyond the table; Auth-Application-Id may stand in a vendor's application."""
    if not seen & _AUTH_APPLICATION_BIT:
        if not seen & _VENDOR_APPLICATION_BIT:
            raise _missing("Auth-Application-Id")
    elif seen & _VENDOR_APPLICATION_BIT:
        _check_applications(message)
    request_type = message.find(416)
    if request_type is not None and request_type.data[3] == _EVENT_REQUEST:
        action = message.find(436)
        if action is None:
            raise _missing("Requested-Action")
        _check_requested_action(action)
    if len(message.avps) > GROUPS_PER_REQUEST_MAX:
        groups = message.find_all(456)
        if len(groups) > GROUPS_PER_REQUEST_MAX:
            raise PeerError(
                ResultCode.AVP_OCCURS_TOO_MANY_TIMES,
                groups[GROUPS_PER_REQUEST_MAX].encode(),
                f"{len(groups)} Multiple-Services-Credit-Control in one request",
                "groups_per_request",
            )


def _check_applications(message: Message) -> None:
    """The application at the top and in Vendor-Specific-Application-Id must be one and the same."""
    top = message.find(258)
    assert top is not None
    for group in message.find_all(260):
        for inner in group.children():
            if inner.code == 258 and inner.vendor_id == 0 and inner.data != top.data:
                both = top.encode() + group.around(inner.encode())
                raise PeerError(ResultCode.CONTRADICTING_AVPS, both, "two different values of Auth-Application-Id")


def _check_deeply(avps: list[Avp], depth: int) -> None:
    """Every AVP in every group is known or may be ignored, and reads as its type."""
    for avp in avps:
        definition = BY_KEY.get((avp.code, avp.vendor_id))
        if definition is None:
            if avp.flags & AVP_FLAG_MANDATORY:
                raise _unknown(avp)
        elif definition.type is not AvpType.GROUPED:
            UNPACK[definition.type](avp)
        elif definition.name != "Proxy-Info":
            children = avp.children(depth + 1)
            try:
                _check_deeply(children, depth + 1)
            except PeerError as error:
                raise error.within(avp) from None


def _check_repeated(avp: Avp, avps: list[Avp]) -> None:
    """Only Origin-Host and Origin-Realm may come again, with the same name: Kamailio sends both twice."""
    if avp.vendor_id == 0 and avp.code in {264, 296}:
        first = next(other for other in avps if other.code == avp.code and other.vendor_id == 0)
        if first.data.lower() == avp.data.lower():
            return
    raise PeerError(ResultCode.AVP_OCCURS_TOO_MANY_TIMES, avp.encode(), f"{name_of(avp)} more than once")


def _unknown(avp: Avp) -> PeerError:
    return PeerError(ResultCode.AVP_UNSUPPORTED, avp.encode(), f"{name_of(avp)} is not known and has the M bit")


def _missing(name: str) -> PeerError:
    """5005 with an example: the code, and the least data of the type in zeros (RFC 6733 7.1.5)."""
    definition = BY_NAME[name]
    example = encode_avp(
        definition.code,
        bytes(MINIMUM_OCTETS.get(definition.type, 0)),
        definition.vendor_id,
        definition.mandatory,
    )
    return PeerError(ResultCode.MISSING_AVP, example, f"{name} is missing")
