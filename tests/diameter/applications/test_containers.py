"""Units of a request: what adds up, what is refused, and where the Failed-AVP points."""

import pytest

from ocs.charging.requests import GroupRequest, Units
from ocs.diameter.applications.containers import read_group
from ocs.diameter.applications.credit_control_request import compile_rules, read_request
from ocs.diameter.errors import PeerError
from ocs.diameter.wire import decode_avps, decode_message, encode_avp
from ocs.limits import GROUPS_PER_REQUEST_MAX, USAGE_MAX
from ocs.rating.units import NS_PER_S
from tests.diameter.applications.world import PEER, read, settings
from tests.diameter.clients import builders
from tests.diameter.clients.avps import (
    EVENT,
    INITIAL,
    TERMINATION,
    UPDATE,
    group,
    incoming,
    mscc,
    outgoing,
    raw,
    rsu,
    seconds,
    time,
    total,
    u32,
    u64,
    units,
    usu,
)


def group_of(data: bytes) -> GroupRequest:
    (avp,) = decode_avps(data)
    return read_group(avp)


def refusal(data: bytes) -> tuple[int, list[int], str]:
    """(Result-Code, codes on the way to the offender, limit) of a request read without the grammar before it."""
    with pytest.raises(PeerError) as caught:
        read_request(decode_message(data), compile_rules(settings()), PEER)
    path = []
    found = decode_avps(caught.value.failed_avp or b"")
    while found:
        path.append(found[0].code)
        grouped = {456, 437, 446, 413}
        found = found[0].children() if found[0].code in grouped and found[0].data else []
    return caught.value.result_code, path, caught.value.limit


@pytest.mark.conformance("B15")
@pytest.mark.parametrize(
    ("avps", "expected"),
    [
        ((total(2**33),), Units(octets=2**33)),
        ((seconds(90),), Units(time_ns=90 * NS_PER_S)),
        ((seconds(2**32 - 1),), Units(time_ns=(2**32 - 1) * NS_PER_S)),
        ((units(3),), Units(events=3)),
        ((incoming(2**40), outgoing(1)), Units(octets=2**40 + 1)),
        ((seconds(1), total(2), units(3)), Units(1 * NS_PER_S, 2, 3)),
        ((seconds(0), total(0)), Units(0, 0)),
        ((), Units()),
    ],
)
def test_units_of_every_kind(avps, expected):
    assert group_of(mscc(rsu(*avps))).requested == expected
    assert group_of(mscc(usu(*avps))).used == (expected,)


@pytest.mark.conformance("B16", "B33")
def test_each_used_service_unit_is_an_entry_of_its_own():
    before, after = u32("Tariff-Change-Usage", 0), u32("Tariff-Change-Usage", 1)
    asked = group_of(mscc(usu(before, total(10)), usu(after, total(20)), rating_group=1))
    assert asked.used == (Units(octets=10, tariff_change=0), Units(octets=20, tariff_change=1))


@pytest.mark.conformance("C15")
def test_times_of_usage_are_those_of_the_container_else_those_of_its_group():
    first, last = time("Time-First-Usage", 1_700_000_000), time("Time-Last-Usage", 1_700_000_060)
    own = usu(total(1), time("Time-First-Usage", 1_700_000_007))
    asked = group_of(mscc(first, usu(total(2)), own, last))
    assert asked.used == (
        Units(octets=2, first_at_ns=1_700_000_000 * NS_PER_S, last_at_ns=1_700_000_060 * NS_PER_S),
        Units(octets=1, first_at_ns=1_700_000_007 * NS_PER_S),
    )


@pytest.mark.conformance("C8")
@pytest.mark.parametrize("reason", range(10))
@pytest.mark.parametrize("where", ["usu", "mscc"])
def test_final_and_quota_holding_time_give_the_quota_back_wherever_they_stand(reason, where):
    reporting = u32("Reporting-Reason", reason)
    inside = (usu(total(1), reporting),) if where == "usu" else (usu(total(1)), reporting)
    assert group_of(mscc(*inside, rating_group=1)).final is (reason in (1, 2, 9))


def test_a_reason_of_another_vendor_is_no_reason():
    reason = encode_avp(872, (2).to_bytes(4), 9)
    assert group_of(mscc(usu(total(1), reason), reason, rating_group=1)).final is False


