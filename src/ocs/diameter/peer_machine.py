"""One connection's life as a table (RFC 6733 5.6), with the watchdog of RFC 3539 3.4 in it.

Pure: time and jitter come in as arguments, what is to be done goes out as actions, and `deadline_ns` says when the
machine wants to hear EXPIRED next. RFC 6733 has one machine for each peer, with an initiated (I) and a responded (R)
connection in it; here each connection has one, since a peer may open several. So CONNECTING and WAIT_CEA are states of
a connection of our own, ELECTING and WAIT_RETURNS of the one that the peer opened meanwhile.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ocs.diameter.errors import UsageError
from ocs.limits import CER_TIMEOUT_S, CONNECT_ALL_TIMEOUT_S, DRAIN_TIMEOUT_S

SECOND_NS: Final = 1_000_000_000
WATCHDOG_MIN_S: Final = 6  # Twinit is never less (RFC 3539 3.4.1)
WATCHDOG_JITTER_S: Final = 2  # Tw is Twinit plus or minus this
RIVAL_TIMEOUT_S: Final = 2
ELECTION_TIMEOUT_S: Final = 2
REOPEN_ANSWERS: Final = 3


class State(Enum):
    """Where a connection stands."""

    __hash__ = object.__hash__  # members are compared by identity; the one of Enum hashes the name each time

    CLOSED = "closed"
    CONNECTING = "connecting"  # Wait-Conn-Ack: ours, not there yet
    WAIT_CEA = "wait_cea"  # Wait-I-CEA: ours, our CER is out
    WAIT_CER = "wait_cer"  # connected, nothing said yet
    RIVAL = "rival"  # its CER is fine, but its identity has all its connections: are they alive?
    ELECTING = "electing"  # Wait-Conn-Ack/Elect: its CER is fine, but ours is on its way to the same peer
    WAIT_RETURNS = "wait_returns"  # Wait-Returns: the same, and our CER is out: one of the two goes
    OPEN = "open"  # OKAY in RFC 3539
    SUSPECT = "suspect"  # a watchdog went unanswered
    REOPEN = "reopen"  # the peer had been lost and has to prove itself
    CLOSING = "closing"  # we sent DPR
    LEAVING = "leaving"  # the peer sent DPR


class Input(Enum):
    """What can happen. Names with a second half are what `PeerMachine.step` makes of the plain one."""

    __hash__ = object.__hash__  # members are compared by identity; the one of Enum hashes the name each time

    START = "start"  # we want a connection
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    CER_FIRST = "cer_first"  # admitted
    CER_RETURN = "cer_return"  # admitted, its last connection was lost without DPR
    CER_RIVAL = "cer_rival"  # admitted, but its identity has all its connections
    CER_ELECTING = "cer_electing"  # admitted, but we are connecting to the same peer
    CER_ELECTION = "cer_election"  # the same, and our CER is out
    CER_REFUSED = "cer_refused"  # to be answered with an error
    CER_AGAIN = "cer_again"  # on a connection that had one
    CEA_FIRST = "cea_first"  # success, from whom we wanted
    CEA_RETURN = "cea_return"  # the same, and its last connection was lost without DPR
    CEA_REFUSED = "cea_refused"  # an error, or from somebody else
    YIELD = "yield"  # our connection loses to the one that the peer opened
    OWN_CONNECTED = "own_connected"  # our connection to the same peer is there, and its CER is out
    OWN_GONE = "own_gone"  # it ended
    OWN_OPEN = "own_open"  # it had its CEA
    WON = "won"  # the election: the peer's connection stays
    RIVAL_GONE = "rival_gone"  # an older connection of the identity ended
    RIVAL_LIVES = "rival_lives"  # all older connections answered
    DWR = "dwr"
    DWA = "dwa"
    DWA_THIRD = "dwa_third"  # the third since the peer came back
    DPR = "dpr"
    DPA = "dpa"
    REQUEST = "request"  # any other
    ANSWER = "answer"  # to no request of ours
    ANSWERED = "answered"  # to one
    PROBE = "probe"  # a newer connection of the identity asks whether this one is alive
    PROBE_PENDING = "probe_pending"  # the same, with a DWR out already
    STOP = "stop"  # we want to end the connection
    EXPIRED = "expired"  # the deadline has come
    EXPIRED_PENDING = "expired_pending"  # the watchdog's, with a DWR out
    EXPIRED_SPENT = "expired_spent"  # the same again, in a peer that came back


class Action(Enum):
    """What is to be done about it."""

    __hash__ = object.__hash__  # members are compared by identity; the one of Enum hashes the name each time

    # The machine does these itself.
    SET_CONNECT_TIMER = "set_connect_timer"
    SET_CER_TIMER = "set_cer_timer"
    SET_ELECTION_TIMER = "set_election_timer"
    SET_RIVAL_TIMER = "set_rival_timer"
    SET_WATCHDOG = "set_watchdog"
    SET_CLOSE_TIMER = "set_close_timer"
    COUNT_DWA = "count_dwa"
    SPEND_DWA = "spend_dwa"  # NumDWA = -1
    # The node does these, in the order of the row.
    CONNECT = "connect"
    SEND_CER = "send_cer"
    SEND_CEA = "send_cea"  # the one that the node has prepared: of success or of refusal
    SEND_DWR = "send_dwr"
    SEND_DWA = "send_dwa"
    SEND_DPR = "send_dpr"
    SEND_DPA = "send_dpa"
    DELIVER = "deliver"  # the request to the base checks and its application
    REFUSE = "refuse"  # the request, 3004
    RESOLVE = "resolve"  # the answer, to whoever waits for it
    DROP = "drop"  # count it and forget it
    PROBE_RIVALS = "probe_rivals"
    REPLACE_RIVALS = "replace_rivals"  # end those that did not answer
    TELL_ELECTION = "tell_election"  # the connection of the peer that waits for what becomes of this one
    ELECT = "elect"  # compare names; WON if ours is the greater
    YIELD_OWN = "yield_own"  # our connection gets YIELD
    FAILOVER = "failover"
    FAILBACK = "failback"
    LOST = "lost"  # the peer ended without DPR: it has to prove itself when it comes back
    CLOSE = "close"


_S = State
_I = Input
_A = Action
_Row = tuple[tuple[Action, ...], State]
_CLOSE: Final[_Row] = ((_A.CLOSE,), _S.CLOSED)

TABLE: Final[dict[tuple[State, Input], _Row]] = {
    # RFC 6733 5.6 Closed: R-Conn-CER is two steps here, since the connection comes before its CER.
    (_S.CLOSED, _I.CONNECTED): ((_A.SET_CER_TIMER,), _S.WAIT_CER),
    (_S.CLOSED, _I.DISCONNECTED): ((), _S.CLOSED),  # 5.6: the end of a connection that we closed
    (_S.CLOSED, _I.STOP): ((), _S.CLOSED),
    # RFC 6733 5.6 Closed, Start: I-Snd-Conn-Req
    (_S.CLOSED, _I.START): ((_A.SET_CONNECT_TIMER, _A.CONNECT), _S.CONNECTING),
    # RFC 6733 5.6 Wait-Conn-Ack
    (_S.CONNECTING, _I.CONNECTED): ((_A.SET_CER_TIMER, _A.SEND_CER, _A.TELL_ELECTION), _S.WAIT_CEA),  # I-Rcv-Conn-Ack
    (_S.CONNECTING, _I.DISCONNECTED): ((), _S.CLOSED),  # I-Rcv-Conn-Nack: Cleanup
    (_S.CONNECTING, _I.EXPIRED): _CLOSE,  # Timeout: Error
    (_S.CONNECTING, _I.YIELD): _CLOSE,
    (_S.CONNECTING, _I.STOP): _CLOSE,
    # RFC 6733 5.6 Wait-I-CEA, I-Rcv-CEA: Process-CEA; RFC 3539 3.4.1 INITIAL, Connection up
    (_S.WAIT_CEA, _I.CEA_FIRST): ((_A.TELL_ELECTION, _A.SET_WATCHDOG), _S.OPEN),
    # RFC 3539 3.4.1 DOWN, Connection up: NumDWA = 0, SendWatchdog, SetWatchdog
    (_S.WAIT_CEA, _I.CEA_RETURN): ((_A.TELL_ELECTION, _A.SEND_DWR, _A.SET_WATCHDOG), _S.REOPEN),
    (_S.WAIT_CEA, _I.CEA_REFUSED): _CLOSE,  # RFC 6733 5.3
    (_S.WAIT_CEA, _I.CER_AGAIN): _CLOSE,  # I-Rcv-Non-CEA: Error
    (_S.WAIT_CEA, _I.CER_REFUSED): _CLOSE,
    (_S.WAIT_CEA, _I.DWR): _CLOSE,
    (_S.WAIT_CEA, _I.DPR): _CLOSE,
    (_S.WAIT_CEA, _I.REQUEST): _CLOSE,
    (_S.WAIT_CEA, _I.ANSWER): _CLOSE,
    (_S.WAIT_CEA, _I.EXPIRED): _CLOSE,  # Timeout: Error
    (_S.WAIT_CEA, _I.YIELD): _CLOSE,  # Wait-Returns, Win-Election: I-Disc
    (_S.WAIT_CEA, _I.STOP): _CLOSE,
    (_S.WAIT_CEA, _I.DISCONNECTED): ((), _S.CLOSED),  # I-Peer-Disc
    # RFC 6733 5.6 Closed, R-Conn-CER: R-Accept, Process-CER, R-Snd-CEA; RFC 3539 3.4.1 INITIAL, Connection up
    (_S.WAIT_CER, _I.CER_FIRST): ((_A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),
    # RFC 3539 3.4.1 DOWN, Connection up: NumDWA = 0, SendWatchdog, SetWatchdog
    (_S.WAIT_CER, _I.CER_RETURN): ((_A.SEND_CEA, _A.SEND_DWR, _A.SET_WATCHDOG), _S.REOPEN),
    # RFC 6733 5.6 R-Open, R-Conn-CER says R-Reject; a peer that crashed would be shut out until its old connection
    # ends by the watchdog, so that one is asked first.
    (_S.WAIT_CER, _I.CER_RIVAL): ((_A.SET_RIVAL_TIMER, _A.PROBE_RIVALS), _S.RIVAL),
    # RFC 6733 5.6 Wait-Conn-Ack, R-Conn-CER: R-Accept, Process-CER
    (_S.WAIT_CER, _I.CER_ELECTING): ((_A.SET_ELECTION_TIMER,), _S.ELECTING),
    # RFC 6733 5.6 Wait-I-CEA, R-Conn-CER: R-Accept, Process-CER, Elect
    (_S.WAIT_CER, _I.CER_ELECTION): ((_A.SET_CER_TIMER, _A.ELECT), _S.WAIT_RETURNS),
    (_S.WAIT_CER, _I.CER_REFUSED): ((_A.SEND_CEA, _A.CLOSE), _S.CLOSED),  # RFC 6733 5.3: answered, then closed
    # RFC 6733 5.6.1: a connection whose first message is not a CER is closed
    (_S.WAIT_CER, _I.DWR): _CLOSE,
    (_S.WAIT_CER, _I.DPR): _CLOSE,
    (_S.WAIT_CER, _I.REQUEST): _CLOSE,
    (_S.WAIT_CER, _I.ANSWER): _CLOSE,
    (_S.WAIT_CER, _I.EXPIRED): _CLOSE,  # RFC 6733 5.6 Timeout: Error
    (_S.WAIT_CER, _I.STOP): _CLOSE,
    (_S.WAIT_CER, _I.DISCONNECTED): ((), _S.CLOSED),  # RFC 6733 5.6 R-Peer-Disc
    # RFC 6733 5.6 has no such state: between R-Conn-CER and R-Accept or R-Reject, see above
    (_S.RIVAL, _I.RIVAL_GONE): ((_A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),
    (_S.RIVAL, _I.RIVAL_LIVES): ((_A.SEND_CEA, _A.CLOSE), _S.CLOSED),
    (_S.RIVAL, _I.EXPIRED): ((_A.REPLACE_RIVALS, _A.SEND_CEA, _A.SEND_DWR, _A.SET_WATCHDOG), _S.REOPEN),
    (_S.RIVAL, _I.CER_REFUSED): _CLOSE,
    (_S.RIVAL, _I.CER_AGAIN): _CLOSE,
    (_S.RIVAL, _I.DWR): _CLOSE,
    (_S.RIVAL, _I.DPR): _CLOSE,
    (_S.RIVAL, _I.REQUEST): _CLOSE,
    (_S.RIVAL, _I.ANSWER): _CLOSE,
    (_S.RIVAL, _I.STOP): _CLOSE,
    (_S.RIVAL, _I.DISCONNECTED): ((), _S.CLOSED),
    # RFC 6733 5.6 Wait-Conn-Ack/Elect
    (_S.ELECTING, _I.OWN_CONNECTED): ((_A.SET_CER_TIMER, _A.ELECT), _S.WAIT_RETURNS),  # I-Rcv-Conn-Ack: Elect
    (_S.ELECTING, _I.OWN_GONE): ((_A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),  # I-Rcv-Conn-Nack: R-Snd-CEA
    # Timeout says Error; but a way that is open in one direction only would keep the peer out for ever.
    (_S.ELECTING, _I.EXPIRED): ((_A.YIELD_OWN, _A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),
    (_S.ELECTING, _I.CER_REFUSED): _CLOSE,
    (_S.ELECTING, _I.CER_AGAIN): _CLOSE,
    (_S.ELECTING, _I.DWR): _CLOSE,
    (_S.ELECTING, _I.DPR): _CLOSE,
    (_S.ELECTING, _I.REQUEST): _CLOSE,
    (_S.ELECTING, _I.ANSWER): _CLOSE,
    (_S.ELECTING, _I.STOP): _CLOSE,
    (_S.ELECTING, _I.DISCONNECTED): ((), _S.CLOSED),  # R-Peer-Disc: R-Disc
    # RFC 6733 5.6 Wait-Returns
    (_S.WAIT_RETURNS, _I.WON): ((_A.YIELD_OWN, _A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),  # Win-Election: I-Disc
    (_S.WAIT_RETURNS, _I.OWN_GONE): ((_A.SEND_CEA, _A.SET_WATCHDOG), _S.OPEN),  # I-Peer-Disc: R-Snd-CEA
    (_S.WAIT_RETURNS, _I.OWN_OPEN): ((_A.SEND_CEA, _A.CLOSE), _S.CLOSED),  # I-Rcv-CEA: R-Disc, and why (4003)
    (_S.WAIT_RETURNS, _I.EXPIRED): _CLOSE,  # Timeout: Error
    (_S.WAIT_RETURNS, _I.CER_REFUSED): _CLOSE,
    (_S.WAIT_RETURNS, _I.CER_AGAIN): _CLOSE,
    (_S.WAIT_RETURNS, _I.DWR): _CLOSE,
    (_S.WAIT_RETURNS, _I.DPR): _CLOSE,
    (_S.WAIT_RETURNS, _I.REQUEST): _CLOSE,
    (_S.WAIT_RETURNS, _I.ANSWER): _CLOSE,
    (_S.WAIT_RETURNS, _I.STOP): _CLOSE,
    (_S.WAIT_RETURNS, _I.DISCONNECTED): ((), _S.CLOSED),  # R-Peer-Disc: R-Disc
    # RFC 6733 5.6 I-Open and R-Open; RFC 3539 3.4.1 OKAY
    (_S.OPEN, _I.REQUEST): ((_A.SET_WATCHDOG, _A.DELIVER), _S.OPEN),  # R-Rcv-Message: Process; Receive non-DWA
    (_S.OPEN, _I.ANSWERED): ((_A.SET_WATCHDOG, _A.RESOLVE), _S.OPEN),
    (_S.OPEN, _I.ANSWER): ((_A.SET_WATCHDOG, _A.DROP), _S.OPEN),
    (_S.OPEN, _I.DWR): ((_A.SET_WATCHDOG, _A.SEND_DWA), _S.OPEN),  # R-Rcv-DWR: Process-DWR, R-Snd-DWA
    (_S.OPEN, _I.DWA): ((_A.SET_WATCHDOG,), _S.OPEN),  # R-Rcv-DWA; Receive DWA: Pending = FALSE
    (_S.OPEN, _I.DPR): ((_A.SEND_DPA, _A.SET_CLOSE_TIMER), _S.LEAVING),  # R-Rcv-DPR: R-Snd-DPA
    # Not in 5.6: clients send one to announce what changed, and their sessions go on.
    (_S.OPEN, _I.CER_AGAIN): ((_A.SET_WATCHDOG, _A.SEND_CEA), _S.OPEN),
    (_S.OPEN, _I.CER_REFUSED): ((_A.SET_WATCHDOG, _A.SEND_CEA), _S.OPEN),
    (_S.OPEN, _I.PROBE): ((_A.SEND_DWR,), _S.OPEN),
    (_S.OPEN, _I.PROBE_PENDING): ((), _S.OPEN),
    (_S.OPEN, _I.EXPIRED): ((_A.SEND_DWR, _A.SET_WATCHDOG), _S.OPEN),  # Timer expires & !Pending
    (_S.OPEN, _I.EXPIRED_PENDING): ((_A.FAILOVER, _A.SET_WATCHDOG), _S.SUSPECT),  # Timer expires & Pending
    (_S.OPEN, _I.STOP): ((_A.SEND_DPR, _A.SET_CLOSE_TIMER), _S.CLOSING),  # Stop: R-Snd-DPR
    (_S.OPEN, _I.DISCONNECTED): ((_A.LOST,), _S.CLOSED),  # R-Peer-Disc; Connection down
    # RFC 3539 3.4.1 SUSPECT: whatever comes shows that the peer lives. A DWR is always out.
    (_S.SUSPECT, _I.REQUEST): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.DELIVER), _S.OPEN),  # Receive non-DWA
    (_S.SUSPECT, _I.ANSWERED): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.RESOLVE), _S.OPEN),
    (_S.SUSPECT, _I.ANSWER): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.DROP), _S.OPEN),
    (_S.SUSPECT, _I.DWR): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.SEND_DWA), _S.OPEN),
    (_S.SUSPECT, _I.DWA): ((_A.FAILBACK, _A.SET_WATCHDOG), _S.OPEN),  # Receive DWA: Pending = FALSE
    (_S.SUSPECT, _I.DPR): ((_A.SEND_DPA, _A.SET_CLOSE_TIMER), _S.LEAVING),  # RFC 6733 5.6 R-Rcv-DPR
    (_S.SUSPECT, _I.CER_AGAIN): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.SEND_CEA), _S.OPEN),
    (_S.SUSPECT, _I.CER_REFUSED): ((_A.FAILBACK, _A.SET_WATCHDOG, _A.SEND_CEA), _S.OPEN),
    (_S.SUSPECT, _I.PROBE_PENDING): ((), _S.SUSPECT),
    (_S.SUSPECT, _I.EXPIRED_PENDING): ((_A.LOST, _A.CLOSE), _S.CLOSED),  # Timer expires: CloseConnection
    (_S.SUSPECT, _I.STOP): ((_A.SEND_DPR, _A.SET_CLOSE_TIMER), _S.CLOSING),
    (_S.SUSPECT, _I.DISCONNECTED): ((_A.LOST,), _S.CLOSED),
    # RFC 3539 3.4.1 REOPEN: only watchdogs count. Requests are served all the same: the client has chosen us, and
    # silence would cost it its session; what a peer in this state does not get is requests of ours.
    (_S.REOPEN, _I.REQUEST): ((_A.DELIVER,), _S.REOPEN),
    (_S.REOPEN, _I.ANSWERED): ((_A.RESOLVE,), _S.REOPEN),
    (_S.REOPEN, _I.ANSWER): ((_A.DROP,), _S.REOPEN),
    (_S.REOPEN, _I.DWR): ((_A.SEND_DWA,), _S.REOPEN),
    (_S.REOPEN, _I.DWA): ((_A.COUNT_DWA,), _S.REOPEN),  # Receive DWA & NumDWA < 2
    (_S.REOPEN, _I.DWA_THIRD): ((_A.FAILBACK,), _S.OPEN),  # Receive DWA & NumDWA == 2
    (_S.REOPEN, _I.DPR): ((_A.SEND_DPA, _A.SET_CLOSE_TIMER), _S.LEAVING),
    (_S.REOPEN, _I.CER_AGAIN): ((_A.SEND_CEA,), _S.REOPEN),
    (_S.REOPEN, _I.CER_REFUSED): ((_A.SEND_CEA,), _S.REOPEN),
    (_S.REOPEN, _I.PROBE): ((_A.SEND_DWR,), _S.REOPEN),
    (_S.REOPEN, _I.PROBE_PENDING): ((), _S.REOPEN),
    (_S.REOPEN, _I.EXPIRED): ((_A.SEND_DWR, _A.SET_WATCHDOG), _S.REOPEN),  # Timer expires & !Pending
    (_S.REOPEN, _I.EXPIRED_PENDING): ((_A.SPEND_DWA, _A.SET_WATCHDOG), _S.REOPEN),  # & Pending & NumDWA >= 0
    (_S.REOPEN, _I.EXPIRED_SPENT): ((_A.LOST, _A.CLOSE), _S.CLOSED),  # & Pending & NumDWA < 0
    (_S.REOPEN, _I.STOP): ((_A.SEND_DPR, _A.SET_CLOSE_TIMER), _S.CLOSING),
    (_S.REOPEN, _I.DISCONNECTED): ((_A.LOST,), _S.CLOSED),
    # RFC 6733 5.6 Closing, after our DPR
    (_S.CLOSING, _I.DPA): _CLOSE,  # R-Rcv-DPA: R-Disc
    (_S.CLOSING, _I.EXPIRED): _CLOSE,  # Timeout: Error
    (_S.CLOSING, _I.DISCONNECTED): ((), _S.CLOSED),  # R-Peer-Disc
    (_S.CLOSING, _I.DPR): ((_A.SEND_DPA,), _S.CLOSING),  # both at once; ours is answered, too
    (_S.CLOSING, _I.REQUEST): ((_A.REFUSE,), _S.CLOSING),  # crossed our DPR: 3004 sends it elsewhere
    (_S.CLOSING, _I.ANSWERED): ((_A.RESOLVE,), _S.CLOSING),
    (_S.CLOSING, _I.ANSWER): ((_A.DROP,), _S.CLOSING),
    (_S.CLOSING, _I.DWR): ((_A.SEND_DWA,), _S.CLOSING),
    (_S.CLOSING, _I.DWA): ((), _S.CLOSING),
    (_S.CLOSING, _I.CER_AGAIN): ((_A.DROP,), _S.CLOSING),
    (_S.CLOSING, _I.CER_REFUSED): ((_A.DROP,), _S.CLOSING),
    (_S.CLOSING, _I.STOP): ((), _S.CLOSING),
    # RFC 6733 5.4: the sender of the DPR closes the connection when it has the DPA
    (_S.LEAVING, _I.DISCONNECTED): ((), _S.CLOSED),
    (_S.LEAVING, _I.EXPIRED): _CLOSE,
    (_S.LEAVING, _I.REQUEST): ((_A.REFUSE,), _S.LEAVING),
    (_S.LEAVING, _I.ANSWERED): ((_A.RESOLVE,), _S.LEAVING),
    (_S.LEAVING, _I.ANSWER): ((_A.DROP,), _S.LEAVING),
    (_S.LEAVING, _I.DWR): ((_A.SEND_DWA,), _S.LEAVING),
    (_S.LEAVING, _I.DWA): ((), _S.LEAVING),
    (_S.LEAVING, _I.DPR): ((_A.SEND_DPA,), _S.LEAVING),
    (_S.LEAVING, _I.CER_AGAIN): ((_A.DROP,), _S.LEAVING),
    (_S.LEAVING, _I.CER_REFUSED): ((_A.DROP,), _S.LEAVING),
    (_S.LEAVING, _I.STOP): ((), _S.LEAVING),
}

# Inputs that cannot come in a state: its CER is behind it or still to come, no DWR or DPR of ours is out, no rival is
# asked, no timer of that kind runs.
_HELLO: Final = frozenset({_I.START, _I.CONNECTED})
_CEA: Final = frozenset({_I.CEA_FIRST, _I.CEA_RETURN, _I.CEA_REFUSED, _I.YIELD})
_CER: Final = frozenset({_I.CER_FIRST, _I.CER_RETURN, _I.CER_RIVAL, _I.CER_ELECTING, _I.CER_ELECTION})
_RIVAL: Final = frozenset({_I.RIVAL_GONE, _I.RIVAL_LIVES})
_ELECTION: Final = frozenset({_I.OWN_CONNECTED, _I.OWN_GONE, _I.OWN_OPEN, _I.WON})
_OPENED: Final = frozenset(
    {_I.ANSWERED, _I.DWA, _I.DWA_THIRD, _I.DPA, _I.PROBE, _I.PROBE_PENDING, _I.EXPIRED_PENDING, _I.EXPIRED_SPENT}
)
_ADMISSION: Final = _HELLO | _CEA | _CER | _RIVAL | _ELECTION
_BEFORE: Final = _HELLO | _CEA | _OPENED
_ENDING: Final = _ADMISSION | {_I.DWA_THIRD, _I.PROBE, _I.PROBE_PENDING, _I.EXPIRED_PENDING, _I.EXPIRED_SPENT}
ILLEGAL: Final[dict[State, frozenset[Input]]] = {
    _S.CLOSED: frozenset(_I) - {_I.START, _I.CONNECTED, _I.DISCONNECTED, _I.STOP},
    _S.CONNECTING: frozenset(_I) - {_I.CONNECTED, _I.DISCONNECTED, _I.EXPIRED, _I.YIELD, _I.STOP},
    _S.WAIT_CEA: _HELLO | _CER | _RIVAL | _ELECTION | _OPENED,
    _S.WAIT_CER: _BEFORE | _RIVAL | _ELECTION | {_I.CER_AGAIN},
    _S.RIVAL: _BEFORE | _CER | _ELECTION,
    _S.ELECTING: _BEFORE | _CER | _RIVAL | {_I.OWN_OPEN, _I.WON},
    _S.WAIT_RETURNS: _BEFORE | _CER | _RIVAL | {_I.OWN_CONNECTED},
    _S.OPEN: _ADMISSION | {_I.DPA, _I.DWA_THIRD, _I.EXPIRED_SPENT},
    _S.SUSPECT: _ADMISSION | {_I.DPA, _I.DWA_THIRD, _I.PROBE, _I.EXPIRED, _I.EXPIRED_SPENT},
    _S.REOPEN: _ADMISSION | {_I.DPA},
    _S.CLOSING: _ENDING,
    _S.LEAVING: _ENDING | {_I.DPA},
}

WATCHED: Final = frozenset({_S.OPEN, _S.SUSPECT, _S.REOPEN})
# States of a connection of our own that is not open yet.
PENDING: Final = frozenset({_S.CONNECTING, _S.WAIT_CEA})
_TIMEOUT_NS: Final = {
    _A.SET_CONNECT_TIMER: CONNECT_ALL_TIMEOUT_S * SECOND_NS,
    _A.SET_ELECTION_TIMER: ELECTION_TIMEOUT_S * SECOND_NS,
    _A.SET_CER_TIMER: CER_TIMEOUT_S * SECOND_NS,
    _A.SET_RIVAL_TIMER: RIVAL_TIMEOUT_S * SECOND_NS,
    _A.SET_CLOSE_TIMER: DRAIN_TIMEOUT_S * SECOND_NS,
}
_OWN: Final = frozenset(_TIMEOUT_NS) | {_A.SET_WATCHDOG, _A.COUNT_DWA, _A.SPEND_DWA}
# Each row cut into what the machine does and what the node does.
_ROWS: Final = {
    cell: (tuple(a for a in actions if a in _OWN), tuple(a for a in actions if a not in _OWN), state)
    for cell, (actions, state) in TABLE.items()
}


class PeerMachine:
    """State and timer of one connection.

    deadline_ns: when `step(Input.EXPIRED, ...)` is due, None: never. dwr_sent_ns: when the pending DWR went out, None:
    none is out. answers: NumDWA of RFC 3539 3.4.1, -1 after a watchdog without answer.
    """

    __slots__ = ("answers", "deadline_ns", "dwr_sent_ns", "state", "watchdog_ns")

    def __init__(self, watchdog_s: int) -> None:
        self.state = State.CLOSED
        self.deadline_ns: int | None = None
        self.dwr_sent_ns: int | None = None
        self.answers = 0
        self.watchdog_ns = 0
        self.set_watchdog(watchdog_s)

    def set_watchdog(self, watchdog_s: int) -> None:
        """Twinit from the next timer on."""
        self.watchdog_ns = max(watchdog_s, WATCHDOG_MIN_S) * SECOND_NS

    def postpone(self, now_ns: int) -> None:
        """Another whole interval before the watchdog expires: it was us who did not read."""
        self.deadline_ns = now_ns + self.watchdog_ns

    def step(self, event: Input, now_ns: int, jitter_ns: int = 0) -> tuple[Action, ...]:
        """Take one input; what is left for the node to do, in order.

        jitter_ns: between -2 and +2 s, added to the watchdog's interval if this step sets it. Raises UsageError for an
        input that cannot come in this state.
        """
        if event in _REFINED:
            event = self._refine(event)
        row = _ROWS.get((self.state, event))
        if row is None:
            raise UsageError(f"{event.name} in state {self.state.name}")
        own, outward, self.state = row
        if event is Input.DWA or event is Input.DWA_THIRD:
            self.dwr_sent_ns = None
        for action in own:
            if action is Action.SET_WATCHDOG:
                self.deadline_ns = now_ns + self.watchdog_ns + jitter_ns
            elif action is Action.COUNT_DWA:
                self.answers += 1
            elif action is Action.SPEND_DWA:
                self.answers = -1
            else:
                self.deadline_ns = now_ns + _TIMEOUT_NS[action]
        if Action.SEND_DWR in outward:
            self.dwr_sent_ns = now_ns
        if self.state is State.CLOSED:
            self.deadline_ns = None
        return outward

    def _refine(self, event: Input) -> Input:
        pending = self.dwr_sent_ns is not None
        if event is Input.EXPIRED:
            if not pending or self.state not in WATCHED:
                return event
            spent = self.state is State.REOPEN and self.answers < 0
            return Input.EXPIRED_SPENT if spent else Input.EXPIRED_PENDING
        if event is Input.PROBE:
            return Input.PROBE_PENDING if pending else event
        third = self.state is State.REOPEN and self.answers == REOPEN_ANSWERS - 1
        return Input.DWA_THIRD if third else event


_REFINED: Final = frozenset({Input.EXPIRED, Input.PROBE, Input.DWA})
