"""The life of a charging session (RFC 8506 7, the server's side), as a table of what becomes of its row in the store.

Open is the only state that has holds; the others are the memory of repeats, forgotten after 24 hours. What is charged
on the way is plain functions, not part of the table; a test drives the engine through every cell.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ocs.charging.session import SessionState


class Happening(Enum):
    """What can happen to a session."""

    INITIAL = "initial"  # and it is served
    INITIAL_REFUSED = "initial_refused"  # no credit, no rate, an account that is disabled ...
    UPDATE = "update"
    UPDATE_ADOPTED = "update_adopted"  # where the service takes over sessions that it does not know
    UPDATE_EMPTY = "update_empty"  # without usage
    TERMINATION = "termination"
    EVENT = "event"
    EVENT_REFUSED = "event_refused"
    SILENCE = "silence"  # nothing came for max(2 x Validity-Time, idle limit)
    ENDED = "ended"  # from here: barred, by command, the client lost its sessions


_S = SessionState
_H = Happening
Row = dict[tuple[SessionState | None, Happening], SessionState | None]

LIFE: Final[Row] = {
    # RFC 8506 7, Idle: None is a session that this server has no row of
    (None, _H.INITIAL): _S.OPEN,  # send initial answer, start Tcc
    (None, _H.INITIAL_REFUSED): _S.REFUSED,  # send initial answer with an error; kept for repeats
    (None, _H.UPDATE): _S.UNKNOWN,  # 5002; what it reports is kept in the journal and as a CDR
    (None, _H.UPDATE_ADOPTED): _S.OPEN,  # RFC 8506 5.7: another server failed
    (None, _H.UPDATE_EMPTY): None,  # 5002; nothing to keep
    (None, _H.TERMINATION): _S.UNKNOWN,  # 5002, the same
    (None, _H.EVENT): _S.CLOSED,  # event request received and successfully processed: send event answer
    (None, _H.EVENT_REFUSED): _S.REFUSED,  # event request received but not successfully processed
    (_S.REFUSED, _H.INITIAL): _S.OPEN,  # the client tries again under the same Session-Id
    (_S.REFUSED, _H.INITIAL_REFUSED): _S.REFUSED,
    (_S.REFUSED, _H.UPDATE): _S.UNKNOWN,
    (_S.REFUSED, _H.UPDATE_ADOPTED): _S.OPEN,
    (_S.REFUSED, _H.UPDATE_EMPTY): _S.REFUSED,
    (_S.REFUSED, _H.TERMINATION): _S.UNKNOWN,
    (_S.REFUSED, _H.EVENT): _S.CLOSED,
    (_S.REFUSED, _H.EVENT_REFUSED): _S.REFUSED,
    (_S.UNKNOWN, _H.INITIAL): _S.OPEN,
    (_S.UNKNOWN, _H.INITIAL_REFUSED): _S.REFUSED,
    (_S.UNKNOWN, _H.UPDATE): _S.UNKNOWN,  # 5002 again
    (_S.UNKNOWN, _H.UPDATE_ADOPTED): _S.OPEN,
    (_S.UNKNOWN, _H.UPDATE_EMPTY): _S.UNKNOWN,
    (_S.UNKNOWN, _H.TERMINATION): _S.UNKNOWN,  # 2001: the client need not ask any more
    (_S.UNKNOWN, _H.EVENT): _S.CLOSED,
    (_S.UNKNOWN, _H.EVENT_REFUSED): _S.REFUSED,
    # RFC 8506 7, Open
    (_S.OPEN, _H.INITIAL): _S.OPEN,  # 5012: the Session-Id is in use
    (_S.OPEN, _H.INITIAL_REFUSED): _S.OPEN,
    (_S.OPEN, _H.UPDATE): _S.OPEN,  # debit used units, reserve, send update answer, restart Tcc
    (_S.OPEN, _H.UPDATE_EMPTY): _S.OPEN,
    (_S.OPEN, _H.TERMINATION): _S.CLOSED,  # debit used units, send termination answer
    (_S.OPEN, _H.EVENT): _S.OPEN,  # 5012: the Session-Id is in use
    (_S.OPEN, _H.EVENT_REFUSED): _S.OPEN,
    (_S.OPEN, _H.SILENCE): _S.EXPIRED,  # session supervision timer Tcc expired: release reserved units
    (_S.OPEN, _H.ENDED): _S.EXPIRED,
    # After the end: late reports are debited
    (_S.CLOSED, _H.INITIAL): _S.CLOSED,  # 5012: the Session-Id is in use
    (_S.CLOSED, _H.INITIAL_REFUSED): _S.CLOSED,
    (_S.CLOSED, _H.UPDATE): _S.CLOSED,  # 5002; debited
    (_S.CLOSED, _H.UPDATE_EMPTY): _S.CLOSED,
    (_S.CLOSED, _H.TERMINATION): _S.CLOSED,  # 2001; debited
    (_S.CLOSED, _H.EVENT): _S.CLOSED,
    (_S.CLOSED, _H.EVENT_REFUSED): _S.CLOSED,
    (_S.EXPIRED, _H.INITIAL): _S.EXPIRED,
    (_S.EXPIRED, _H.INITIAL_REFUSED): _S.EXPIRED,
    (_S.EXPIRED, _H.UPDATE): _S.EXPIRED,
    (_S.EXPIRED, _H.UPDATE_EMPTY): _S.EXPIRED,
    (_S.EXPIRED, _H.TERMINATION): _S.EXPIRED,
    (_S.EXPIRED, _H.EVENT): _S.CLOSED,
    (_S.EXPIRED, _H.EVENT_REFUSED): _S.CLOSED,
}
