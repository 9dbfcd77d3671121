"""What is kept as MessagePack in the rows of a store, to and from."""

from __future__ import annotations

from typing import Final

import msgspec

from ocs.balances.account import Account
from ocs.balances.journal import Entry
from ocs.charging.outcome import Effect
from ocs.charging.session import Answered, Session

encode: Final = msgspec.msgpack.encode
account_of: Final = msgspec.msgpack.Decoder(Account).decode
session_of: Final = msgspec.msgpack.Decoder(Session).decode
entry_of: Final = msgspec.msgpack.Decoder(Entry).decode
effect_of: Final = msgspec.msgpack.Decoder(Effect).decode
answers_of: Final = msgspec.msgpack.Decoder(tuple[Answered, ...]).decode
attributes_of: Final = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...]).decode
