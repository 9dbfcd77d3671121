"""Refund-Information on the wire: given out with a debit, brought back by its refund."""

import pytest

from ocs.charging.refunded import information
from ocs.charging.requests import ChargingAnswer, GroupAnswer, RequestedAction, Result
from ocs.diameter.errors import PeerError
from ocs.diameter.wire import Message, encode_avp
from ocs.rating.units import Measure
from tests.diameter.applications.world import cca, read
from tests.diameter.clients.avps import EVENT, ccr, mscc, rsu, text, u32, units

KEY = "smsc.example.com;1;2"


def event(*more: bytes, action: int = 0, session_id: str = KEY, number: int = 0) -> bytes:
    return ccr(
        text("Session-Id", session_id),
        text("Origin-Host", "smsc.example.com"),
        text("Origin-Realm", "example.com"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", "32274@3gpp.org"),
        u32("CC-Request-Type", EVENT),
        u32("CC-Request-Number", number),
        u32("Requested-Action", action),
        *more,
    )


def own(data: bytes) -> bytes:
    return encode_avp(2022, data, 10415)


def refund_information(message: Message) -> list[tuple[bytes, bool]]:
    found = [avp for avp in message.avps if avp.code == 2022]
    for group in message.find_all(456):
        found += [avp for avp in group.children() if avp.code == 2022]
    return [(avp.data, bool(avp.flags & 0x40)) for avp in found]


@pytest.mark.conformance("B11", "C12")
@pytest.mark.parametrize("inside", [(), (mscc(rsu(units(1)), rating_group=300),)])
def test_the_answer_to_a_debit_tells_how_to_refund_it_without_the_m_bit(inside: tuple[bytes, ...]) -> None:
    octets = information(KEY, 0)
    groups = (GroupAnswer(300, None, Result.SUCCESS, Measure.EVENTS, 1),)
    answer = cca(event(*inside), ChargingAnswer(Result.SUCCESS, groups, refund_information=octets))
    assert refund_information(answer) == [(octets, False)]


@pytest.mark.conformance("B11", "C27")
@pytest.mark.parametrize("place", ["command", "group"])
def test_a_refund_belongs_to_the_session_of_its_charge(place: str) -> None:
    avp = own(information(KEY, 7))
    more = (avp,) if place == "command" else (mscc(avp, rating_group=300),)
    asked = read(event(*more, action=1, session_id="smsc.example.com;9", number=4))
    assert asked.action is RequestedAction.REFUND_ACCOUNT
    assert (asked.session_key, asked.refund_number) == (KEY, 7)
    assert asked.memory_key != read(event(action=0, number=4)).memory_key


def test_a_debit_is_never_moved_to_another_session() -> None:
    assert read(event(own(information("other", 0)))).session_key == KEY


def test_octets_that_were_not_given_out_here_are_refused() -> None:
    with pytest.raises(PeerError) as refused:
        read(event(own(b"what"), action=1))
    assert refused.value.result_code == 5004
    assert refused.value.failed_avp == own(b"what")
