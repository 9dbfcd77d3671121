"""Answers that every application gives alike: head, tail, and whole error answers (RFC 6733 6.2, 7).

Pure. The parts that do not change are encoded once: this is on the way of every request.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ocs.diameter.result_codes import ResultCode, is_protocol_error
from ocs.diameter.types import pack_diameter_identity, pack_unsigned32
from ocs.diameter.wire import FLAG_ERROR, FLAG_PROXIABLE, Message, encode_avp, message_bytes

SESSION_ID: Final = 263
ORIGIN_HOST: Final = 264
RESULT_CODE: Final = 268
ORIGIN_STATE_ID: Final = 278
FAILED_AVP: Final = 279
ERROR_MESSAGE: Final = 281
PROXY_INFO: Final = 284
ORIGIN_REALM: Final = 296
AUTH_APPLICATION_ID: Final = 258
CC_REQUEST_NUMBER: Final = 415
CC_REQUEST_TYPE: Final = 416

CREDIT_CONTROL_APPLICATION: Final = 4
CREDIT_CONTROL_COMMAND: Final = 272
ERROR_MESSAGE_OCTETS_MAX: Final = 256

_RESULT_CODES: Final = {int(code): encode_avp(RESULT_CODE, pack_unsigned32(code)) for code in ResultCode}
_AUTH_APPLICATION: Final = encode_avp(AUTH_APPLICATION_ID, pack_unsigned32(CREDIT_CONTROL_APPLICATION))


class Origin(msgspec.Struct, frozen=True):
    """Who answers: identity, realm and Origin-State-Id, and the same as encoded AVPs.

    avps: Origin-Host and Origin-Realm; state_avp: Origin-State-Id.
    """

    host: str
    realm: str
    state_id: int
    avps: bytes
    state_avp: bytes


def make_origin(host: str, realm: str, state_id: int) -> Origin:
    """The Origin of a node. Raises UsageError where a name is no DiameterIdentity."""
    host_avp = encode_avp(ORIGIN_HOST, pack_diameter_identity(host))
    realm_avp = encode_avp(ORIGIN_REALM, pack_diameter_identity(realm))
    return Origin(host, realm, state_id, host_avp + realm_avp, encode_avp(ORIGIN_STATE_ID, pack_unsigned32(state_id)))


def answer_head(request: Message, result_code: int, origin: Origin) -> bytes:
    """Session-Id (where the request has one; it comes first, RFC 6733 8.8), Result-Code, Origin-Host, Origin-Realm."""
    result = _RESULT_CODES.get(result_code) or encode_avp(RESULT_CODE, pack_unsigned32(result_code))
    session_id = request.find(SESSION_ID)
    if session_id is None:
        return result + origin.avps
    return encode_avp(SESSION_ID, session_id.data) + result + origin.avps


def answer_tail(request: Message) -> bytes:
    """The Proxy-Infos of the request, unchanged and in their order (RFC 6733 6.2); Route-Records are not returned."""
    if PROXY_INFO not in request.firsts():
        return b""
    return b"".join([avp.encode() for avp in request.avps if avp.code == PROXY_INFO and not avp.vendor_id])


def answer_bytes(request: Message, body: bytes, error: bool = False) -> bytes:
    """The whole answer: the header of `request` turned round, its P bit copied, the E bit as asked, and `body`."""
    flags = request.flags & FLAG_PROXIABLE | (FLAG_ERROR if error else 0)
    return message_bytes(
        flags,
        request.command_code,
        request.application_id,
        request.hop_by_hop_id,
        request.end_to_end_id,
        body,
    )


def base_answer(
    request: Message,
    result_code: int,
    origin: Origin,
    *,
    failed_avp: bytes | None = None,
    message: str = "",
    extra: bytes = b"",
    unreadable: bool = False,
) -> bytes:
    """A whole answer with nothing of an application in it but `extra` (encoded AVPs after Origin-Realm).

    failed_avp: what Failed-AVP holds, encoded; message: Error-Message. The E bit is set for 3xxx, and for others only
    where the request was `unreadable`: too broken to be answered in its own grammar. An answer to a CCR in its own
    grammar repeats CC-Request-Type and CC-Request-Number where they can be read (RFC 8506 3.2).
    """
    error = unreadable or is_protocol_error(result_code)
    parts = [answer_head(request, result_code, origin)]
    if not error:
        parts.append(own_grammar(request))
    parts.append(extra)
    if failed_avp:
        parts.append(encode_avp(FAILED_AVP, failed_avp))
    if message:
        text = message.encode("utf-8", "replace")[:ERROR_MESSAGE_OCTETS_MAX].decode("utf-8", "ignore")
        parts.append(encode_avp(ERROR_MESSAGE, text.encode(), mandatory=False))
    parts.append(answer_tail(request))
    return answer_bytes(request, b"".join(parts), error)


def own_grammar(request: Message) -> bytes:
    """What an answer to a CCR repeats of it (RFC 8506 3.2), as far as it can be read; b"" for other commands."""
    if (request.application_id, request.command_code) != (CREDIT_CONTROL_APPLICATION, CREDIT_CONTROL_COMMAND):
        return b""
    parts = [_AUTH_APPLICATION]
    for code in (CC_REQUEST_TYPE, CC_REQUEST_NUMBER):
        found = request.find(code)
        if found is not None and len(found.data) == 4:
            parts.append(encode_avp(code, found.data))
    return b"".join(parts)
