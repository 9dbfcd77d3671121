"""A debit and its refund over TCP, against a server: the refund finds its charge, once, also after a restart."""

from pathlib import Path

import pytest

from ocs.diameter.wire import encode_avp
from tests.cli.child import Child, make_config
from tests.diameter.clients.builders import smsc
from tests.end_to_end.test_gateways import exchange

HOP_BY_HOP = 0x11111111


@pytest.mark.conformance("B11", "C27")
def test_a_refund_gives_back_what_was_charged_and_no_more(tmp_path: Path) -> None:
    make_config(tmp_path)
    with Child(tmp_path) as child, child.client("smsc.example.net") as client:
        before = child.balances("demo")
        answer = exchange(client, smsc(recipients=("61412345678", "4917")))[HOP_BY_HOP]
        assert answer.result_code == 2001
        charged = child.balances("demo")
        assert charged != before
        (information,) = [avp.data for avp in answer.message.avps if (avp.code, avp.vendor_id) == (2022, 10415)]
    refund = encode_avp(2022, information, 10415)
    with Child(tmp_path) as child, child.client("smsc.example.net") as client:
        assert child.balances("demo") == charged
        for _ in range(2):  # the repeat of a request is answered as the request was
            answer = exchange(client, smsc(action=1, block=refund, suffix="9;9"))[HOP_BY_HOP]
            assert (answer.result_code, child.balances("demo")) == (2001, before)
        again = exchange(client, smsc(action=1, block=refund, suffix="9;10"))[HOP_BY_HOP]
        assert (again.result_code, child.balances("demo")) == (5012, before)
