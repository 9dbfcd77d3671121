"""What the server asks about a session: Re-Auth-Request (RFC 8506 5.5), Abort-Session-Request (RFC 6733 8.5). Pure."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import Final

from ocs.charging.effects import Detail
from ocs.diameter.applications import codes
from ocs.diameter.base_answers import AUTH_APPLICATION_ID, RESULT_CODE
from ocs.diameter.errors import PeerError
from ocs.diameter.result_codes import ResultCode, is_success
from ocs.diameter.routes import OwnRequest
from ocs.diameter.types import pack_enumerated, pack_unsigned32
from ocs.diameter.wire import Message, encode_avp

APPLICATION_ID: Final = 4
RE_AUTH: Final = 258
ABORT_SESSION: Final = 274
NAMES: Final = {RE_AUTH: "RAR", ABORT_SESSION: "ASR"}

_RE_AUTH_REQUEST_TYPE: Final = 285
_EXPERIMENTAL_RESULT: Final = 297
_EXPERIMENTAL_RESULT_CODE: Final = 298
_G_S_U_POOL_IDENTIFIER: Final = 453
_AUTHORIZE_ONLY: Final = 0
_APPLICATION: Final = encode_avp(AUTH_APPLICATION_ID, pack_unsigned32(APPLICATION_ID))
_RE_AUTH_TYPE: Final = encode_avp(_RE_AUTH_REQUEST_TYPE, pack_enumerated(_AUTHORIZE_ONLY))


class Said(Enum):
    """What an answer means for the session.

    DONE: the client asks again, or stops, by itself; whether and when is not known, and not waited for.
    UNKNOWN_SESSION: it has no such session (any more). LATER: it may do it another time. REFUSED: it never will.
    """

    DONE = "done"
    UNKNOWN_SESSION = "unknown_session"
    LATER = "later"
    REFUSED = "refused"


_BY_CODE: Final[dict[int, Said]] = {
    ResultCode.UNKNOWN_SESSION_ID: Said.UNKNOWN_SESSION,
    ResultCode.USER_UNKNOWN: Said.UNKNOWN_SESSION,
    ResultCode.COMMAND_UNSUPPORTED: Said.REFUSED,
    ResultCode.APPLICATION_UNSUPPORTED: Said.REFUSED,
    ResultCode.INVALID_HDR_BITS: Said.REFUSED,
    ResultCode.INVALID_AVP_BITS: Said.REFUSED,
}
_BY_CLASS: Final = {2: Said.DONE, 3: Said.LATER, 4: Said.LATER}


def re_auth(session_id: str, host: str, realm: str, detail: Detail, via: str = "") -> OwnRequest:
    """The Re-Auth-Request for a session of `host`, or for that part of it that `detail` names."""
    named = (
        (codes.CC_SUB_SESSION_ID, detail.sub_session_id, 8),
        (_G_S_U_POOL_IDENTIFIER, detail.pool, 4),
        (codes.SERVICE_IDENTIFIER, detail.service_id, 4),
        (codes.RATING_GROUP, detail.rating_group, 4),
    )
    parts = [encode_avp(code, value.to_bytes(octets)) for code, value, octets in named if value is not None]
    avps = b"".join([_APPLICATION, _RE_AUTH_TYPE, *parts])
    return OwnRequest(RE_AUTH, APPLICATION_ID, realm, avps, host, session_id, via)


def abort_session(session_id: str, host: str, realm: str, via: str = "") -> OwnRequest:
    """The Abort-Session-Request for a session of `host`."""
    return OwnRequest(ABORT_SESSION, APPLICATION_ID, realm, _APPLICATION, host, session_id, via)


def realm_of(host: str) -> str:
    """The realm of a host that nothing else is known of: its domain."""
    return host.partition(".")[2] or host


def code_of(answer: Message) -> int:
    """Result-Code, else Experimental-Result-Code, of an RAA or ASA; 0 where neither can be read."""
    found = answer.find(RESULT_CODE)
    if found is None:
        with suppress(PeerError):
            inner = [avp for group in answer.find_all(_EXPERIMENTAL_RESULT) for avp in group.children()]
            found = next((avp for avp in inner if avp.code == _EXPERIMENTAL_RESULT_CODE), None)
    return int.from_bytes(found.data) if found is not None and len(found.data) == 4 else 0


def said(code: int) -> Said:
    """What is to be made of the code of an answer."""
    if is_success(code):
        return Said.DONE
    return _BY_CODE.get(code) or _BY_CLASS.get(code // 1000, Said.REFUSED)
