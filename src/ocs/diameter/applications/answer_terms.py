"""What an answer tells besides its decision: terms of quotas, cost, balance (TS 32.299 6.4.3, RFC 8506 8.7).

AVPs of 3GPP are sent without the M bit, so that a client that does not know one may pass it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ocs.charging.policy import Answers, QuotaTerms, ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupAnswer
from ocs.diameter.applications import codes
from ocs.diameter.applications.currencies import currency_number
from ocs.diameter.dictionary import VENDOR_3GPP
from ocs.diameter.errors import PeerError
from ocs.diameter.types import pack_enumerated, pack_integer32, pack_integer64, pack_time, pack_unsigned32
from ocs.diameter.wire import Message, encode_avp
from ocs.rating.units import NS_PER_S, Measure

ADVICE_FULL: Final = 1
ADVICE_COST_ONLY: Final = 2
"""AoC-Request-Type: those that ask for the cost."""

_NANO_DIGITS: Final = 9
_THRESHOLDS: Final = {
    Measure.TIME: codes.TIME_QUOTA_THRESHOLD,
    Measure.OCTETS: codes.VOLUME_QUOTA_THRESHOLD,
    Measure.EVENTS: codes.UNIT_QUOTA_THRESHOLD,
}


class QuotaStyle(msgspec.Struct, frozen=True):
    """The terms of a quota, encoded as far as they are the same in all answers.

    of_any: of a quota of whatever measure; of_time: besides, of a quota of time. threshold: base units, 0 = none.
    measure: what the threshold counts. furnish: the AVPs beside 3GPP-Charging-Id, b"" where nothing is furnished.
    """

    of_any: bytes
    of_time: bytes
    threshold: int
    measure: Measure
    furnish: bytes


class Terms(msgspec.Struct, frozen=True):
    """What a service's answers tell besides. groups: by rating group; None stands for the others.

    default_group: rated where the client names none.
    """

    answers: Answers
    groups: Mapping[int | None, QuotaStyle]
    default_group: int

    def of(self, group: GroupAnswer, message: Message) -> bytes:
        """The AVPs for the Multiple-Services-Credit-Control of a group."""
        if not group.granted:
            return _announcement(group)
        if group.pool is not None:
            return self._of_quota(group, message) + pool_reference(group)
        return self._of_quota(group, message)

    def _of_quota(self, group: GroupAnswer, message: Message) -> bytes:
        rating_group = self.default_group if group.rating_group is None else group.rating_group
        style = self.groups.get(rating_group) or self.groups.get(None)
        return _announcement(group) if style is None else quota_terms(style, group, message) + _announcement(group)


def make_terms(policy: ServicePolicy, measure: Measure) -> Terms:
    """The Terms of a service whose usual measure is given."""
    by_group: dict[int | None, QuotaTerms] = {None: policy.quota}
    by_group.update((group, terms) for group, terms in policy.quota_of.items())
    groups = {group: _quota_style(terms, measure) for group, terms in by_group.items()}
    if policy.quota == _SILENT:
        del groups[None]
    return Terms(policy.answers, groups, policy.default_rating_group)


_SILENT: Final = QuotaTerms()


def vendor(code: int, data: bytes) -> bytes:
    """An AVP of 3GPP, without the M bit."""
    return encode_avp(code, data, VENDOR_3GPP, mandatory=False)


def _quota_style(terms: QuotaTerms, measure: Measure) -> QuotaStyle:
    of_any = of_time = furnish = b""
    if terms.holding_time_s is not None:
        of_any += vendor(codes.QUOTA_HOLDING_TIME, pack_unsigned32(terms.holding_time_s))
    if terms.unused_timer_s is not None:
        of_any += vendor(codes.UNUSED_QUOTA_TIMER, pack_unsigned32(terms.unused_timer_s))
    if terms.triggers is not None:
        of_any += vendor(
            codes.TRIGGER, b"".join([vendor(codes.TRIGGER_TYPE, pack_enumerated(kind)) for kind in terms.triggers])
        )
    if terms.consumption_time_s is not None:
        of_time += vendor(codes.QUOTA_CONSUMPTION_TIME, pack_unsigned32(terms.consumption_time_s))
    if terms.time_mechanism is not None:
        of_time += vendor(
            codes.TIME_QUOTA_MECHANISM,
            vendor(codes.TIME_QUOTA_TYPE, pack_enumerated(terms.time_mechanism))
            + vendor(codes.BASE_TIME_INTERVAL, pack_unsigned32(terms.time_interval_s)),
        )
    if terms.furnish:
        furnish = vendor(codes.PS_FREE_FORMAT_DATA, terms.furnish)
        furnish += vendor(codes.PS_APPEND_FREE_FORMAT_DATA, pack_enumerated(0 if terms.furnish_append else 1))
    return QuotaStyle(of_any, of_time, terms.threshold or 0, measure, furnish)


def quota_terms(style: QuotaStyle, group: GroupAnswer, message: Message) -> bytes:
    """What a granted quota comes with. A threshold has no meaning for the last one, nor for one that is smaller."""
    data = style.of_any
    if group.measure is Measure.TIME:
        data += style.of_time
    granted = group.granted or 0
    if style.threshold and group.measure is style.measure and group.final_unit is None and granted > style.threshold:
        amount = style.threshold // NS_PER_S if style.measure is Measure.TIME else style.threshold
        data += vendor(_THRESHOLDS[style.measure], pack_unsigned32(min(amount, 2**32 - 1)))
    if style.furnish:
        data += _furnish(style.furnish, message)
    return data


_UNIT_TYPES: Final = {Measure.TIME: 0, Measure.OCTETS: 2, Measure.EVENTS: 5}
"""CC-Unit-Type: TIME, TOTAL-OCTETS, SERVICE-SPECIFIC-UNITS."""


def pool_reference(group: GroupAnswer) -> bytes:
    """G-S-U-Pool-Reference (RFC 8506 8.30): the pool, and what a unit of the group is worth in it."""
    assert group.pool is not None
    pool, digits, exponent = group.pool
    value = encode_avp(codes.VALUE_DIGITS, pack_integer64(digits))
    if exponent:
        value += encode_avp(codes.EXPONENT, pack_integer32(exponent))
    return encode_avp(
        codes.G_S_U_POOL_REFERENCE,
        encode_avp(codes.G_S_U_POOL_IDENTIFIER, pack_unsigned32(pool))
        + encode_avp(codes.CC_UNIT_TYPE, pack_enumerated(_UNIT_TYPES[group.measure]))
        + encode_avp(codes.UNIT_VALUE, value),
    )


def _furnish(furnish: bytes, message: Message) -> bytes:
    """PS-Furnish-Charging-Information: for the bearer that the request named; nothing where it named none."""
    try:
        for service in message.find_all(codes.SERVICE_INFORMATION, VENDOR_3GPP):
            for described in service.children():
                if (described.code, described.vendor_id) != (codes.PS_INFORMATION, VENDOR_3GPP):
                    continue
                for avp in described.children(2):
                    if (avp.code, avp.vendor_id) == (codes.CHARGING_ID, VENDOR_3GPP):
                        bearer = vendor(codes.CHARGING_ID, avp.data)
                        return vendor(codes.PS_FURNISH_CHARGING_INFORMATION, bearer + furnish)
    except PeerError:
        pass
    return b""


def _announcement(group: GroupAnswer) -> bytes:
    final_unit = group.final_unit
    if final_unit is None or final_unit.announcement is None:
        return b""
    number = vendor(codes.ANNOUNCEMENT_IDENTIFIER, pack_unsigned32(final_unit.announcement))
    return vendor(codes.ANNOUNCEMENT_INFORMATION, number)


def command_terms(answers: Answers, request: ChargingRequest, answer: ChargingAnswer) -> bytes:
    """What stands at command level: what it cost so far, and how the account stands."""
    parts = []
    if answer.accumulated_nanos is not None:
        if answers.cost:
            parts.append(cost_information(answer.accumulated_nanos, answer.currency))
        if answers.advice_of_charge and request.advice in (ADVICE_FULL, ADVICE_COST_ONLY):
            parts.append(_advice(answer.accumulated_nanos, answer.currency))
    if answer.low_balance is not None:
        parts.append(vendor(codes.LOW_BALANCE_INDICATION, pack_enumerated(int(answer.low_balance))))
    if answer.balance_nanos is not None:
        parts.append(
            vendor(
                codes.REMAINING_BALANCE,
                encode_avp(codes.UNIT_VALUE, _decimal(answer.balance_nanos)) + _currency(answer.currency),
            )
        )
    if answer.account_expires_at_ns is not None:
        parts.append(vendor(codes.ACCOUNT_EXPIRATION, pack_time(answer.account_expires_at_ns // NS_PER_S)))
    return b"".join(parts)


def cost_information(nanos: int, currency: str) -> bytes:
    """Cost-Information (RFC 8506 8.7): an exact decimal, with as few digits as it needs."""
    return encode_avp(codes.COST_INFORMATION, encode_avp(codes.UNIT_VALUE, _decimal(nanos)) + _currency(currency))


def _advice(nanos: int, currency: str) -> bytes:
    """AoC-Information with the cost so far."""
    cost = vendor(codes.ACCUMULATED_COST, _decimal(nanos)) + _currency(currency)
    return vendor(codes.AOC_INFORMATION, vendor(codes.AOC_COST_INFORMATION, cost))


def _currency(currency: str) -> bytes:
    return encode_avp(codes.CURRENCY_CODE, pack_unsigned32(currency_number(currency)))


def _decimal(nanos: int) -> bytes:
    """Value-Digits and Exponent."""
    digits, exponent = nanos, -_NANO_DIGITS
    while exponent < 0 and digits % 10 == 0:
        digits //= 10
        exponent += 1
    return encode_avp(codes.VALUE_DIGITS, pack_integer64(digits)) + encode_avp(codes.EXPONENT, pack_integer32(exponent))