@pytest.mark.conformance("B20")
def test_rating_group_and_service_identifier_are_read_as_sent():
    asked = group_of(mscc(rsu(), rating_group=0, service_id=2**32 - 1))
    assert (asked.rating_group, asked.service_id) == (0, 2**32 - 1)


def test_of_several_service_identifiers_the_first_counts():
    ids = u32("Service-Identifier", 7) + u32("Service-Identifier", 8)
    assert group_of(mscc(rsu(), ids)).service_id == 7


@pytest.mark.parametrize("container", [rsu, usu])
def test_more_than_can_be_counted_is_refused_with_its_path(container):
    code = 437 if container is rsu else 446
    data = builders.gateway(UPDATE, 1, mscc(container(total(USAGE_MAX + 1)), rating_group=1))
    assert refusal(data) == (5004, [456, code, 421], "usage")


def test_the_most_that_can_be_counted_is_accepted():
    assert group_of(mscc(usu(total(USAGE_MAX)))).used == (Units(octets=USAGE_MAX),)


def test_directions_that_add_up_to_too_much_are_refused():
    data = builders.gateway(UPDATE, 1, mscc(usu(incoming(USAGE_MAX), outgoing(1))))
    assert refusal(data) == (5004, [456, 446, 412], "usage")


def test_containers_that_add_up_to_too_much_are_refused():
    data = builders.gateway(UPDATE, 1, mscc(usu(total(USAGE_MAX)), usu(total(1))))
    assert refusal(data) == (5004, [456, 446, 421], "usage")


@pytest.mark.conformance("A27")
def test_a_wrong_length_is_refused_with_its_path():
    data = builders.gateway(UPDATE, 1, mscc(usu(raw("CC-Total-Octets", b"\0\0\0\1"))))
    assert refusal(data) == (5014, [456, 446, 421], "")


def money(value: int) -> bytes:
    return group("CC-Money", group("Unit-Value", u64("Value-Digits", value)), u32("Currency-Code", 36))


@pytest.mark.parametrize("container", [rsu, usu])
def test_money_alone_cannot_be_sold(container):
    code = 437 if container is rsu else 446
    data = builders.gateway(INITIAL, 0, mscc(container(money(5)), rating_group=1))
    assert refusal(data) == (5031, [456, code, 413, 445], "")


def test_money_beside_units_is_passed_over():
    assert group_of(mscc(rsu(money(5), total(100)))).requested == Units(octets=100)


def test_too_many_groups_are_refused_with_the_first_surplus():
    blocks = [mscc(rsu(), rating_group=number) for number in range(GROUPS_PER_REQUEST_MAX + 1)]
    with pytest.raises(PeerError) as caught:
        read_request(decode_message(builders.gateway(INITIAL, 0, *blocks)), compile_rules(settings()), PEER)
    assert (caught.value.result_code, caught.value.limit) == (5009, "groups_per_request")
    assert caught.value.failed_avp == blocks[-1]


def test_as_many_groups_as_allowed_are_read():
    blocks = [mscc(rsu(), rating_group=number) for number in range(GROUPS_PER_REQUEST_MAX)]
    assert len(read(builders.gateway(INITIAL, 0, *blocks)).groups) == GROUPS_PER_REQUEST_MAX


def test_units_of_the_command_are_a_group_that_is_answered_at_command_level():
    request = read(builders.gateway(UPDATE, 1, rsu(total(9)), usu(seconds(3)), usu(total(4))))
    assert request.command_level
    assert request.groups == (
        GroupRequest(None, None, Units(octets=9), (Units(time_ns=3 * NS_PER_S), Units(octets=4))),
    )


def test_the_service_identifier_of_the_command_belongs_to_its_units():
    request = read(builders.gateway(EVENT, 0, rsu(units(1)), u32("Service-Identifier", 5), u32("Requested-Action", 0)))
    assert request.groups == (GroupRequest(None, 5, Units(events=1)),)


def test_used_units_alone_are_a_group_at_command_level():
    request = read(builders.gateway(TERMINATION, 2, usu(total(4))))
    assert request.groups == (GroupRequest(None, None, None, (Units(octets=4),)),)


def test_groups_count_where_the_command_has_units_as_well():
    request = read(builders.gateway(UPDATE, 1, rsu(total(9)), mscc(rsu(total(8)), rating_group=1)))
    assert not request.command_level
    assert request.groups == (GroupRequest(1, None, Units(octets=8)),)
