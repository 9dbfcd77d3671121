"""Service contexts: which service a request leads to, who is called, how many units it is of, and what it describes."""

import msgspec
import pytest

from ocs.charging.contexts import ATTRIBUTES, CONTEXTS
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingRequest
from ocs.diameter.applications import service_information
from ocs.diameter.applications.credit_control_request import compile_rules, read_request
from ocs.diameter.errors import PeerError
from ocs.rating.units import Kind
from tests.diameter.applications.world import GRANT, PEER, SERVICES, settings
from tests.diameter.clients import builders
from tests.diameter.clients.avps import (
    EVENT,
    INITIAL,
    ccr,
    group,
    mscc,
    raw,
    received,
    rsu,
    session,
    subscription,
    text,
    time,
    total,
    u32,
)


def ims(context: str, *described: bytes, kind: int = INITIAL, outside: tuple[bytes, ...] = ()) -> bytes:
    return ccr(
        session("as.example.net", "1"),
        text("Origin-Host", "as.example.net"),
        text("Origin-Realm", "example.net"),
        text("Destination-Realm", "example.com"),
        u32("Auth-Application-Id", 4),
        text("Service-Context-Id", context),
        u32("CC-Request-Type", kind),
        u32("CC-Request-Number", 0),
        u32("Requested-Action", 0),
        subscription(0, builders.MSISDN),
        *outside,
        group("Service-Information", *described),
    )


def read(data: bytes, *policies: ServicePolicy) -> ChargingRequest:
    services = {**SERVICES, **{policy.name: policy for policy in policies}}
    return read_request(received(data), compile_rules(settings(services=services)), PEER).request


def method(name: str) -> bytes:
    return group(
        "IMS-Information", group("Event-Type", text("SIP-Method", name)), text("Called-Party-Address", "tel:+49")
    )


MESSAGES = ServicePolicy("message", Kind.SMS, ("32260",), GRANT, only=(("sip_method", ("MESSAGE",)),))


@pytest.mark.conformance("C1", "C19", "C25", "C30")
@pytest.mark.parametrize(
    ("context", "service"),
    [("32251@3gpp.org", "data"), ("9.32260@3gpp.org", "voice"), ("ext.01.001.8.32274@3gpp.org", "sms")],
)
def test_a_context_leads_to_its_service_whatever_its_release(context: str, service: str) -> None:
    assert read(ims(context)).service == service


@pytest.mark.conformance("C23")
def test_the_voice_call_service_is_sold_where_a_service_names_its_context() -> None:
    described = group("VCS-Information", raw("VLR-Number", b"4917"), u32("Forwarding-Pending", 1)) + group(
        "IMS-Information", text("Called-Party-Address", "tel:+491755")
    )
    with pytest.raises(PeerError) as refused:
        read(ims("32276@3gpp.org", described))
    assert refused.value.result_code == 5031
    asked = read(ims("32276@3gpp.org", described), ServicePolicy("circuit", Kind.VOICE, ("32276",), GRANT))
    assert (asked.service, asked.called) == ("circuit", "tel:+491755")
    assert dict(asked.attributes) == {"vlr_number": "4917", "forwarding_pending": "1"}


@pytest.mark.conformance("C24")
@pytest.mark.parametrize(("name", "service"), [("MESSAGE", "message"), ("INVITE", "voice")])
def test_of_one_context_requests_go_where_their_attributes_fit(name: str, service: str) -> None:
    data = ims("32260@3gpp.org", method(name), kind=EVENT)
    assert read(data, MESSAGES).service == service


@pytest.mark.conformance("C24")
def test_a_context_of_which_no_service_takes_the_request_is_refused() -> None:
    services = {"message": MESSAGES}
    rules = compile_rules(settings(services=services))
    with pytest.raises(PeerError) as refused:
        read_request(received(ims("32260@3gpp.org", method("INVITE"))), rules, PEER)
    assert refused.value.result_code == 5031


def media(*descriptions: str) -> bytes:
    components = [group("SDP-Media-Component", text("SDP-Media-Name", name)) for name in descriptions]
    return group("IMS-Information", *components)


BY_MEDIA = msgspec.structs.replace(
    SERVICES["voice"], rating_group_from=(("media", "video", 201), ("media", "audio", 200))
)


@pytest.mark.conformance("C21")
@pytest.mark.parametrize(
    ("descriptions", "rated_as"),
    [
        (("m=audio 49170 RTP/AVP 0",), 200),
        (("m=audio 49170 RTP/AVP 0", "m=video 51372 RTP/AVP 99"), 201),
        (("VIDEO",), 201),
        (("m=message 7654 TCP/MSRP *",), None),
        ((" ",), None),
    ],
)
def test_the_media_of_a_call_lead_to_a_rating_group(descriptions: tuple[str, ...], rated_as: int | None) -> None:
    unnamed, named = mscc(rsu(total(1))), mscc(rsu(total(1)), rating_group=7)
    asked = read(ims("32260@3gpp.org", media(*descriptions), outside=(unnamed, named)), BY_MEDIA)
    assert [(each.rating_group, each.rated_as) for each in asked.groups] == [(None, rated_as), (7, None)]


