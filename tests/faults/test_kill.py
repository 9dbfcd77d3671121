"""kill -9 at random moments of a running load: nothing is lost, nothing is charged twice, and repeats are repeats.

A load runs against a server that is killed and started again, on each store. In the end the accounts, the journal and
the CDRs are compared with what the sessions cost when reckoned by hand.

OCS_FAULTS_KILLS sets how often it is killed, OCS_FAULTS_SEED the dice (`make faults KILLS=300`).
"""

import os
import time

import pytest

from ocs.store.choose import store_of
from tests.faults.checks import check_store
from tests.faults.load import Load

KILLS = int(os.environ.get("OCS_FAULTS_KILLS", "10"))
SEED = int(os.environ.get("OCS_FAULTS_SEED", "1"))


@pytest.mark.conformance("B4", "B42", "B45", "J1")
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
async def test_a_load_survives_kill_9(store, make_child, durable_postgres_url, capsys):
    child = make_child(durable_postgres_url() if store == "postgres" else None)
    load = Load(SEED)
    began = time.monotonic()
    for _ in range(KILLS):
        await child.start()
        await load.round(child.diameter, child)
    await child.start()
    load.stopping.set()
    await load.round(child.diameter, None)
    await load.ask_all_again(child.diameter, load.plays[-200:])
    assert await child.end() == 0
    assert len(load.origin_state_ids) == 1
    with capsys.disabled():
        seconds = time.monotonic() - began
        print(f"\n{store}: {KILLS} kills (seed {SEED}) in {seconds:.0f} s, {load.summary()}")
    assert load.counts["sent again without an answer"] > 0
    assert load.counts["asked again after the answer"] > 0
    await check_store(store_of(child.store_url), load)
