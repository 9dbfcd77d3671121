"""The engine goes the ways of the table, cell by cell; what is not in it cannot happen."""

import msgspec
import pytest

from ocs.balances.account import Status
from ocs.charging import engine
from ocs.charging.life_table import LIFE, Happening
from ocs.charging.policy import UnknownSession
from ocs.charging.requests import RequestedAction
from ocs.charging.session import SessionState
from tests.charging.world import (
    AUD,
    EVENT,
    INITIAL,
    MIB,
    POLICIES,
    TERMINATION,
    UPDATE,
    World,
    group,
    money,
    octets,
    request,
)

DEBIT = RequestedAction.DIRECT_DEBITING
ASK, USED = group(100, octets(MIB)), group(100, None, [octets(1_024)])


def happens(world, happening, number):
    session = world.sessions.get("s")
    if happening is Happening.SILENCE:
        world.now_ns = session.due_at_ns + 24 * 3_600 * 1_000_000_000
        world.expire()
        return
    if happening is Happening.ENDED:
        policy = world.policies["data"]
        world.apply(engine.end(world.account, session, policy, world.tariff, world.now_ns, "barred"))
        return
    adopt = UnknownSession.ADOPT if happening is Happening.UPDATE_ADOPTED else UnknownSession.REFUSE
    world.policies["data"] = msgspec.structs.replace(POLICIES["data"], unknown_session=adopt)
    if happening.value.endswith("_refused"):
        world.account = msgspec.structs.replace(world.account, status=Status.DISABLED)
    match happening:
        case Happening.INITIAL | Happening.INITIAL_REFUSED:
            world.send(request(INITIAL, number, ASK))
        case Happening.UPDATE | Happening.UPDATE_ADOPTED:
            world.send(request(UPDATE, number, USED))
        case Happening.UPDATE_EMPTY:
            world.send(request(UPDATE, number, group(100)))
        case Happening.TERMINATION:
            world.send(request(TERMINATION, number, USED))
        case _:
            world.send(request(EVENT, number, ASK, action=DEBIT))


WAY_TO = {
    None: (),
    SessionState.REFUSED: (Happening.INITIAL_REFUSED,),
    SessionState.UNKNOWN: (Happening.UPDATE,),
    SessionState.OPEN: (Happening.INITIAL,),
    SessionState.CLOSED: (Happening.INITIAL, Happening.TERMINATION),
    SessionState.EXPIRED: (Happening.INITIAL, Happening.ENDED),
}
ONLY_OPEN = {Happening.SILENCE, Happening.ENDED}


def state_of(world):
    session = world.sessions.get("s")
    return None if session is None else session.state


@pytest.mark.parametrize("cell", LIFE, ids=lambda cell: f"{cell[0] and cell[0].value}-{cell[1].value}")
def test_the_engine_goes_the_way_of_each_cell(cell):
    before, happening = cell
    world = World(money(10 * AUD))
    for number, step in enumerate(WAY_TO[before]):
        happens(world, step, number)
    world.account = msgspec.structs.replace(world.account, status=Status.ACTIVE)
    assert state_of(world) is before
    happens(world, happening, 7)
    assert state_of(world) is LIFE[cell]


def test_every_cell_is_listed_but_those_that_cannot_be():
    """Supervision and commands end open sessions only; what is known here is not adopted."""
    every = {(state, happening) for state in WAY_TO for happening in Happening}
    known = {SessionState.OPEN, SessionState.CLOSED, SessionState.EXPIRED}
    cannot = {
        (state, happening) for state, happening in every if happening in ONLY_OPEN and state is not SessionState.OPEN
    }
    cannot |= {(state, Happening.UPDATE_ADOPTED) for state in known}
    assert every - set(LIFE) == cannot