@pytest.mark.conformance("C23")
def test_supplementary_services_are_told_apart() -> None:
    forwarding = group("Supplementary-Service", u32("MMTel-Service-Type", 2), u32("Number-Of-Diversions", 1))
    barring = group("Supplementary-Service", u32("MMTel-Service-Type", 9))
    asked = read(ims("32260@3gpp.org", group("MMTel-Information", forwarding, barring)))
    assert dict(asked.attributes) == {"mmtel_services": "2,9", "diversions": "1"}


def recipient(*addresses: str) -> bytes:
    return group("Recipient-Info", *(group("Recipient-Address", text("Address-Data", each)) for each in addresses))


def message(*inside: bytes, **more: object) -> ChargingRequest:
    return read(ims("32274@3gpp.org", group("SMS-Information", *inside), kind=EVENT))


@pytest.mark.conformance("C25")
def test_each_recipient_is_one_by_its_first_address() -> None:
    asked = message(recipient("+491701", "a@example.com"), recipient("+491702"), recipient("+491703"))
    assert (asked.called, asked.more_called) == ("+491701", ("+491702", "+491703"))


@pytest.mark.conformance("C28")
@pytest.mark.parametrize(("number", "count"), [(3, 3), (0, 1), (10**9, 1)])
def test_the_number_of_messages_is_the_number_of_units(number: int, count: int) -> None:
    assert message(u32("Number-Of-Messages-Sent", number)).count == count


@pytest.mark.conformance("C29")
@pytest.mark.parametrize(("kind", "terminating"), [(0, False), (1, False), (3, True)])
def test_a_delivery_is_received(kind: int, terminating: object) -> None:
    assert message(u32("SM-Message-Type", kind)).terminating is terminating


def test_a_service_may_say_who_is_called_and_what_counts() -> None:
    policy = ServicePolicy(
        "own", Kind.GENERIC, ("shop",), GRANT, called_from=("apn", "requested_party"), count_from="messages_sent"
    )
    described = group("IMS-Information", text("Requested-Party-Address", "tel:+4930"))
    described += group("SMS-Information", u32("Number-Of-Messages-Sent", 2))
    asked = read(ims("shop@example.com", described), policy)
    assert (asked.called, asked.count) == ("tel:+4930", 2)
    apn = group("PS-Information", text("Called-Station-Id", "shop"))
    assert read(ims("shop@example.com", described, apn), policy).called == "shop"


@pytest.mark.conformance("C18")
def test_containers_name_sponsors_and_applications() -> None:
    inside = (
        group("AF-Correlation-Information", raw("AF-Charging-Identifier", b"af-1")),
        text("Sponsor-Identity", "shop"),
        text("Application-Service-Provider-Identity", "video"),
    )
    asked = read(ims("32251@3gpp.org", outside=(mscc(*inside, rating_group=1), mscc(rating_group=2))))
    assert [dict(each.attributes) for each in asked.groups] == [
        {"af_charging_identifier": "af-1", "sponsor": "shop", "application_service_provider": "video"},
        {},
    ]


@pytest.mark.conformance("C18")
@pytest.mark.parametrize("inside", [b"\1\2\3", b""])
def test_a_correlation_that_cannot_be_opened_tells_nothing(inside: bytes) -> None:
    asked = read(ims("32251@3gpp.org", outside=(mscc(raw("AF-Correlation-Information", inside), rating_group=1),)))
    assert asked.groups[0].attributes == ()


def test_the_attributes_that_configurations_may_name_are_those_that_are_read() -> None:
    rows = (*service_information._SERVICE, *service_information._COMMAND)
    readable = {row[1] for row in rows} | {"af_charging_identifier", "user_equipment"}
    readable |= {"imei", "mac", "eui64", "modified_eui64"}
    assert set(ATTRIBUTES) == readable


def test_each_context_is_there_once() -> None:
    assert sorted(CONTEXTS) == ["32251", "32260", "32274", "32276"]


@pytest.mark.conformance("C22")
def test_the_times_of_the_signalling_are_read() -> None:
    stamps = group("Time-Stamps", time("SIP-Request-Timestamp", 1_800_000_000), time("SIP-Response-Timestamp", 5))
    asked = read(ims("32260@3gpp.org", group("IMS-Information", stamps)))
    assert (asked.asked_at_ns, asked.answered_at_ns) == (1_800_000_000 * 10**9, 5 * 10**9)
    nothing = read(ims("32260@3gpp.org", group("IMS-Information", raw("SIP-Method", b""))))
    assert (nothing.asked_at_ns, nothing.answered_at_ns) == (None, None)
    broken = group("Time-Stamps", raw("SIP-Response-Timestamp", b"x"))
    assert read(ims("32260@3gpp.org", group("IMS-Information", broken))).answered_at_ns is None
