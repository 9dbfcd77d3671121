"""What a request may cost, compared with the bare transport and the bare commit of the same run.

Absolute times say more of the machine than of the program, and the machine of a build is shared; so these bounds are
ratios within one run, and wide: they catch what makes it several times slower.
"""

import pytest

from ocs.bench.run import Bench, Options

CPU_RATIO_MAX = 1_200
"""CPU per request, in units of what the echo takes for a message when both are at their maximum."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    return Bench(Options(store="sqlite", seconds=3, accounts=500, sessions=200, folder=folder, verify=True)).run()


def test_everything_was_answered_granted_and_booked(figures):
    assert figures["problems"] == []
    assert figures["ledger"]["wrong"] == 0
    assert figures["fixed_rate"]["unanswered"] == 0


def test_a_request_takes_no_more_cpu_than_so_many_bare_messages(figures):
    assert 1 < figures["cpu_ratio"] < CPU_RATIO_MAX


def test_requests_that_come_together_are_committed_together(figures):
    """With 320 requests in flight; a commit each would be the end of all throughput."""
    assert figures["maximum"]["batch_size"] > 8
