"""What of the charge of an event is given back, to the nano, however many refunds it comes in; and how it is named."""

from __future__ import annotations

from typing import Final, NamedTuple

from ocs.charging.session import Charge
from ocs.limits import SESSION_ID_OCTETS_MAX

_FORM: Final = b"\1"
_NUMBER_OCTETS: Final = 4


class Given(NamedTuple):
    """A part of a charge: base units of usage, the part that unit balances had paid, what goes back to balances."""

    usage: int
    unit_usage: int
    units: tuple[tuple[str, int], ...]
    money: tuple[tuple[str, int], ...]


def give(charge: Charge, usage: int) -> Given:
    """What the next `usage` base units of a charge are worth: all refunds of it together never exceed what it took."""
    before, after = charge.refunded, charge.refunded + usage
    assert 0 <= usage <= charge.usage - before

    def part(amount: int) -> int:
        return amount * after // charge.usage - amount * before // charge.usage if charge.usage else 0

    return Given(
        usage,
        part(charge.unit_usage),
        tuple([(balance_id, part(amount)) for balance_id, amount in charge.units]),
        tuple([(balance_id, part(amount)) for balance_id, amount in charge.money]),
    )


def information(session_key: str, number: int) -> bytes:
    """Refund-Information (TS 32.299 7.2.159): octets that a refund of that event has to bring."""
    return _FORM + number.to_bytes(_NUMBER_OCTETS) + session_key.encode()


def named_by(octets: bytes) -> tuple[str, int] | None:
    """(session key, CC-Request-Number) that a Refund-Information names, None where it is none of ours."""
    head = len(_FORM) + _NUMBER_OCTETS
    if not octets.startswith(_FORM) or not head < len(octets) <= head + 2 * SESSION_ID_OCTETS_MAX:
        return None
    try:
        key = octets[head:].decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in key else (key, int.from_bytes(octets[len(_FORM) : head]))
