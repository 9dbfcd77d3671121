"""Containers of units in a CCR: Multiple-Services-Credit-Control, Requested- and Used-Service-Unit (RFC 8506 8.16 on).

Every reader raises PeerError with the path to the offender: 5014 for a wrong length, 5004 for an amount above
`limits.USAGE_MAX`, 5031 for a container that speaks of money alone (CC-Money cannot be granted).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ocs.charging.requests import GroupRequest, Units
from ocs.diameter.applications import codes
from ocs.diameter.applications.service_information import octets_text
from ocs.diameter.dictionary import VENDOR_3GPP
from ocs.diameter.errors import PeerError
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import unpack_time, unpack_unsigned32, unpack_unsigned64, wrong_value
from ocs.diameter.wire import Avp
from ocs.limits import USAGE_MAX, USAGE_TIME_MAX_NS
from ocs.rating.units import NS_PER_S

# Reporting-Reason (TS 32.299): values after which the client holds no quota of the group any more.
QUOTA_HOLDING_TIME: Final = 1
FINAL: Final = 2
UNUSED_QUOTA_TIMER: Final = 9
_GIVES_BACK: Final = (QUOTA_HOLDING_TIME, FINAL, UNUSED_QUOTA_TIMER)

_AMOUNTS: Final = frozenset({
    codes.CC_TOTAL_OCTETS,
    codes.CC_INPUT_OCTETS,
    codes.CC_OUTPUT_OCTETS,
    codes.CC_SERVICE_SPECIFIC_UNITS,
})  # fmt: skip

_TIMES: Final = frozenset({codes.TARIFF_CHANGE_USAGE, codes.TIME_FIRST_USAGE, codes.TIME_LAST_USAGE})
"""What may say when usage was: codes of RFC 8506 and of 3GPP that mean nothing else here, whose vendor they have."""

_NO_UNITS: Final = Units()

_IN_COMMAND: Final = 1
_IN_MSCC: Final = 2


def read_group(mscc: Avp) -> GroupRequest:
    """One Multiple-Services-Credit-Control. Of several Service-Identifiers the first counts.

    What it says of the time of usage holds for those of its containers that say nothing themselves.
    """
    rating_group = service_id = requested = None
    used: list[Units] = []
    times: _Times | None = None
    final = False
    attributes: tuple[tuple[str, str], ...] = ()
    try:
        for avp in mscc.children():
            code = avp.code
            if code in _TIMES:
                times = times or _Times()
                times.read(avp)
            elif avp.vendor_id:
                final = final or _gives_back(avp)
                if code in _DESCRIPTIONS:
                    attributes += _described(avp)
            elif code == codes.RATING_GROUP:
                rating_group = unpack_unsigned32(avp)
            elif code == codes.SERVICE_IDENTIFIER and service_id is None:
                service_id = unpack_unsigned32(avp)
            elif code == codes.REQUESTED_SERVICE_UNIT:
                requested, _ = read_units(avp, _IN_MSCC)
            elif code == codes.USED_SERVICE_UNIT:
                units, gives_back = read_units(avp, _IN_MSCC)
                used.append(units)
                final = final or gives_back
                if len(used) > 1:
                    _check_sum(used, avp)
    except PeerError as error:
        raise error.within(mscc) from None
    if times is not None and times.told:
        used = [times.of(units) for units in used]
    return GroupRequest(rating_group, service_id, requested, tuple(used), final, attributes=attributes)


_DESCRIPTIONS: Final = {
    codes.SPONSOR_IDENTITY: "sponsor",
    codes.APPLICATION_SERVICE_PROVIDER_IDENTITY: "application_service_provider",
    codes.AF_CORRELATION_INFORMATION: "af_charging_identifier",
}


def _described(avp: Avp) -> tuple[tuple[str, str], ...]:
    """What a container says of sponsors and applications (TS 32.299 7.1.9), as an attribute of its group."""
    if avp.vendor_id != VENDOR_3GPP:
        return ()
    if avp.code == codes.AF_CORRELATION_INFORMATION:
        try:
            inside = avp.children(2)
        except PeerError:
            return ()
        avp = next((child for child in inside if child.code == codes.AF_CHARGING_IDENTIFIER), avp)
        if avp.code != codes.AF_CHARGING_IDENTIFIER:
            return ()
        return (("af_charging_identifier", octets_text(avp)),)
    return ((_DESCRIPTIONS[avp.code], octets_text(avp)),)


class _Times:
    """What a container says of when its usage was: Tariff-Change-Usage, Time-First-Usage and Time-Last-Usage."""

    __slots__ = ("change", "first_ns", "last_ns")

    def __init__(self) -> None:
        self.change: int | None = None
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    @property
    def told(self) -> bool:
        """Whether anything was said."""
        return self.change is not None or self.first_ns is not None or self.last_ns is not None

    def read(self, avp: Avp) -> None:
        """Take note of an AVP, if it is one of those."""
        if avp.vendor_id == VENDOR_3GPP:
            if avp.code == codes.TIME_FIRST_USAGE:
                self.first_ns = unpack_time(avp) * NS_PER_S
            elif avp.code == codes.TIME_LAST_USAGE:
                self.last_ns = unpack_time(avp) * NS_PER_S
        elif avp.code == codes.TARIFF_CHANGE_USAGE and not avp.vendor_id:
            self.change = unpack_unsigned32(avp)

    def of(self, units: Units) -> Units:
        """The units with these times, where they have none of their own."""
        if units.tariff_change is not None or units.first_at_ns is not None or units.last_at_ns is not None:
            return units
        return Units(units.time_ns, units.octets, units.events, self.change, self.first_ns, self.last_ns)


def read_command_units(requested: Avp | None, used: Sequence[Avp], service_id: int | None) -> GroupRequest:
    """The units of a command without Multiple-Services-Credit-Control (RFC 8506 3.1)."""
    wanted = None if requested is None else read_units(requested, _IN_COMMAND)[0]
    reports = [read_units(avp, _IN_COMMAND) for avp in used]
    if len(reports) > 1:
        _check_sum([units for units, _ in reports], used[-1])
    return GroupRequest(
        None, service_id, wanted, tuple([units for units, _ in reports]), any(final for _, final in reports)
    )


def read_units(container: Avp, depth: int) -> tuple[Units, bool]:
    """(units, whether the quota is given back) of a Requested- or Used-Service-Unit whose AVPs are at `depth`.

    CC-Total-Octets counts where it is there, the sum of CC-Input- and CC-Output-Octets otherwise (TS 32.299;
    gateways that send all three mean the same by them). Usage before and after a tariff change is in containers of
    its own.
    """
    if not container.data:
        return _NO_UNITS, False
    amounts: dict[int, int] = {}
    time_ns = money = None
    times: _Times | None = None
    final = False
    try:
        for avp in container.children(depth):
            code = avp.code
            if code in _TIMES:
                times = times or _Times()
                times.read(avp)
            elif avp.vendor_id:
                final = final or _gives_back(avp)
            elif code in _AMOUNTS:
                amounts[code] = _amount(avp)
            elif code == codes.CC_TIME:
                time_ns = unpack_unsigned32(avp) * NS_PER_S
            elif code == codes.CC_MONEY:
                money = avp
        if money is not None and not amounts and time_ns is None:
            raise PeerError(ResultCode.RATING_FAILED, money.encode(), "units of money are not sold")
    except PeerError as error:
        raise error.within(container) from None
    octets = amounts.get(codes.CC_TOTAL_OCTETS)
    events = amounts.pop(codes.CC_SERVICE_SPECIFIC_UNITS, None)
    if octets is None and amounts:
        octets = sum(amounts.values())
        if octets > USAGE_MAX:
            raise _too_much(container)
    units = Units(time_ns, octets, events)
    return (units if times is None else times.of(units)), final


def _amount(avp: Avp) -> int:
    value = unpack_unsigned64(avp)
    if value > USAGE_MAX:
        raise _too_much(avp)
    return value


def _check_sum(used: Sequence[Units], last: Avp) -> None:
    """What several containers report together must fit, too; `last` is the one that made it too much."""
    amounts = [(units.time_ns or 0, units.octets or 0, units.events or 0) for units in used]
    time_ns, octets, events = [sum(of_one_measure) for of_one_measure in zip(*amounts, strict=True)]
    if time_ns > USAGE_TIME_MAX_NS or max(octets, events) > USAGE_MAX:
        raise _too_much(last)


def _too_much(avp: Avp) -> PeerError:
    error = wrong_value(avp, "more than can be counted")
    error.limit = "usage"
    return error


def _gives_back(avp: Avp) -> bool:
    """Whether `avp` is a Reporting-Reason after which the group's quota is free again."""
    return avp.code == codes.REPORTING_REASON and avp.vendor_id == VENDOR_3GPP and unpack_unsigned32(avp) in _GIVES_BACK
