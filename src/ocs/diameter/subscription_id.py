"""Subscription-Id as nearly everybody sends it (RFC 8506 8.46), read at once instead of AVP by AVP. Pure."""

from __future__ import annotations

import struct
from typing import Final

from ocs.diameter.wire import AVP_FLAG_MANDATORY

_OCTETS: Final = 20
_read: Final = struct.Struct("!IIIII").unpack_from
_TYPE: Final = 450
_TYPE_HEAD: Final = AVP_FLAG_MANDATORY << 24 | 12
_DATA: Final = 444
_MANDATORY: Final = AVP_FLAG_MANDATORY << 24


def usual(group: bytes) -> tuple[int, bytes] | None:
    """(Subscription-Id-Type, Subscription-Id-Data) of the data of a group; None for any but the usual form.

    Usual are just these two, in this order, with no flag but M, and text in ASCII.
    """
    octets = len(group)
    if octets < _OCTETS:
        return None
    type_code, type_head, number, data_code, data_head = _read(group)
    if type_code != _TYPE or type_head != _TYPE_HEAD or data_code != _DATA:
        return None
    end = data_head - _MANDATORY + 12
    if not _OCTETS <= end <= octets <= end + (-end & 3):
        return None
    text = group[_OCTETS:end]
    return (number, text) if text.isascii() else None
