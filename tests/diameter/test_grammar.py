"""What a request must, may and may not hold, and what the Failed-AVP of the refusal shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter.dictionary import BY_KEY, BY_NAME
from ocs.diameter.errors import PeerError
from ocs.diameter.grammar import ANSWERS, REQUESTS, check_answer, check_request
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import MINIMUM_OCTETS
from ocs.diameter.wire import AVP_FLAG_MANDATORY, Avp, encode_avp
from ocs.limits import GROUPS_PER_REQUEST_MAX, SESSION_ID_OCTETS_MAX, USAGE_MAX
from tests.diameter import samples
from tests.diameter.samples import CAPABILITIES, ORIGIN, avp, credit_control, message, subscription

UNKNOWN = encode_avp(99999, b"what is this")
UNKNOWN_OF_VENDOR = encode_avp(2, b"\1\2", 4711)
UNKNOWN_OPTIONAL = encode_avp(99999, b"what is this", mandatory=False)


def refused(command_code: int, parts: list[bytes], strict: bool = False) -> PeerError:
    with pytest.raises(PeerError) as caught:
        check_request(message(command_code, parts), strict=strict)
    return caught.value


def accepted(command_code: int, parts: list[bytes], strict: bool = False) -> bool:
    check_request(message(command_code, parts), strict=strict)
    return True


def without(parts: list[bytes], name: str) -> list[bytes]:
    code = BY_NAME[name].code.to_bytes(4)
    return [part for part in parts if part[:4] != code]


def replaced(parts: list[bytes], name: str, part: bytes) -> list[bytes]:
    code = BY_NAME[name].code.to_bytes(4)
    assert any(old[:4] == code for old in parts)
    return [part if old[:4] == code else old for old in parts]


def example(name: str) -> bytes:
    definition = BY_NAME[name]
    return avp(name, bytes(MINIMUM_OCTETS.get(definition.type, 0)))


def required_names(command_code: int) -> list[str]:
    grammar = REQUESTS[command_code]
    return [BY_KEY[key].name for key, rule in grammar.rules.items() if rule[0] & grammar.required]


REQUIRED = [(code, name) for code in REQUESTS for name in required_names(code)]
SINGLE = [
    (code, BY_KEY[key].name) for code, grammar in REQUESTS.items() for key, rule in grammar.rules.items() if rule[1]
]


@pytest.mark.parametrize("command_code", REQUESTS)
@pytest.mark.parametrize("strict", [False, True])
def test_good_requests_pass(command_code, strict):
    assert accepted(command_code, samples.REQUESTS[command_code], strict)


@pytest.mark.parametrize("request_type", [1, 2, 3, 4])
def test_every_kind_of_credit_control_request_passes(request_type):
    assert accepted(272, credit_control(request_type, 3))


def test_a_command_without_a_table_is_not_looked_at():
    assert accepted(8388645, [UNKNOWN])


# 5005


def test_the_tables_require_what_the_standards_do():
    assert required_names(280) == ["Origin-Host", "Origin-Realm"]
    assert required_names(257) == ["Origin-Host", "Origin-Realm", "Vendor-Id", "Product-Name", "Host-IP-Address"]
    assert required_names(275) == [
        "Session-Id",
        "Origin-Host",
        "Origin-Realm",
        "Destination-Realm",
        "Auth-Application-Id",
        "Termination-Cause",
    ]


@pytest.mark.conformance("A17")
@pytest.mark.parametrize(("command_code", "name"), REQUIRED)
def test_a_missing_avp_is_shown_with_the_least_zeros(command_code, name):
    error = refused(command_code, without(samples.REQUESTS[command_code], name))
    assert error.result_code == ResultCode.MISSING_AVP
    assert error.failed_avp == example(name)
    assert name in error.reason


@pytest.mark.conformance("A17")
def test_missing_avps_are_shown_octet_by_octet():
    assert refused(272, without(credit_control(), "CC-Request-Number")).failed_avp == bytes.fromhex(
        "0000019f 4000000c 00000000"
    )
    assert refused(257, without(CAPABILITIES, "Product-Name")).failed_avp == bytes.fromhex("0000010d 00000008")


def test_the_application_may_stand_in_a_vendors_application_alone():
    parts = without(credit_control(), "Auth-Application-Id")
    assert refused(272, parts).failed_avp == example("Auth-Application-Id")
    kamailio = avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", 10415), avp("Auth-Application-Id", 4)])
    assert accepted(272, [*parts, kamailio])


@pytest.mark.conformance("A17", "A27")
def test_a_missing_avp_of_a_group_is_shown_inside_the_group():
    half = avp("Subscription-Id", [avp("Subscription-Id-Type", 0)])
    error = refused(272, [*credit_control(), half])
    assert error.result_code == ResultCode.MISSING_AVP
    assert error.failed_avp == avp("Subscription-Id", [avp("Subscription-Id-Data", "")])


@pytest.mark.conformance("B9")
def test_an_event_needs_a_requested_action():
    error = refused(272, without(credit_control(4), "Requested-Action"))
    assert error.result_code == ResultCode.MISSING_AVP
    assert error.failed_avp == example("Requested-Action")


@pytest.mark.conformance("B9", "B10")
def test_a_requested_action_counts_in_an_event_only():
    odd = avp("Requested-Action", 4)
    error = refused(272, replaced(credit_control(4), "Requested-Action", odd))
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_VALUE, odd)
    for request_type in (1, 2, 3):
        assert accepted(272, replaced(credit_control(request_type), "Requested-Action", odd))
        assert accepted(272, without(credit_control(request_type), "Requested-Action"))
    for action in range(4):
        assert accepted(272, replaced(credit_control(4), "Requested-Action", avp("Requested-Action", action)))


# 5001 and what is ignored


@pytest.mark.conformance("A15")
@pytest.mark.parametrize("command_code", REQUESTS)
@pytest.mark.parametrize("unknown", [UNKNOWN, UNKNOWN_OF_VENDOR])
def test_an_unknown_avp_with_the_m_bit_is_shown(command_code, unknown):
    error = refused(command_code, [*samples.REQUESTS[command_code], unknown])
    assert error.result_code == ResultCode.AVP_UNSUPPORTED
    assert error.failed_avp == unknown


@pytest.mark.conformance("A16")
@pytest.mark.parametrize("command_code", REQUESTS)
def test_an_unknown_avp_without_the_m_bit_is_ignored(command_code):
    assert accepted(command_code, [*samples.REQUESTS[command_code], UNKNOWN_OPTIONAL], strict=True)


@pytest.mark.conformance("A23")
def test_a_forgotten_vendor_bit_makes_an_unknown_avp():
    lost = Avp(874, 0, AVP_FLAG_MANDATORY, b"").encode()
    assert refused(272, [*credit_control(), lost]).failed_avp == lost
    assert accepted(272, [*credit_control(), Avp(874, 0, 0, b"").encode()])


@pytest.mark.conformance("A23")
@pytest.mark.parametrize("name", ["Session-Id", "CC-Request-Type", "Multiple-Services-Credit-Control"])
def test_a_known_avp_is_accepted_whatever_its_m_bit_and_reserved_bits(name):
    definition = BY_NAME[name]
    (index,) = [i for i, part in enumerate(credit_control()) if part[:4] == definition.code.to_bytes(4)]
    for flags in (0x00, 0x40, 0x60, 0x5F):
        parts = credit_control()
        parts[index] = parts[index][:4] + bytes([flags]) + parts[index][5:]
        assert accepted(272, parts)


@pytest.mark.conformance("A15", "A27")
@pytest.mark.parametrize(
    "path",
    [
        ["Multiple-Services-Credit-Control"],
        ["Multiple-Services-Credit-Control", "Used-Service-Unit"],
        ["Multiple-Services-Credit-Control", "Requested-Service-Unit"],
        ["Requested-Service-Unit"],
    ],
)
def test_an_unknown_avp_in_a_group_is_shown_with_its_path(path):
    part = UNKNOWN
    for name in reversed(path):
        part = avp(name, [part])
    error = refused(272, [*credit_control(), part])
    assert error.result_code == ResultCode.AVP_UNSUPPORTED
    assert error.failed_avp == part


@pytest.mark.conformance("A27")
def test_the_path_holds_the_offender_alone():
    used = avp("Used-Service-Unit", [avp("CC-Time", 1), UNKNOWN, avp("CC-Total-Octets", 1)])
    services = avp("Multiple-Services-Credit-Control", [avp("Rating-Group", 1), used])
    error = refused(272, [*credit_control(), services])
    assert error.failed_avp == avp("Multiple-Services-Credit-Control", [avp("Used-Service-Unit", [UNKNOWN])])


def test_vendors_put_what_they_like_into_service_information():
    for unknown in (UNKNOWN, UNKNOWN_OF_VENDOR):
        parts = replaced(
            credit_control(), "Service-Information", avp("Service-Information", [avp("PS-Information", [unknown])])
        )
        assert accepted(272, parts)
        error = refused(272, parts, strict=True)
        assert error.result_code == ResultCode.AVP_UNSUPPORTED
        assert error.failed_avp == avp("Service-Information", [avp("PS-Information", [unknown])])


def test_strict_looks_at_every_value_but_not_into_proxy_info():
    short = avp("PDP-Address", b"\0\1\x0a")
    parts = replaced(credit_control(), "Service-Information", avp("Service-Information", [short]))
    assert accepted(272, parts)
    error = refused(272, parts, strict=True)
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_LENGTH, avp("Service-Information", [short]))
    assert accepted(272, [*credit_control(), avp("Proxy-Info", [UNKNOWN]), avp("Proxy-Info", b"\1\2\3")], strict=True)


@pytest.mark.conformance("A26")
def test_strict_stops_at_the_depth_limit():
    bomb = b""
    for _ in range(3000):
        bomb = avp("PS-Information", bomb)
    error = refused(
        272, replaced(credit_control(), "Service-Information", avp("Service-Information", bomb)), strict=True
    )
    assert (error.result_code, error.limit) == (ResultCode.INVALID_AVP_LENGTH, "avp_depth")


def test_kamailio_sends_avps_of_accounting_and_origins_twice():
    odd = encode_avp(3, b"x", 10, mandatory=False)
    parts = [
        *credit_control(),
        avp("Accounting-Record-Type", 2),
        avp("Accounting-Record-Number", 0),
        avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", 10415), avp("Auth-Application-Id", 4)]),
        avp("Origin-Host", "GW.example.com"),
        avp("Origin-Realm", "example.com"),
        odd,
    ]
    assert accepted(272, parts, strict=True)


# 5009


@pytest.mark.conformance("A20")
@pytest.mark.parametrize(("command_code", "name"), SINGLE)
def test_the_first_one_too_many_is_shown(command_code, name):
    parts = samples.REQUESTS[command_code]
    code = BY_NAME[name].code.to_bytes(4)
    present = [part for part in parts if part[:4] == code]
    second = Avp(BY_NAME[name].code, BY_NAME[name].vendor_id, 0x80 if BY_NAME[name].vendor_id else 0, b"other").encode()
    if not present:  # a first one that fits its type
        parts = [*parts, example_that_fits(name)]
    error = refused(command_code, [*parts, second, second])
    assert error.result_code == ResultCode.AVP_OCCURS_TOO_MANY_TIMES
    assert error.failed_avp == second


def example_that_fits(name: str) -> bytes:
    texts = {"Destination-Host": "ocs.example.com"}
    return avp(name, texts[name]) if name in texts else example(name)


@pytest.mark.conformance("A20")
def test_another_origin_is_too_many():
    for name in ("Origin-Host", "Origin-Realm"):
        second = avp(name, "other.example.com")
        error = refused(272, [*credit_control(), second])
        assert (error.result_code, error.failed_avp) == (ResultCode.AVP_OCCURS_TOO_MANY_TIMES, second)


@pytest.mark.conformance("A20")
def test_a_second_session_id_is_too_many_even_when_it_is_the_same():
    session_id = credit_control()[0]
    assert refused(272, [*credit_control(), session_id]).result_code == ResultCode.AVP_OCCURS_TOO_MANY_TIMES


@pytest.mark.conformance("A20", "A27")
def test_two_rating_groups_in_one_service_are_too_many():
    services = avp("Multiple-Services-Credit-Control", [avp("Rating-Group", 1), avp("Rating-Group", 2)])
    error = refused(272, [*credit_control(), services])
    assert error.result_code == ResultCode.AVP_OCCURS_TOO_MANY_TIMES
    assert error.failed_avp == avp("Multiple-Services-Credit-Control", [avp("Rating-Group", 2)])


def test_what_may_come_often_comes_often():
    used = avp("Used-Service-Unit", [avp("CC-Total-Octets", 1)])
    services = [avp("Multiple-Services-Credit-Control", [used, used, avp("Rating-Group", n)]) for n in range(5)]
    assert accepted(
        272, [*credit_control(), *services, subscription(2, "sip:a@b"), avp("Route-Record", "dra.example.com")]
    )


def test_the_number_of_services_in_one_request_is_bounded():
    parts = without(credit_control(), "Multiple-Services-Credit-Control")
    services = [avp("Multiple-Services-Credit-Control", [avp("Rating-Group", n)]) for n in range(80)]
    assert accepted(272, [*parts, *services[:GROUPS_PER_REQUEST_MAX]])
    error = refused(272, [*parts, *services])
    assert (error.result_code, error.limit) == (ResultCode.AVP_OCCURS_TOO_MANY_TIMES, "groups_per_request")
    assert error.failed_avp == services[GROUPS_PER_REQUEST_MAX]


# 5004


@pytest.mark.conformance("A19")
@pytest.mark.parametrize(
    ("command_code", "name", "value"),
    [
        (272, "CC-Request-Type", 0),
        (272, "CC-Request-Type", 5),
        (272, "CC-Request-Type", -1),
        (272, "Multiple-Services-Indicator", 2),
        (258, "Re-Auth-Request-Type", 2),
        (282, "Disconnect-Cause", 3),
    ],
)
def test_a_number_outside_the_enumeration_is_a_wrong_value(command_code, name, value):
    odd = avp(name, value)
    error = refused(command_code, replaced(samples.REQUESTS[command_code], name, odd))
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_VALUE, odd)


@pytest.mark.conformance("A19", "A45")
@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("Session-Id", b"gw;\xff"),
        ("Session-Id", b""),
        ("Service-Context-Id", b"\x80"),
        ("Origin-Host", b""),
        ("Origin-Host", "gw.exämple.com".encode()),
        ("Destination-Realm", b"\xff"),
    ],
)
def test_text_that_is_none_is_a_wrong_value(name, octets):
    odd = avp(name, octets)
    error = refused(272, replaced(credit_control(), name, odd))
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_VALUE, odd)


@pytest.mark.conformance("A45", "A27")
def test_text_that_is_none_in_a_group_is_shown_with_the_group():
    broken = avp("Subscription-Id-Data", b"\xff")
    error = refused(272, [*credit_control(), avp("Subscription-Id", [avp("Subscription-Id-Type", 0), broken])])
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_VALUE, avp("Subscription-Id", [broken]))


def test_a_session_id_has_a_bound():
    longest = avp("Session-Id", b"x" * SESSION_ID_OCTETS_MAX)
    assert accepted(272, replaced(credit_control(), "Session-Id", longest))
    longer = avp("Session-Id", b"x" * (SESSION_ID_OCTETS_MAX + 1))
    error = refused(272, replaced(credit_control(), "Session-Id", longer))
    assert (error.result_code, error.limit) == (ResultCode.INVALID_AVP_VALUE, "session_id_octets")


@pytest.mark.parametrize(
    "name", ["CC-Total-Octets", "CC-Input-Octets", "CC-Output-Octets", "CC-Service-Specific-Units"]
)
def test_usage_has_a_bound(name):
    def services(used: int) -> list[bytes]:
        group = avp("Multiple-Services-Credit-Control", [avp("Used-Service-Unit", [avp(name, used)])])
        return replaced(credit_control(), "Multiple-Services-Credit-Control", group)

    assert accepted(272, services(USAGE_MAX))
    error = refused(272, services(USAGE_MAX + 1))
    assert (error.result_code, error.limit) == (ResultCode.INVALID_AVP_VALUE, "usage")


# 5014


@pytest.mark.conformance("A18")
@pytest.mark.parametrize(
    "name", ["CC-Request-Type", "CC-Request-Number", "Auth-Application-Id", "Event-Timestamp", "Requested-Action"]
)
@pytest.mark.parametrize("octets", [0, 3, 5, 8])
def test_another_length_of_a_fixed_type_is_shown_as_it_came(name, octets):
    odd = avp(name, bytes(octets))
    error = refused(272, replaced(credit_control(), name, odd))
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_LENGTH, odd)


@pytest.mark.conformance("A18", "A27")
def test_another_length_in_a_group_of_a_group_is_shown_with_its_path():
    odd = avp("CC-Total-Octets", bytes(4))
    services = avp("Multiple-Services-Credit-Control", [avp("Rating-Group", 1), avp("Used-Service-Unit", [odd])])
    error = refused(272, replaced(credit_control(), "Multiple-Services-Credit-Control", services))
    assert error.result_code == ResultCode.INVALID_AVP_LENGTH
    assert error.failed_avp == avp("Multiple-Services-Credit-Control", [avp("Used-Service-Unit", [odd])])


@pytest.mark.conformance("A18", "A27")
def test_a_group_that_cannot_be_cut_is_shown_with_its_path():
    broken = encode_avp(420, bytes(4))[:-4]
    services = avp("Multiple-Services-Credit-Control", [avp("Used-Service-Unit", broken)])
    error = refused(272, [*credit_control(), services])
    assert error.result_code == ResultCode.INVALID_AVP_LENGTH
    shown = avp("Multiple-Services-Credit-Control", [avp("Used-Service-Unit", [avp("CC-Time", 0)])])
    assert error.failed_avp == shown


@pytest.mark.conformance("A43")
def test_an_address_of_no_family_in_a_capabilities_exchange_is_a_wrong_value():
    odd = avp("Host-IP-Address", bytes.fromhex("00630a000001"))
    error = refused(257, replaced(CAPABILITIES, "Host-IP-Address", odd))
    assert (error.result_code, error.failed_avp) == (ResultCode.INVALID_AVP_VALUE, odd)


# 5007, 5008


@pytest.mark.conformance("A21")
@pytest.mark.parametrize("command_code", REQUESTS)
@pytest.mark.parametrize(
    "name", ["Result-Code", "Experimental-Result", "Failed-AVP", "Error-Message", "Error-Reporting-Host"]
)
def test_what_belongs_to_answers_is_not_allowed_in_a_request(command_code, name):
    odd = example(name)
    error = refused(command_code, [*samples.REQUESTS[command_code], odd])
    assert (error.result_code, error.failed_avp) == (ResultCode.AVP_NOT_ALLOWED, odd)


@pytest.mark.conformance("A22")
def test_two_applications_contradict_each_other_and_both_are_shown():
    inner = avp("Auth-Application-Id", 16777238)
    group = avp("Vendor-Specific-Application-Id", [avp("Vendor-Id", 10415), inner])
    error = refused(272, [*credit_control(), group])
    assert error.result_code == ResultCode.CONTRADICTING_AVPS
    assert error.failed_avp == avp("Auth-Application-Id", 4) + avp("Vendor-Specific-Application-Id", [inner])


# Answers

SUCCESS = [avp("Session-Id", "gw;1"), avp("Result-Code", 2001), *ORIGIN]


def test_answers_that_say_success_have_all_that_their_command_asks():
    request = [avp("CC-Request-Type", 1), avp("CC-Request-Number", 0)]
    capabilities = [avp("Host-IP-Address", "127.0.0.1"), avp("Vendor-Id", 0), avp("Product-Name", "peer")]
    good = {257: [*SUCCESS[1:], *capabilities], 272: [*SUCCESS, *request]}
    for command_code in ANSWERS:
        parts = good.get(command_code, SUCCESS)
        assert check_answer(message(command_code, parts, flags=0)) is None
        if command_code in {257, 272}:
            with pytest.raises(PeerError) as caught:
                check_answer(message(command_code, parts[:-1], flags=0))
            assert caught.value.result_code == ResultCode.MISSING_AVP


@pytest.mark.parametrize("command_code", ANSWERS)
def test_answers_that_tell_of_an_error_have_the_generic_grammar(command_code):
    for flags, code in ((0x20, 3002), (0, 5012), (0x20, 5005)):
        assert check_answer(message(command_code, [avp("Result-Code", code), *ORIGIN], flags=flags)) is None
    experimental = [avp("Vendor-Id", 10415), avp("Experimental-Result-Code", 5001)]
    assert check_answer(message(command_code, [avp("Experimental-Result", experimental), *ORIGIN], flags=0)) is None


def test_an_answer_without_a_result_is_none():
    with pytest.raises(PeerError) as caught:
        check_answer(message(280, ORIGIN, flags=0))
    assert caught.value.failed_avp == avp("Result-Code", 0)


# Whatever comes


@given(
    st.lists(
        st.tuples(st.sampled_from([*BY_KEY, (99999, 0)]), st.integers(0, 127), st.binary(max_size=20)), max_size=9
    ),
    st.sampled_from([*REQUESTS, 1]),
    st.booleans(),
)
def test_every_request_passes_or_is_the_peers_error(members, command_code, strict):
    extra = [
        Avp(code, vendor_id, flags | (0x80 if vendor_id else 0), data).encode()
        for (code, vendor_id), flags, data in members
    ]
    asked = message(command_code, [*samples.REQUESTS.get(command_code, []), *extra])
    try:
        check_request(asked, strict)
    except PeerError as caught:
        error = caught
    else:
        error = None
    assert error is None or 5001 <= error.result_code <= 5014
    assert error is None or error.failed_avp
