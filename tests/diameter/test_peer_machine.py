"""The table of the peer machine: every cell, and the ways through it that matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter.errors import UsageError
from ocs.diameter.peer_machine import ILLEGAL, SECOND_NS, TABLE, WATCHED, Action, Input, PeerMachine, State

CELLS = [(state, event) for state in State for event in Input]


def opened(watchdog_s=30, at_s=0, first=Input.CER_FIRST):
    machine = PeerMachine(watchdog_s)
    machine.step(Input.CONNECTED, at_s * SECOND_NS)
    machine.step(first, at_s * SECOND_NS)
    return machine


def expire(machine):
    """Let the deadline come."""
    assert machine.deadline_ns is not None
    return machine.step(Input.EXPIRED, machine.deadline_ns)


@pytest.mark.parametrize(("state", "event"), CELLS, ids=lambda member: member.value)
def test_every_cell_is_listed_or_explicitly_illegal(state, event):
    assert ((state, event) in TABLE) != (event in ILLEGAL[state])


@pytest.mark.parametrize(("state", "event"), CELLS, ids=lambda member: member.value)
def test_every_listed_row_keeps_the_rules_of_a_connection(state, event):
    if (state, event) not in TABLE:
        machine = PeerMachine(30)
        machine.state = state
        machine.dwr_sent_ns = 0 if event in {Input.EXPIRED_PENDING, Input.PROBE_PENDING} else None
        with pytest.raises(UsageError, match=state.name):
            machine.step(event, 0)
        return
    actions, after = TABLE[state, event]
    if Action.CLOSE in actions:
        assert after is State.CLOSED
        assert actions[-1] is Action.CLOSE, "nothing can be sent after it"
    if state in WATCHED and after is State.CLOSED:
        assert Action.LOST in actions, "an end without DPR is remembered"
    if Action.DELIVER in actions:
        assert event is Input.REQUEST
        assert after in WATCHED
    if event is Input.REQUEST:
        assert {Action.DELIVER, Action.REFUSE, Action.CLOSE} & set(actions), "no request is passed over in silence"
    if after is not state and after is not State.CLOSED:
        timers = {action for action in Action if action.value.startswith("set_")}
        assert timers & set(actions) or (state, event) == (State.REOPEN, Input.DWA_THIRD)


@pytest.mark.conformance("A8")
def test_a_quiet_peer_is_asked_suspected_and_closed():
    machine = opened()
    assert machine.deadline_ns == 30 * SECOND_NS
    assert expire(machine) == (Action.SEND_DWR,)
    assert expire(machine) == (Action.FAILOVER,), "one DWR pending at a time"
    assert machine.state is State.SUSPECT
    assert expire(machine) == (Action.LOST, Action.CLOSE)
    assert machine.state is State.CLOSED
    assert machine.deadline_ns is None


@pytest.mark.conformance("A8")
def test_whatever_a_suspect_sends_brings_it_back():
    for event in (Input.REQUEST, Input.DWR, Input.DWA, Input.ANSWER):
        machine = opened()
        expire(machine)
        expire(machine)
        assert Action.FAILBACK in machine.step(event, 70 * SECOND_NS)
        assert machine.state is State.OPEN
        assert machine.deadline_ns == 100 * SECOND_NS


@pytest.mark.conformance("A8")
def test_traffic_puts_the_watchdog_off():
    machine = opened()
    assert machine.step(Input.REQUEST, 20 * SECOND_NS) == (Action.DELIVER,)
    assert machine.deadline_ns == 50 * SECOND_NS


@pytest.mark.conformance("A8")
def test_jitter_and_the_least_interval():
    machine = opened(watchdog_s=1)
    machine.step(Input.REQUEST, 0, 2 * SECOND_NS)
    assert machine.deadline_ns == 8 * SECOND_NS
    machine.step(Input.REQUEST, 0, -2 * SECOND_NS)
    assert machine.deadline_ns == 4 * SECOND_NS
    machine.set_watchdog(40)
    machine.step(Input.REQUEST, 0, SECOND_NS)
    assert machine.deadline_ns == 41 * SECOND_NS


@pytest.mark.conformance("A8")
def test_a_peer_that_comes_back_proves_itself_by_three_answers():
    machine = PeerMachine(30)
    machine.step(Input.CONNECTED, 0)
    assert machine.step(Input.CER_RETURN, 0) == (Action.SEND_CEA, Action.SEND_DWR)
    for answered in range(2):
        assert machine.step(Input.DWA, 1) == ()
        assert machine.state is State.REOPEN, f"after {answered + 1}"
        assert expire(machine) == (Action.SEND_DWR,)
    assert machine.step(Input.DWA, 2) == (Action.FAILBACK,)
    assert machine.state is State.OPEN


@pytest.mark.conformance("A8")
def test_a_peer_that_comes_back_and_stays_silent_is_closed():
    machine = opened(first=Input.CER_RETURN)
    assert machine.step(Input.REQUEST, SECOND_NS) == (Action.DELIVER,), "it is served all the same"
    assert machine.deadline_ns == 30 * SECOND_NS, "only watchdogs count"
    assert expire(machine) == ()
    assert expire(machine) == (Action.LOST, Action.CLOSE)


def test_one_answer_after_the_silence_begins_the_count_again():
    machine = opened(first=Input.CER_RETURN)
    expire(machine)
    machine.step(Input.DWA, machine.deadline_ns)
    for _ in range(2):
        expire(machine)
        machine.step(Input.DWA, machine.deadline_ns)
        assert machine.state is State.REOPEN
    expire(machine)
    machine.step(Input.DWA, machine.deadline_ns)
    assert machine.state is State.OPEN


@pytest.mark.conformance("A6")
@pytest.mark.parametrize("event", [Input.REQUEST, Input.ANSWER, Input.DWR, Input.DPR])
def test_the_first_message_is_a_cer_or_the_last(event):
    machine = PeerMachine(30)
    machine.step(Input.CONNECTED, 0)
    assert machine.deadline_ns == 10 * SECOND_NS
    assert machine.step(event, 1) == (Action.CLOSE,)


@pytest.mark.conformance("A6")
def test_a_cer_does_not_let_itself_be_waited_for():
    machine = PeerMachine(30)
    machine.step(Input.CONNECTED, 0)
    assert expire(machine) == (Action.CLOSE,)


@pytest.mark.conformance("A9")
def test_dpr_of_the_peer():
    machine = opened()
    assert machine.step(Input.DPR, 0) == (Action.SEND_DPA,)
    assert machine.step(Input.REQUEST, 0) == (Action.REFUSE,)
    assert machine.deadline_ns == 5 * SECOND_NS
    assert expire(machine) == (Action.CLOSE,)


@pytest.mark.conformance("A9")
def test_dpr_of_our_own():
    machine = opened()
    assert machine.step(Input.STOP, 0) == (Action.SEND_DPR,)
    assert machine.step(Input.REQUEST, 0) == (Action.REFUSE,)
    assert machine.step(Input.DPR, 0) == (Action.SEND_DPA,)
    assert machine.step(Input.DPA, 0) == (Action.CLOSE,)
    machine = opened()
    machine.step(Input.STOP, 0)
    assert expire(machine) == (Action.CLOSE,)


def test_a_probe_sends_a_dwr_unless_one_is_out():
    machine = opened()
    assert machine.step(Input.PROBE, 0) == (Action.SEND_DWR,)
    assert machine.step(Input.PROBE, 1) == ()
    assert machine.dwr_sent_ns == 0


def test_we_did_not_read_so_the_watchdog_waits():
    machine = opened()
    machine.postpone(100 * SECOND_NS)
    assert machine.deadline_ns == 130 * SECOND_NS


def own(at_s=0):
    machine = PeerMachine(30)
    assert machine.step(Input.START, at_s * SECOND_NS) == (Action.CONNECT,)
    return machine


@pytest.mark.conformance("A10")
def test_a_connection_of_our_own_opens_by_its_cea():
    machine = own()
    assert (machine.state, machine.deadline_ns) == (State.CONNECTING, 30 * SECOND_NS)
    assert machine.step(Input.CONNECTED, SECOND_NS) == (Action.SEND_CER, Action.TELL_ELECTION)
    assert (machine.state, machine.deadline_ns) == (State.WAIT_CEA, 11 * SECOND_NS)
    assert machine.step(Input.CEA_FIRST, 2 * SECOND_NS) == (Action.TELL_ELECTION,)
    assert (machine.state, machine.deadline_ns) == (State.OPEN, 32 * SECOND_NS)


@pytest.mark.conformance("A8")
def test_a_connection_of_our_own_to_a_peer_that_was_lost_is_proved():
    machine = own()
    machine.step(Input.CONNECTED, 0)
    assert Action.SEND_DWR in machine.step(Input.CEA_RETURN, 0)
    assert machine.state is State.REOPEN


def test_a_connection_of_our_own_that_nobody_takes_ends():
    for before in ([], [Input.CONNECTED]):
        machine = own()
        for event in before:
            machine.step(event, 0)
        assert expire(machine) == (Action.CLOSE,)


@pytest.mark.parametrize("event", [Input.REQUEST, Input.ANSWER, Input.DWR, Input.DPR, Input.CER_AGAIN])
def test_nothing_but_a_cea_is_taken_for_one(event):
    machine = own()
    machine.step(Input.CONNECTED, 0)
    assert machine.step(event, 1) == (Action.CLOSE,)


@pytest.mark.conformance("A5")
def test_an_election_waits_for_our_connection_and_ends_in_one_of_the_two():
    def elected():
        machine = PeerMachine(30)
        machine.step(Input.CONNECTED, 0)
        assert machine.step(Input.CER_ELECTING, 0) == ()
        assert machine.deadline_ns == 2 * SECOND_NS
        return machine

    machine = elected()
    assert machine.step(Input.OWN_CONNECTED, SECOND_NS) == (Action.ELECT,)
    assert machine.deadline_ns == 11 * SECOND_NS
    assert machine.step(Input.WON, SECOND_NS) == (Action.YIELD_OWN, Action.SEND_CEA)
    assert machine.state is State.OPEN
    machine = elected()
    assert machine.step(Input.OWN_GONE, 0) == (Action.SEND_CEA,)
    machine = elected()
    machine.step(Input.OWN_CONNECTED, 0)
    assert machine.step(Input.OWN_OPEN, 0) == (Action.SEND_CEA, Action.CLOSE)
    machine = elected()
    assert expire(machine) == (Action.YIELD_OWN, Action.SEND_CEA), "ours does not get through"


MADE_BY_THE_MACHINE = {Input.DWA_THIRD, Input.PROBE_PENDING, Input.EXPIRED_PENDING, Input.EXPIRED_SPENT}
EVENTS = [event for event in Input if event not in MADE_BY_THE_MACHINE]


@given(st.sampled_from([Input.CONNECTED, Input.START]), st.lists(st.sampled_from(EVENTS), max_size=40))
def test_no_way_through_leads_astray(first, events):
    """A live connection always has a deadline; a DWR is out at most once; what is illegal changes nothing."""
    machine = PeerMachine(30)
    machine.step(first, 0)
    now_ns = 0
    for event in events:
        if machine.state is State.CLOSED:
            break
        pending_ns, before = machine.dwr_sent_ns, machine.state
        if event is Input.DWA and pending_ns is None:
            continue  # the node hands it on as an ANSWER
        if event is Input.EXPIRED:
            now_ns = machine.deadline_ns
        try:
            actions = machine.step(event, now_ns)
        except UsageError:
            assert machine.state is before
            continue
        assert not (Action.SEND_DWR in actions and pending_ns is not None)
        assert (machine.deadline_ns is None) == (machine.state is State.CLOSED)
