"""What can go wrong: by the peer's fault (answered with a Result-Code), by the stream's, or by our own.

A `PeerError` is an answer in the making; it never means that this program is broken. A `UsageError` always does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocs.diameter.wire import Avp, Message


class PeerError(Exception):
    """A message that is answered with `result_code` instead of being served.

    `failed_avp` is what Failed-AVP is to hold: one or two encoded AVPs, padded (RFC 6733 7.5), or None.
    `header` is the message without its AVPs, where its 20 octets could be read, and `avps` are those that stood
    before the fault: both are set by `decode_message` only, since a caller of the grammar has the message already.
    `limit` names the entry of `ocs.limits.LIMITS` that was hit, or is empty.
    """

    def __init__(self, result_code: int, failed_avp: bytes | None = None, reason: str = "", limit: str = "") -> None:
        super().__init__(result_code, failed_avp, reason, limit)
        self.result_code = int(result_code)
        self.failed_avp = failed_avp
        self.reason = reason
        self.limit = limit
        self.header: Message | None = None
        self.avps: list[Avp] = []

    def __str__(self) -> str:
        return f"{self.result_code}: {self.reason}"

    def within(self, group: Avp) -> PeerError:
        """This error, its Failed-AVP now inside `group`: the path to the offender is kept (RFC 6733 7.5)."""
        if self.failed_avp is not None:
            self.failed_avp = group.around(self.failed_avp)
        return self


class FramingLost(Exception):
    """The octets that follow in a stream cannot be cut into messages any more: answer once, then close.

    `frames` are the messages that were complete before the fault, `result_code` is 5011 or 5015, and `header` holds
    the 20 octets at which the stream broke.
    """

    def __init__(self, result_code: int, frames: list[bytes], header: bytes, reason: str, limit: str = "") -> None:
        super().__init__(result_code, frames, header, reason, limit)
        self.result_code = int(result_code)
        self.frames = frames
        self.header = header
        self.reason = reason
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.result_code}: {self.reason}"


class UsageError(Exception):
    """Our own code asked for what cannot be encoded: a value out of range, a code that does not exist."""
