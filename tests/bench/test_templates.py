"""The messages of the load: legal requests of a gateway, with the numbers that were meant."""

import pytest
from diameter.message import Message as TheirMessage
from diameter.message.commands import CreditControlRequest
from hypothesis import given
from hypothesis import strategies as st

from ocs.bench.plan import Plan, read_plan, stride_of
from ocs.bench.templates import INITIAL, NTP_EPOCH_S, TERMINATION, UPDATE, fill, imsi, make_templates, msisdn
from ocs.cli.avps import decode
from ocs.diameter.grammar import check_request
from ocs.diameter.wire import decode_message

TEMPLATES = make_templates(1_795_000_000, (1, 5))
AT_S = 1_795_001_234


def filled(template, usage, *, session=77, subscriber=123_456, number=3):
    values = {"h": 5, "e": 6, "o": 4, "s": session, "m": subscriber, "c": session, "a": subscriber, "n": number}
    return fill(template, {**values, "t": AT_S + NTP_EPOCH_S}, usage)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: f"{each.type}-{each.groups}")
def test_a_message_is_a_legal_request_of_the_usual_size(template):
    data = filled(template, [10**6 + index for index in range(template.groups)])
    message = decode_message(data)
    check_request(message, strict=True)
    theirs = TheirMessage.from_bytes(data)
    assert isinstance(theirs, CreditControlRequest)
    assert (theirs.cc_request_type, theirs.cc_request_number) == (template.type, 3)
    assert len(theirs.multiple_services_credit_control) == template.groups
    assert 900 < len(data) < 1_500
    assert message.is_request
    assert message.is_proxiable


@given(
    st.sampled_from(TEMPLATES),
    st.integers(1, 10**10 - 1),
    st.integers(0, 10**9 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
)
def test_all_numbers_arrive(template, session, subscriber, number, usage):
    usage = usage[: template.groups]
    message = decode_message(filled(template, usage, session=session, subscriber=subscriber, number=number))
    said = decode(message.avps)
    assert (message.hop_by_hop_id, message.end_to_end_id) == (5, 6)
    assert said["Session-Id"] == f"pgw0004.bench.example.net;1795000000;{session:010};app_gy"
    assert said["Origin-Host"] == "pgw0004.bench.example.net"
    assert (said["CC-Request-Type"], said["CC-Request-Number"]) == (template.type, number)
    assert said["Event-Timestamp"] == AT_S
    ids = [each["Subscription-Id-Data"] for each in said["Subscription-Id"]]
    assert ids == [msisdn(subscriber), imsi(subscriber)]
    groups = said["Multiple-Services-Credit-Control"]
    groups = groups if isinstance(groups, list) else [groups]
    assert [group["Rating-Group"] for group in groups] == [100 + index for index in range(template.groups)]
    assert all(("Requested-Service-Unit" in group) == (template.type != TERMINATION) for group in groups)
    if template.type == INITIAL:
        assert not any("Used-Service-Unit" in group for group in groups)
    else:
        used = [group["Used-Service-Unit"] for group in groups]
        assert [each["CC-Total-Octets"] for each in used] == usage
        assert [each["CC-Input-Octets"] + each["CC-Output-Octets"] for each in used] == usage
    information = said["Service-Information"]["PS-Information"]
    assert int.from_bytes(information["3GPP-Charging-Id"]) == information["PDN-Connection-Charging-ID"]
    assert information["PDN-Connection-Charging-ID"] == session % 2**32
    assert int.from_bytes(information["PDP-Address"].packed) == (10 << 24) + subscriber % 2**24


def test_an_update_reports_and_asks_in_each_of_its_groups():
    (template,) = [each for each in TEMPLATES if (each.type, each.groups) == (UPDATE, 5)]
    patched = [(patch.field, patch.group) for patch in template.patches if patch.field in "uip"]
    assert sorted(patched) == sorted((field, group) for field in "uip" for group in range(5))


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan(
        addresses=(("127.0.0.1", 3868), ("::1", 3869)), connections=3, sessions=9, subscribers=100, run_id=5,
        groups=(1, 5), rotate=True, updates=7,
    )  # fmt: skip
    plan.write(tmp_path / "plan")
    read = read_plan(tmp_path / "plan")
    assert read.addresses == list(plan.addresses)
    assert list(read.connections) == [0, 1, 2]
    assert list(read.templates.values()) == make_templates(5, (1, 5))
    assert read.numbers["updates"] == (7,)
    assert read.numbers["rotate"] == (1,)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 1_000, 10_000, 1_000_000])
def test_a_stride_reaches_everybody_before_it_comes_back(count):
    some = min(count, 2_000)
    stride = stride_of(count)
    assert len({index * stride % count for index in range(some)}) == some
    assert (count * stride) % count == 0
