"""Some thousand inputs for each target, and what was kept; and that a broken promise would be seen."""

import msgspec
import pytest

from ocs.balances.account import Account
from ocs.diameter import node_requests, wire
from ocs.diameter.errors import PeerError
from ocs.diameter.peer_machine import SECOND_NS, PeerMachine, State
from ocs.diameter.result_codes import ResultCode
from tests.fuzz import targets
from tests.fuzz.__main__ import run
from tests.fuzz.seeds import kept, seeds
from tests.fuzz.targets import TARGETS, Broken

INPUTS = {"wire": 1_500, "groups": 1_500, "machine": 4_000, "peer": 1_500, "credit_control": 350, "sample": 350}


@pytest.mark.conformance("A18", "A24", "A26")
@pytest.mark.parametrize("target", TARGETS)
def test_no_input_breaks_a_promise(target):
    corpus = kept(target)
    assert len(corpus) >= 5
    for data in seeds(target):
        TARGETS[target](data)
    assert run(target, INPUTS[target], seed=1) == 0


def forget_the_rest(monkeypatch):
    """A decoder that gives up at the first AVP it cannot read, and says nothing."""
    real = wire.decode_avps

    def lax(data, start=0, end=None, depth=0):
        try:
            return real(data, start, end, depth)
        except PeerError as error:
            error.result_code = 2001
            raise

    monkeypatch.setattr(wire, "decode_avps", lax)


def stay_open(monkeypatch):
    """A machine that forgets its deadline when it suspects."""
    real = PeerMachine.step

    def step(self, event, now_ns, jitter_ns=0):
        actions = real(self, event, now_ns, jitter_ns)
        if self.state is State.SUSPECT:
            self.deadline_ns = None
        return actions

    monkeypatch.setattr(PeerMachine, "step", step)


def answer_twice(monkeypatch):
    real = node_requests.refuse

    def refuse(node, connection, message, error):
        real(node, connection, message, error)
        if error.result_code == ResultCode.AVP_UNSUPPORTED:
            real(node, connection, message, error)

    monkeypatch.setattr(node_requests, "refuse", refuse)


def lose_money(monkeypatch):
    real = targets.House.keep

    def keep(self, outcome, request, content):
        if request.number == 1 and outcome.writes:
            first = outcome.writes[0]
            balances = tuple(msgspec.structs.replace(one, value=one.value - 1) for one in first.account.balances)
            account: Account = msgspec.structs.replace(first.account, balances=balances)
            writes = (msgspec.structs.replace(first, account=account), *outcome.writes[1:])
            outcome = msgspec.structs.replace(outcome, writes=writes)
        real(self, outcome, request, content)

    monkeypatch.setattr(targets.House, "keep", keep)


PLANTS = {
    "wire": forget_the_rest,
    "groups": forget_the_rest,
    "machine": stay_open,
    "peer": answer_twice,
    "credit_control": lose_money,
    "sample": lose_money,
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_planted_fault_is_found(target, monkeypatch, tmp_path):
    PLANTS[target](monkeypatch)
    assert run(target, 300, seed=2, findings=tmp_path) > 0
    with pytest.raises((Broken, AssertionError)):
        run(target, 300, seed=2)
    (first, *_) = sorted(tmp_path.glob("*.bin"))
    with pytest.raises((Broken, AssertionError)):
        TARGETS[target](first.read_bytes())


def test_a_way_of_the_machine_that_is_wrong_is_found(monkeypatch):
    """A deadline that is far away is none."""
    monkeypatch.setattr(PeerMachine, "set_watchdog", lambda self, _: setattr(self, "watchdog_ns", 3_600 * SECOND_NS))
    with pytest.raises(Broken, match="not far away"):
        run("machine", 300, seed=3)
