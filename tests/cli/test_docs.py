"""State machines are drawn from their tables, and the page in the manual is what is drawn."""

import re
from pathlib import Path

import pytest

from ocs.charging.life_table import LIFE
from ocs.cli.machines import MACHINES, Row, dot, mermaid
from ocs.diameter.peer_machine import TABLE, State

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_up_to_date(ocs):
    ran = ocs("docs", "fsm")
    assert ran.code == 0
    assert (ROOT / "docs" / "state-machines.md").read_text() == ran.out, "ocs docs fsm > docs/state-machines.md"


def test_every_row_is_there_with_the_section_beside_it():
    peer = MACHINES["peer"]()
    assert len(peer.rows) == len(TABLE)
    rows = {(row.state, row.event): row for row in peer.rows}
    assert rows["closed", "start"] == Row(
        "closed", "start", ("set_connect_timer", "connect"), "connecting", "RFC 6733 5.6 Closed, Start: I-Snd-Conn-Req"
    )
    assert rows["open", "dpr"].said.endswith("R-Rcv-DPR: R-Snd-DPA")
    assert "RFC 3539 3.4.1" in rows["suspect", "dwa"].said
    assert all(re.search(r"RFC (6733|3539)", row.said) or row.said for row in peer.rows)
    assert list(peer.states) == [state.value for state in State]
    assert "our CER is out" in peer.states["wait_cea"]
    assert len(MACHINES["session"]().rows) == len(LIFE)


@pytest.mark.parametrize("name", MACHINES)
def test_each_change_of_state_is_an_arrow(ocs, name):
    machine = MACHINES[name]()
    arrows = {(row.state, row.after) for row in machine.rows if row.state != row.after}
    drawn = ocs("docs", "fsm", name).out
    assert drawn == mermaid(machine)
    assert set(re.findall(r"^ +(\w+) --> (\w+):", drawn, re.MULTILINE)) == arrows
    graph = ocs("docs", "fsm", name, "--format", "dot").out
    assert graph == dot(machine)
    assert set(re.findall(r"^ +(\w+) -> (\w+) \[", graph, re.MULTILINE)) == arrows
    for row in machine.rows:
        if row.state != row.after:
            (line,) = re.findall(rf"^ +{row.state} --> {row.after}: (.*)$", drawn, re.MULTILINE)
            assert row.event in re.split(r", |<br/>", line)
