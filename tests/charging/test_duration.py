"""What a TERMINATION says of the end of a call, and how long it was by the signalling."""

from __future__ import annotations

import pytest

from ocs.charging.requests import RequestType
from ocs.rating.units import NS_PER_S
from tests.charging.world import AUD, INITIAL, START_NS, TERMINATION, UPDATE, World, group, money, request, seconds

ANSWERED_NS = START_NS + 5 * NS_PER_S


def call(used_s: int, ended_s: int | None, **more: object) -> World:
    """A call of `used_s`, answered after 5 s, that the signalling says ended `ended_s` after the answer."""
    world = World(money(10 * AUD))

    def send(kind: RequestType, number: int, *used: int, **fields: object) -> None:
        asked = group(None, None if kind is TERMINATION else seconds(60), [seconds(each) for each in used])
        world.send(request(kind, number, asked, service="voice", called="+614111", **fields))

    send(INITIAL, 0, attributes=(("sip_method", "INVITE"),))
    send(UPDATE, 1, answered_at_ns=ANSWERED_NS)
    send(UPDATE, 2, answered_at_ns=ANSWERED_NS + 99 * NS_PER_S)
    world.now_ns += used_s * NS_PER_S
    ended_ns = None if ended_s is None else ANSWERED_NS + ended_s * NS_PER_S
    send(TERMINATION, 3, used_s, asked_at_ns=ended_ns, answered_at_ns=ended_ns, **more)
    return world


@pytest.mark.conformance("C22")
@pytest.mark.parametrize(
    ("used_s", "ended_s", "told"),
    [(60, 60, None), (60, 70, None), (60, 71, "71"), (60, 49, "49"), (60, None, None), (60, -3, "-3")],
)
def test_a_call_that_was_longer_or_shorter_by_the_signalling_is_noted(
    used_s: int, ended_s: int | None, told: str | None
) -> None:
    world = call(used_s, ended_s)
    assert ("duration_mismatch" in world.outcome.notes) is (told is not None)
    assert dict(world.cdrs[-1].attributes).get("signalled_duration_s") == told
    assert world.spent() == {"money": 22 * AUD // 100}


@pytest.mark.conformance("C22")
def test_the_event_timestamp_stands_for_the_end_where_nothing_else_does() -> None:
    world = call(60, None, event_at_ns=ANSWERED_NS + 200 * NS_PER_S)
    assert dict(world.cdrs[-1].attributes)["signalled_duration_s"] == "200"


@pytest.mark.conformance("C22")
def test_the_cause_of_the_end_is_in_the_cdr_and_the_rest_of_the_last_request_is_not() -> None:
    ending = (("cause_code", "-487"), ("termination_cause", "1"))
    attributes = (*ending, ("sip_method", "dummy"))
    world = call(60, 60, attributes=attributes, ending=ending)
    assert dict(world.cdrs[-1].attributes) == {"sip_method": "INVITE", "cause_code": "-487", "termination_cause": "1"}
