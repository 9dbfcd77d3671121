"""RAR and ASR as they are sent, and what is made of their answers."""

import msgspec
import pytest

from ocs.charging.effects import Detail
from ocs.diameter.applications.reauth import Said, abort_session, code_of, re_auth, realm_of, said
from ocs.diameter.base_answers import make_origin
from ocs.diameter.grammar import check_request
from ocs.diameter.node import Node
from ocs.diameter.wire import decode_message, message_bytes
from tests.diameter import samples
from tests.diameter.node_kit import FakeClock, Service, settings
from tests.diameter.samples import avp

HOST, REALM = "pgw.example.net", "example.net"


def on_the_wire(request):
    """The message that the node makes of it."""
    body = Node(settings(), [Service()], origin_state_id=1, clock=FakeClock()).outgoing._body(request)
    return decode_message(message_bytes(0xC0, request.command_code, request.application_id, 1, 2, body))


@pytest.mark.conformance("B31")
def test_a_rar_names_what_is_to_come_again_and_nothing_else():
    full = Detail(rating_group=7, service_id=8, pool=9, sub_session_id=2**40)
    message = on_the_wire(re_auth("s;1", HOST, REALM, full, via="dra"))
    check_request(message, strict=True)
    named = {code: int.from_bytes(message.find(code).data) for code in (258, 285, 419, 432, 439, 453)}
    assert named == {258: 4, 285: 0, 419: 2**40, 432: 7, 439: 8, 453: 9}
    assert message.find(293).data == HOST.encode()
    plain = on_the_wire(re_auth("s;1", HOST, REALM, Detail(cause="topup")))
    check_request(plain, strict=True)
    assert [part.code for part in plain.avps] == [263, 264, 296, 283, 293, 258, 285, 621]
    assert on_the_wire(re_auth("s;1", HOST, REALM, Detail(rating_group=0))).find(432).data == bytes(4)


@pytest.mark.conformance("A40", "B32")
def test_an_asr_has_no_more_than_its_session():
    request = abort_session("s;1", HOST, REALM, via="dra")
    message = on_the_wire(request)
    check_request(message, strict=True)
    assert (message.command_code, message.application_id, request.via) == (274, 4, "dra")
    assert [part.code for part in message.avps] == [263, 264, 296, 283, 293, 258, 621]


@pytest.mark.conformance("B31", "A40")
@pytest.mark.parametrize(
    ("codes", "meant"),
    [
        ((2001, 2002, 2999), Said.DONE),
        ((5002, 5030), Said.UNKNOWN_SESSION),
        ((3002, 3004, 3005, 3010, 4001, 4999), Said.LATER),
        ((3001, 3007, 3008, 3009, 5001, 5003, 5012, 1001, 0, 2**32 - 1), Said.REFUSED),
    ],
)
def test_what_an_answer_means(codes, meant):
    assert {said(code) for code in codes} == {meant}


def test_the_code_of_an_answer():
    def answer(*parts):
        return samples.message(258, [*parts], flags=0x40)

    experimental = avp("Experimental-Result", [avp("Vendor-Id", 10415), avp("Experimental-Result-Code", 5030)])
    assert code_of(answer(avp("Result-Code", 2002), experimental)) == 2002
    assert code_of(answer(experimental)) == 5030
    assert code_of(answer()) == 0
    assert code_of(answer(avp("Result-Code", b"\x07"))) == 0
    assert code_of(answer(avp("Experimental-Result", b"\xff\xff\xff"))) == 0


def test_a_realm_where_none_is_known():
    assert (realm_of("pgw.epc.example.net"), realm_of("pgw")) == ("epc.example.net", "pgw")
    assert msgspec.structs.asdict(abort_session("s", HOST, realm_of(HOST)))["destination_realm"] == "example.net"
    assert make_origin(HOST, realm_of(HOST), 1)
