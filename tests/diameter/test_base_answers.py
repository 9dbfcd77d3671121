"""Answers: their order, their bits, and what they give back."""

import pytest

from ocs.diameter.application import RequestContext
from ocs.diameter.base_answers import answer_bytes, answer_head, answer_tail, base_answer, make_origin
from ocs.diameter.errors import UsageError
from ocs.diameter.grammar import check_answer
from ocs.diameter.wire import decode_message
from tests.diameter.samples import avp, credit_control, message

ORIGIN = make_origin("ocs.example.com", "example.com", 17)
PROXIES = [
    avp("Proxy-Info", [avp("Proxy-Host", f"dra{number}.example.com"), avp("Proxy-State", bytes([number]))])
    for number in (2, 1)
]


def request(*more, flags=0xC0):
    return message(272, [*credit_control(2, 3), *more], flags=flags)


def answered(result_code, *more, flags=0xC0, **kwargs):
    return decode_message(base_answer(request(*more, flags=flags), result_code, ORIGIN, **kwargs))


def codes(answer):
    return [part.code for part in answer.avps]


@pytest.mark.conformance("A28", "A30", "B1")
def test_an_answer_in_its_own_grammar():
    answer = answered(5031, *PROXIES, avp("Route-Record", "dra1.example.com"), failed_avp=avp("Rating-Group", 7))
    assert codes(answer) == [263, 268, 264, 296, 258, 416, 415, 279, 284, 284]
    assert answer.find(263).data == b"gw.example.com;1;2;app_gy"
    assert int.from_bytes(answer.find(416).data) == 2
    assert int.from_bytes(answer.find(415).data) == 3
    assert answer.find(279).data == avp("Rating-Group", 7)
    assert [part.encode() for part in answer.find_all(284)] == PROXIES
    assert (answer.is_request, answer.is_proxiable, answer.is_error) == (False, True, False)
    assert (answer.hop_by_hop_id, answer.end_to_end_id, answer.application_id) == (7, 8, 4)
    check_answer(answer)


@pytest.mark.conformance("A28")
def test_protocol_errors_have_the_e_bit_and_the_generic_grammar():
    answer = answered(3004, message="busy")
    assert answer.is_error
    assert codes(answer) == [263, 268, 264, 296, 281]
    check_answer(answer)


@pytest.mark.conformance("A28")
@pytest.mark.parametrize(("flags", "expected"), [(0x80, 0x00), (0xC0, 0x40), (0xD0, 0x40), (0x8F, 0x00)])
def test_only_the_p_bit_is_copied(flags, expected):
    assert answered(2001, flags=flags).flags == expected


def test_a_request_too_broken_for_its_grammar():
    answer = answered(5014, unreadable=True)
    assert answer.is_error
    assert codes(answer) == [263, 268, 264, 296]


def test_result_codes_beyond_the_table():
    assert int.from_bytes(answered(5999).find(268).data) == 5999


def test_numbers_that_cannot_be_read_are_not_repeated():
    parts = [part for part in credit_control() if not part.startswith(b"\0\0\1\xa0")]
    broken = message(272, [*parts, avp("CC-Request-Type", b"\1")])
    assert codes(decode_message(base_answer(broken, 5014, ORIGIN))) == [263, 268, 264, 296, 258, 415]


def test_a_request_without_session_id():
    bare = message(272, [])
    assert codes(decode_message(base_answer(bare, 3001, ORIGIN))) == [268, 264, 296]


def test_an_error_message_has_an_end():
    text = answered(5012, message="\N{EURO SIGN}" * 200).find(281)
    assert text.data.decode() == "\N{EURO SIGN}" * 85
    assert text.flags == 0


def test_head_and_tail_make_an_application_answer():
    asked = request(*PROXIES)
    body = answer_head(asked, 2001, ORIGIN) + avp("Auth-Application-Id", 4) + answer_tail(asked)
    assert codes(decode_message(answer_bytes(asked, body))) == [263, 268, 264, 296, 258, 284, 284]


def test_a_name_is_ascii():
    with pytest.raises(UsageError):
        make_origin("öcs", "example.com", 0)


class Outbox:
    draining = False

    def __init__(self):
        self.sent = []

    def send_answer(self, context, data):
        self.sent.append((context, data))


def test_a_context_answers_once():
    outbox = Outbox()
    context = RequestContext(request(), ORIGIN, "gw.example.com", None, outbox)
    context.error(4012, avp("Rating-Group", 1), "no credit")
    context.answer(b"late")
    ((sender, data),) = outbox.sent
    assert sender is context
    assert codes(decode_message(data)) == [263, 268, 264, 296, 258, 416, 415, 279, 281]
    outbox.draining = True
    assert context.draining
