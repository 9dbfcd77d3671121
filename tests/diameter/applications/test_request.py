"""The command itself: its fields, what the peer's rule adds, and what is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.charging.requests import RequestedAction, RequestType, Units
from ocs.config.settings import PeerRule, Refusals
from ocs.diameter.applications.credit_control_request import compile_rules, document_number, read_request
from ocs.diameter.errors import PeerError
from ocs.diameter.grammar import check_request
from ocs.diameter.wire import decode_message
from tests.diameter.applications.world import PEER, SERVICES, read, settings
from tests.diameter.clients import builders
from tests.diameter.clients.avps import AT_S, EVENT, INITIAL, UPDATE, ccr, mscc, rsu, text, time, u32, u64

RULES = compile_rules(settings())


def refusal(data: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        read_request(decode_message(data), RULES, PEER)
    return caught.value


def test_the_fields_of_a_request():
    request = read(builders.gateway(UPDATE, 7))
    assert request.session_id == "0001-diamproxy.pgw1.example.net;5b8d80;1"
    assert (request.type, request.number, request.name) == (RequestType.UPDATE, 7, "U/7")
    assert (request.service, request.sub_session_id) == ("data", None)
    assert request.event_at_ns == AT_S * 1_000_000_000


@pytest.mark.conformance("B35")
def test_a_sub_session_is_kept_apart():
    request = read(builders.gateway(others=u64("CC-Sub-Session-Id", 2**40)))
    assert request.sub_session_id == 2**40
    assert request.session_key != request.session_id


def test_a_request_without_a_time_has_none():
    data = builders.gateway().replace(time("Event-Timestamp"), u32("Origin-State-Id", 1))
    assert read(data).event_at_ns is None


@pytest.mark.conformance("B9")
@pytest.mark.parametrize("action", list(RequestedAction))
def test_each_action_of_an_event(action):
    assert read(builders.smsc(action=action)).action is action


@pytest.mark.conformance("B9")
def test_an_event_without_an_action_is_refused_as_incomplete():
    error = refusal(builders.smsc(action=None))
    assert (error.result_code, error.failed_avp) == (5005, u32("Requested-Action", 0))


@pytest.mark.conformance("B9")
def test_an_event_with_an_unknown_action_is_refused():
    error = refusal(builders.smsc(action=4))
    assert (error.result_code, error.failed_avp) == (5004, u32("Requested-Action", 4))


def test_an_unknown_request_type_is_refused():
    error = refusal(builders.gateway(5))
    assert (error.result_code, error.failed_avp) == (5004, u32("CC-Request-Type", 5))


@pytest.mark.conformance("B39", "C30")
@pytest.mark.parametrize("context", ["32270@3gpp.org", "8.32299@3gpp.org", "@3gpp.org", "", "32251.example@3gpp.org"])
def test_an_unknown_service_context_is_refused_with_itself(context):
    error = refusal(builders.gateway(context=context))
    assert (error.result_code, error.failed_avp) == (5031, text("Service-Context-Id", context))


@pytest.mark.parametrize(
    ("context", "number"),
    [
        ("32251@3gpp.org", "32251"),
        ("ext.01.001.8.32260@3gpp.org", "32260"),
        ("32274", "32274"),
        ("Prepaid-Voice@operator.example", "prepaid-voice"),
        ("", ""),
    ],
)
def test_the_document_number_of_a_context(context, number):
    assert document_number(context) == number


def test_a_context_of_ones_own_may_be_configured_in_full():
    services = {"data": msgspec.structs.replace(SERVICES["data"], contexts=("v1.gy@operator.example",))}
    assert read(builders.gateway(context="V1.gy@operator.example"), services=services).service == "data"


def test_a_session_id_that_no_store_can_keep_is_refused():
    error = refusal(builders.gateway(origin="a\0b"))
    assert error.result_code == 5004


@pytest.mark.parametrize(("refusals", "in_group"), [(Refusals.MSCC, True), (Refusals.COMMAND, False)])
def test_where_a_peer_wants_its_refusals(refusals, in_group):
    assert read(builders.gateway(), PeerRule("*", (), refusals=refusals)).refuse_in_group is in_group


@pytest.mark.parametrize("unasked", [True, False])
def test_whether_a_peer_is_granted_what_it_did_not_ask_for(unasked):
    request = read(builders.gateway(), PeerRule("*", (), grant_without_rsu=unasked))
    assert request.grant_unasked is unasked


def test_a_message_that_lacks_everything_is_refused_not_an_accident():
    assert refusal(ccr()).result_code == 5005


def test_command_level_tells_where_to_answer():
    assert read(builders.gateway()).command_level
    assert not read(builders.gateway(INITIAL, 0, mscc(rsu()))).command_level


def test_an_event_with_units_at_command_level():
    request = read(builders.smsc(EVENT, block=rsu(u64("CC-Service-Specific-Units", 4))))
    assert request.command_level
    assert request.groups[0].requested == Units(events=4)


SEEDS = [
    builders.open5gs(UPDATE, 1, uplink=5, downlink=6, duration_s=7),
    builders.ergw(UPDATE, 1, used={3000: ((1, 2, 3),)}),
    builders.kamailio(UPDATE, 1, used_s=10),
    builders.magma(UPDATE, 1, used=(1, 2, 3)),
    builders.gateway(UPDATE, 1, mscc(rsu(), rating_group=1)),
    builders.smsc(),
]


def outcome(data: bytes) -> str | int:
    """The service of the request, or the Result-Code that it is refused with."""
    try:
        message = decode_message(data)
        check_request(message)
        return read_request(message, RULES, PEER).request.service
    except PeerError as error:
        return error.result_code


@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(20, 1_200), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_octets_gone_wrong_end_in_a_request_or_a_result_code(seed, changes):
    data = bytearray(seed)
    for place, octet in changes:
        data[20 + place % (len(data) - 20)] = octet
    assert outcome(bytes(data)) in (*SERVICES, 3008, 5001, 5004, 5005, 5007, 5008, 5009, 5014, 5031)
