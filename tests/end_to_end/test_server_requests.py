"""`ocs serve` and a gateway that it asks: after a top-up, by command, after barring, with a new tariff."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import Client
from tests.cli.child import LIMIT_S, Child, edit, make_config
from tests.diameter.clients.avps import TERMINATION, UPDATE, rsu, total, usu
from tests.initiative_kit import ASR, MIB, PGW, RAR, Gateway, eventually, granted, session_of

SESSION = session_of()
WHO = {"by": "ada", "reason": "test"}
ACCOUNT = {
    "id": "poor",
    "identities": ["msisdn:4912345"],
    "plan": "standard",
    "balances": [{"id": "money", "kind": "monetary", "value": "0.05 AUD"}],
    **WHO,
}


async def post(child, path, **body):
    """From a thread, so that the gateway goes on."""
    status, answer = await asyncio.to_thread(child.post, path, {**WHO, **body})
    assert status < 300, answer
    return answer


async def ocs(child, *words, status=0):
    """What the command prints."""
    command = [sys.executable, "-m", "ocs", *words, "--url", child.url]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=LIMIT_S, cwd=child.folder, check=False
    )
    assert done.returncode == status, done.stderr
    return (done.stdout if not status else done.stderr).strip()


async def connected(child):
    client = await Client.connect(*child.diameter, make_origin(PGW, "example.net", 1))
    return Gateway(client, PGW)


@pytest.mark.conformance("B31", "B32", "A40")
async def test_a_gateway_is_asked_whenever_there_is_a_reason(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    edit(
        config / "server.yaml",
        ("emergency_grant_validity:", "reauthorise_on_tariff_change: true\nemergency_grant_validity:"),
    )
    with Child(tmp_path) as child:
        await post(child, "/v1/accounts", **ACCOUNT)
        gateway = await connected(child)
        assert granted(await gateway.ask()) == 5 * MIB
        await post(child, "/v1/accounts/poor/topup", balance="money", amount="5.00 AUD")
        assert await gateway.next() == (RAR, SESSION, 101)
        assert granted(await gateway.ask(UPDATE, 1, rsu(), usu(total(MIB)))) == 10 * MIB

        # By command.
        told = await ocs(child, "sessions", "reauth", SESSION, "--rating-group", "101", "--by", "ada")
        assert told == f"{SESSION}: its client is told to ask again (RAR)"
        assert await gateway.next() == (RAR, SESSION, 101)
        assert "no session" in await ocs(child, "sessions", "reauth", "nobody", "--by", "ada", status=1)
        await ocs(child, "sessions", "reauth", status=2)
        await ocs(child, "account", "recall", "poor", "--reason", "test", "--by", "ada")
        assert await gateway.next() == (RAR, SESSION, 101)

        # A new tariff: its price is another one.
        (tariff,) = [path for path in (config / "tariffs").iterdir() if "0.01 AUD" in path.read_text()]
        tariff.write_text(tariff.read_text().replace("0.01 AUD", "0.02 AUD"))
        await asyncio.to_thread(child.post, "/v1/reload", {})
        assert await gateway.next() == (RAR, SESSION, 101)
        await gateway.ask(UPDATE, 2, rsu(), usu(total(MIB)))

        # Barred: the gateway ends the session.
        await post(child, "/v1/accounts/poor/adjust", change="disable")
        assert await gateway.next() == (ASR, SESSION, None)
        await gateway.ask(TERMINATION, 3, usu(total(MIB)))
        await post(child, "/v1/accounts/poor/adjust", change="enable")

        # Stopped by force: it is ended here, and told.
        await gateway.ask(session="5b8d80;2")
        stopped = session_of(session="5b8d80;2")
        told = await ocs(child, "sessions", "abort", stopped, "--force", "--reason", "stolen", "--by", "ada")
        assert told == f"{stopped}: ended; its client is told to stop (ASR)"
        assert await gateway.next() == (ASR, stopped, None)
        assert "is over" in await ocs(child, "sessions", "abort", stopped, "--reason", "x", "--by", "ada", status=1)

        cdrs = await asyncio.to_thread(child.get, "/v1/cdrs?account=poor")
        assert [cdr["cause"] for cdr in cdrs["items"]][-2:] == ["normal", "aborted"]
        history = await asyncio.to_thread(child.get, "/v1/accounts/poor/history")
        kinds = [entry["kind"] for entry in history["items"]]
        assert (kinds.count("reauth"), kinds.count("abort"), kinds.count("end")) == (4, 2, 1)

        async def counted():
            metrics = await asyncio.to_thread(child.get, "/metrics")
            return (
                'ocs_diameter_own_requests_total{command="RA",result="2002"} 4.0' in metrics
                and 'ocs_diameter_own_requests_total{command="AS",result="2001"} 2.0' in metrics
                and 'ocs_effects_total{outcome="later"} 0.0' in metrics
            )

        await eventually(counted)
        await gateway.close()
        ledger = await ocs(child, "ledger", "verify")
        assert "0 differences" in ledger
