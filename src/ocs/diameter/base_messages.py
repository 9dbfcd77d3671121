"""The messages of the connection itself: capabilities, watchdog, disconnection (RFC 6733 5.3 to 5.5). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ocs import __version__
from ocs.diameter.base_answers import ORIGIN_STATE_ID, Origin, answer_bytes, answer_head, answer_tail, base_answer
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import pack_address, pack_enumerated, pack_unsigned32, pack_utf8_string
from ocs.diameter.wire import FLAG_REQUEST, Message, encode_avp, message_bytes

CAPABILITIES_EXCHANGE: Final = 257
DEVICE_WATCHDOG: Final = 280
DISCONNECT_PEER: Final = 282
BASE_APPLICATION: Final = 0
BASE_COMMANDS: Final = frozenset({CAPABILITIES_EXCHANGE, DEVICE_WATCHDOG, DISCONNECT_PEER})

REBOOTING: Final = 0  # Disconnect-Cause, RFC 6733 5.4.3
BUSY: Final = 1
DO_NOT_WANT_TO_TALK_TO_YOU: Final = 2

RELAY: Final = 0xFFFF_FFFF  # RFC 6733 2.4
VENDOR_3GPP: Final = 10_415
VENDOR_NONE: Final = 0  # "this field is ignored", RFC 6733 5.3.3: there is no enterprise number of our own

AUTH_APPLICATION_ID: Final = 258
VENDOR_SPECIFIC_APPLICATION_ID: Final = 260
ACCT_APPLICATION_ID: Final = 259
INBAND_SECURITY_ID: Final = 299
_HOST_IP_ADDRESS: Final = 257
_SUPPORTED_VENDOR_ID: Final = 265
_VENDOR_ID: Final = 266
_FIRMWARE_REVISION: Final = 267
_PRODUCT_NAME: Final = 269
_DISCONNECT_CAUSE: Final = 273

Address = IPv4Address | IPv6Address


def firmware_revision(version: str = __version__) -> int:
    """`1.2.3` as 1_002_003: rises with every release."""
    numbers = [int(part) if part.isdigit() else 0 for part in version.split(".")]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return major * 1_000_000 + minor * 1_000 + patch


def _number(code: int, value: int, mandatory: bool = True) -> bytes:
    return encode_avp(code, pack_unsigned32(value), mandatory=mandatory)


def capabilities(
    origin: Origin, address: Address, applications: Iterable[int], others: Iterable[Address] = ()
) -> bytes:
    """What CER and CEA say of the sender after its name: address of the socket, product, state, applications.

    others: more addresses that messages may come from, where the transport has several (RFC 6733 5.3.1). Each
    application stands there twice, alone and as one of 3GPP's: Kamailio only sees the latter.
    """
    parts = [
        *(encode_avp(_HOST_IP_ADDRESS, pack_address(each)) for each in (address, *others)),
        _number(_VENDOR_ID, VENDOR_NONE),
        encode_avp(_PRODUCT_NAME, pack_utf8_string("ocs"), mandatory=False),
        origin.state_avp,
        _number(_SUPPORTED_VENDOR_ID, VENDOR_3GPP),
    ]
    ordered = sorted(applications)
    parts += [_number(AUTH_APPLICATION_ID, application_id) for application_id in ordered]
    for application_id in ordered:
        group = _number(_VENDOR_ID, VENDOR_3GPP) + _number(AUTH_APPLICATION_ID, application_id)
        parts.append(encode_avp(VENDOR_SPECIFIC_APPLICATION_ID, group))
    parts.append(_number(_FIRMWARE_REVISION, firmware_revision(), mandatory=False))
    return b"".join(parts)


def cea(
    request: Message, origin: Origin, address: Address, applications: Iterable[int], others: Iterable[Address] = ()
) -> bytes:
    """The CEA 2001; `address` and `others` are those of the socket on our side."""
    body = answer_head(request, ResultCode.SUCCESS, origin) + capabilities(origin, address, applications, others)
    return answer_bytes(request, body + answer_tail(request))


def cea_refusal(
    request: Message, origin: Origin, address: Address, result_code: int, failed_avp: bytes | None, message: str
) -> bytes:
    """The CEA that says why there will be no connection; it names no application."""
    own = capabilities(origin, address, ())
    return base_answer(request, result_code, origin, failed_avp=failed_avp, message=message, extra=own)


def dwa(request: Message, origin: Origin) -> bytes:
    """The DWA 2001."""
    body = answer_head(request, ResultCode.SUCCESS, origin) + origin.state_avp + answer_tail(request)
    return answer_bytes(request, body)


def dpa(request: Message, origin: Origin) -> bytes:
    """The DPA 2001."""
    return answer_bytes(request, answer_head(request, ResultCode.SUCCESS, origin) + answer_tail(request))


def cer(
    origin: Origin,
    address: Address,
    applications: Iterable[int],
    hop_by_hop_id: int,
    end_to_end_id: int,
    others: Iterable[Address] = (),
) -> bytes:
    """A CER, for the side that connects; `others` as in a CEA."""
    body = origin.avps + capabilities(origin, address, applications, others)
    return message_bytes(FLAG_REQUEST, CAPABILITIES_EXCHANGE, BASE_APPLICATION, hop_by_hop_id, end_to_end_id, body)


def dwr(origin: Origin, hop_by_hop_id: int, end_to_end_id: int) -> bytes:
    """A DWR."""
    body = origin.avps + origin.state_avp
    return message_bytes(FLAG_REQUEST, DEVICE_WATCHDOG, BASE_APPLICATION, hop_by_hop_id, end_to_end_id, body)


def dpr(origin: Origin, cause: int, hop_by_hop_id: int, end_to_end_id: int) -> bytes:
    """A DPR; `cause` is one of the Disconnect-Causes above."""
    body = origin.avps + encode_avp(_DISCONNECT_CAUSE, pack_enumerated(cause))
    return message_bytes(FLAG_REQUEST, DISCONNECT_PEER, BASE_APPLICATION, hop_by_hop_id, end_to_end_id, body)


def disconnect_cause_of(message: Message) -> int:
    """Disconnect-Cause of a DPR; REBOOTING, after which one comes back, where it has none that can be read."""
    found = message.find(_DISCONNECT_CAUSE)
    return int.from_bytes(found.data) if found is not None and len(found.data) == 4 else REBOOTING


def origin_state_of(message: Message) -> int | None:
    """Origin-State-Id of a message, None where there is none; 0 infers nothing (RFC 6733 8.16)."""
    found = message.find(ORIGIN_STATE_ID)
    return int.from_bytes(found.data) if found is not None and len(found.data) == 4 else None
