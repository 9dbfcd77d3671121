"""Called numbers, from what clients send to digits that prefixes are written for."""

from __future__ import annotations

import pytest

from ocs.rating.numbers import Numbering, dialled, international

EMERGENCY = {"112", "000", "110"}
AUSTRALIA = Numbering("0011", "0", "61")
GERMANY = Numbering("00", "0", "49")


@pytest.mark.conformance("C20")
@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("61491570156", "61491570156"),
        ("+61491570156", "+61491570156"),
        ("tel:+61491570156", "+61491570156"),
        ("TEL:+61-491-570.156", "+61491570156"),
        ("tel:(0491) 570 156;phone-context=+61", "0491570156"),
        ("tel:112;phone-context=+49", "112"),
        ("sip:+61491570156@ims.example.com;user=phone", "+61491570156"),
        ("sip:+61491570156;npdi;rn=+61400@ims.example.com", "+61491570156"),
        ("sips:000@ims.example.com", "000"),
        ("sip:alice@ims.example.com", "alice"),
        ("sip:anna-maria@ims.example.com", "anna-maria"),
        ("urn:service:sos", "urn:service:sos"),
        ("", ""),
        ("+", "+"),
        (" 112 ", "112"),
    ],
)
def test_the_number_as_dialled(address: str, number: str) -> None:
    assert dialled(address) == number


@pytest.mark.parametrize(
    ("number", "rules", "digits"),
    [
        ("+61491570156", Numbering(), "61491570156"),
        ("0061491570156", Numbering(), "61491570156"),
        ("61491570156", Numbering(), "61491570156"),
        ("0491570156", Numbering(), "0491570156"),
        ("0491570156", AUSTRALIA, "61491570156"),
        ("001149301234567", AUSTRALIA, "49301234567"),
        ("0301234567", GERMANY, "49301234567"),
        ("0061491570156", GERMANY, "61491570156"),
        ("030", Numbering("", "0", "49"), "4930"),
        ("030", Numbering("00", "0", ""), "030"),
        ("0011", Numbering("", "", "49"), "0011"),
        ("000", Numbering(), "000"),
        ("110", GERMANY, "110"),
        ("000", GERMANY, "000"),
        ("0001", GERMANY, "01"),
        ("1120", GERMANY, "1120"),
        ("alice", GERMANY, "alice"),
        ("", GERMANY, ""),
    ],
)
def test_numbers_become_international_but_emergency_numbers_stay_as_they_are(
    number: str, rules: Numbering, digits: str
) -> None:
    assert international(number, rules, EMERGENCY) == digits
