"""Emergency and free calls: decided before any account is looked up, charged to nobody, recorded on a house account."""

from __future__ import annotations

from typing import Final

from ocs.balances.account import Account
from ocs.charging.requests import ChargingRequest
from ocs.rating.numbers import dialled, international
from ocs.rating.prices import Rate
from ocs.rating.tariff import Found, Tariff
from ocs.rating.units import Measure

HOUSE_ACCOUNT: Final = "*house"
"""The account that emergency and free calls are recorded on: it has no balances, and is never refused."""

EMERGENCY: Final = "*emergency"
FREE: Final = "*free"
TERMINATING: Final = "*terminating"


def free(destination_id: str, prefix: str, measure: Measure, version: str) -> Found:
    """A rate that costs nothing and takes nothing."""
    return Found(prefix, destination_id, Rate(destination_id, measure, free=True), version)


def called_number(request: ChargingRequest, tariff: Tariff) -> str:
    """Digits of the called party in international form, "" where there is none."""
    return number_of(request.called, tariff)


def number_of(called: str, tariff: Tariff) -> str:
    """Digits of a party as sent, in international form."""
    return international(dialled(called), tariff.numbering, tariff.emergency_numbers) if called else ""


def house_destination(number: str, tariff: Tariff) -> tuple[str, str] | None:
    """(destination id, prefix) of a number that is free for everybody, None for all others.

    Emergency numbers match exactly: 112 is not the prefix of 112xxxx.
    """
    if number in tariff.emergency_numbers:
        return EMERGENCY, number
    found = tariff.free_prefixes.find(number) if number else None
    return None if found is None else (found[1], found[0])


def is_house_call(request: ChargingRequest, tariff: Tariff) -> bool:
    """Whether the request belongs on the house account (known from the called number; later ones by their session)."""
    if request.terminating or house_destination(called_number(request, tariff), tariff) is None:
        return False
    return all(house_destination(number_of(called, tariff), tariff) is not None for called in request.more_called)


def new_house_account(tariff: Tariff) -> Account:
    """The house account before its first entry."""
    return Account(HOUSE_ACCOUNT, 0, tariff.currency, plan="")
