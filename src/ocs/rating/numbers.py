"""Called numbers: from what a client sends to digits that prefixes are written for."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


class Numbering(msgspec.Struct, frozen=True):
    """Rules of the home network's numbering plan.

    international_prefix: what is dialled before a country code ("00"); stripped.
    national_prefix: what is dialled before a national number ("0"); replaced by `country_code`, where both are set.
    """

    international_prefix: str = "00"
    national_prefix: str = ""
    country_code: str = ""


def dialled(address: str) -> str:
    """The number or user part as dialled: without scheme, domain, parameters and visual separators (RFC 3966 5.1.1).

    "sip:+4917@ims.example.com;user=phone" -> "+4917"; "tel:112;phone-context=+49" -> "112".
    """
    scheme, colon, rest = address.partition(":")
    user = rest if colon and scheme.lower() in ("sip", "sips", "tel") else address
    user = user.partition("@")[0].partition(";")[0].strip()
    bare = user.translate(_VISUAL_SEPARATORS)
    return bare if bare.lstrip("+").isdigit() else user


def international(number: str, rules: Numbering, emergency_numbers: Collection[str] = ()) -> str:
    """Digits in international form of a number as dialled; what is no number (a user name) stays as it is.

    Emergency numbers are matched first and exactly, so that 000 survives the stripping of 00.
    """
    if number in emergency_numbers:
        return number
    if number.startswith("+"):
        return number[1:]
    if rules.international_prefix and number.startswith(rules.international_prefix):
        return number[len(rules.international_prefix) :]
    if rules.national_prefix and rules.country_code and number.startswith(rules.national_prefix):
        return rules.country_code + number[len(rules.national_prefix) :]
    return number
