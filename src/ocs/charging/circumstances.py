"""From the attributes of a request to the facts that rates ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from ocs.rating.conditions import Facts

RATS: Final[Mapping[str, str]] = {
    "1": "utran",
    "2": "geran",
    "3": "wlan",
    "4": "gan",
    "5": "hspa",
    "6": "eutra",
    "8": "nb-iot",
    "9": "lte-m",
    "10": "nr",
    "51": "nr",
}
"""3GPP-RAT-Type (TS 29.061 16.4.7.2) and our words; any other is known by its number."""

_CELLS: Final = frozenset({0, 1, 2, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137})
"""Kinds of 3GPP-User-Location-Info that begin with a PLMN."""


def facts_of(
    attributes: Mapping[str, str], asked: Collection[str], home_networks: Collection[str], direction: str
) -> Facts:
    """The facts of `asked` that attributes tell, in the order of their names.

    home_networks: PLMNs that are not roaming in; none: nothing is known of roaming. direction: "" = not known.
    """
    found = []
    for name, read in _READERS:
        if name in asked:
            value = direction if name == "direction" else read(attributes, home_networks)
            if value:
                found.append((name, value))
    return tuple(found)


def _apn(attributes: Mapping[str, str], _: Collection[str]) -> str:
    """The network identifier, without the operator's (TS 23.003 9.1)."""
    apn = attributes.get("apn", "").lower()
    network, mark, _operator = apn.partition(".mnc")
    return network if mark and apn.endswith(".gprs") else apn


def _location(attributes: Mapping[str, str], _: Collection[str]) -> str:
    """MCC and MNC of where the user is, as the cell says (TS 29.274 8.21)."""
    text = attributes.get("user_location", "")
    try:
        octets = bytes.fromhex(text[:8])
    except ValueError:
        return ""
    if len(octets) < 4 or octets[0] not in _CELLS:
        return ""
    digits = f"{octets[1]:02x}"[::-1] + f"{octets[2]:02x}"[1] + f"{octets[3]:02x}"[::-1]
    third = f"{octets[2]:02x}"[0]
    plmn = digits if third == "f" else digits + third
    return plmn if plmn.isdigit() else ""


def _plmn(attributes: Mapping[str, str], home_networks: Collection[str]) -> str:
    """The serving network: as the gateway says, else as the cell does."""
    return attributes.get("sgsn_mcc_mnc", "") or _location(attributes, home_networks)


def _roaming(attributes: Mapping[str, str], home_networks: Collection[str]) -> str:
    plmn = _plmn(attributes, home_networks)
    if not plmn or not home_networks:
        return ""
    return "false" if plmn in home_networks else "true"


def _rat(attributes: Mapping[str, str], _: Collection[str]) -> str:
    number = attributes.get("rat_type", "")
    return RATS.get(number, number)


def _direction(_: Mapping[str, str], __: Collection[str]) -> str:
    return ""


def _qci(attributes: Mapping[str, str], _: Collection[str]) -> str:
    return attributes.get("qci", "")


_READERS: Final[tuple[tuple[str, Callable[[Mapping[str, str], Collection[str]], str]], ...]] = (
    ("apn", _apn),
    ("direction", _direction),
    ("location", _location),
    ("plmn", _plmn),
    ("qci", _qci),
    ("rat", _rat),
    ("roaming", _roaming),
)
