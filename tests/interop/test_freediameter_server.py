"""freeDiameter as the side that ocs connects to, over TCP and TLS, and the other way round; RAR through it."""

import contextlib
import subprocess
import sys
import threading

import pytest
import trustme

from ocs.diameter.wire import message_bytes
from tests.interop.client import INITIAL, RAR, TERMINATION, Client, mscc, rsu, text, u32, usu
from tests.interop.freediameter import IDENTITY, OCS, PORT, REALM, SECURE_PORT, TO_OCS_BY_TLS, free_diameter
from tests.interop.ocs_server import ROOT, OcsServer

GATEWAY = "pgw.example.net"


def connect(namespace, **more):
    """The peer rule by which ocs connects to freeDiameter."""
    target = {"host": namespace.address, "port": str(PORT), "reconnect": "2s"}
    return {"host": IDENTITY, "realms": [REALM], "watchdog": "6s", "connect": target | more}


def issue(authority, name, folder):
    issued = authority.issue_cert(name, common_name=name)
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))


@pytest.fixture
def certificates(tmp_path):
    """Folders with cert.pem, key.pem, ca.pem of ocs and of freeDiameter, of one authority."""
    authority = trustme.CA()
    folders = {}
    for name in (OCS, IDENTITY):
        folder = folders[name] = tmp_path / f"tls-{name}"
        folder.mkdir()
        issue(authority, name, folder)
    return folders


def tls(certificates):
    folder = certificates[OCS]
    return {"certificate": f"{folder}/cert.pem", "key": f"{folder}/key.pem", "ca": f"{folder}/ca.pem"}


def links(ocs):
    """(state, direction, transport) of the connection to freeDiameter."""
    for peer in ocs.get("/v1/peers")["items"]:
        if peer["host"] == IDENTITY:
            return peer["state"], *peer["directions"], *peer["transports"]
    return ()


def wait_for(ocs, *link):
    ocs.wait_for(f"the peer is {link}", lambda: links(ocs) == link)


def listening(namespace, relay):
    """A connection to freeDiameter as soon as it listens."""
    made = []

    def attempt():
        with contextlib.suppress(ConnectionRefusedError):
            made.append(namespace.connect(namespace.address, PORT))
        return made

    relay.wait_for("freeDiameter to listen", attempt)
    return made[0]


def charge(namespace, ocs):
    """A session of a gateway that knows freeDiameter only."""
    with Client(namespace.connect(namespace.address, PORT), GATEWAY, "example.net") as gateway:
        gateway.connect()
        session = f"{GATEWAY};1;own"
        initial = gateway.ccr(session, INITIAL, 0, mscc(rsu(), rating_group=100), msisdn="491700000001")
        assert (initial.result_code, initial.origin_host) == (2001, OCS)
        end = gateway.ccr(
            session, TERMINATION, 1, mscc(usu(total_octets=1_000), rating_group=100), msisdn="491700000001"
        )
        assert end.result_code == 2001
        gateway.disconnect()
    assert sum(cdr["usage"] for cdr in ocs.cdrs("demo") if cdr["session_id"] == session) == 1_000


@pytest.mark.conformance("A1", "A8", "A9", "A10")
def test_ocs_connects_watches_serves_and_comes_back(namespace, capture, tmp_path):
    with OcsServer(namespace, tmp_path / "ocs", peers=[connect(namespace)]) as ocs:
        ocs.wait_until_ready()
        ocs.wait_for("an attempt that failed", lambda: "connect_failed" in ocs.text())
        relay = free_diameter(namespace, tmp_path / "fd", clients=f"{OCS} {GATEWAY}", server=None)
        with relay:
            wait_for(ocs, "open", "out", "tcp")
            relay.wait_for("our watchdogs", lambda: relay.text().count("'Device-Watchdog-Request'") >= 2)
            charge(namespace, ocs)
        wait_for(ocs, "closed")
        relay.start()
        wait_for(ocs, "open", "out", "tcp")
        assert ocs.stop() == 0
        relay.stop()
        capture.close()
        ours = f'diameter.Origin-Host == "{OCS}"'
        goodbyes = capture.fields(f"diameter.cmd.code == 282 && diameter.flags.request == 1 && {ours}", "tcp.dstport")
        assert goodbyes == [[str(PORT)]]
        hello = capture.fields(f"diameter.cmd.code == 257 && {ours}", "diameter.flags.request", "tcp.dstport")
        assert {row[1] for row in hello} == {str(PORT)}


@pytest.mark.conformance("A39", "A10")
def test_ocs_connects_by_tls(namespace, capture, tmp_path, certificates):
    rule = connect(namespace, port=str(SECURE_PORT), tls="true")
    relay = free_diameter(namespace, tmp_path / "fd", clients=GATEWAY, server=None, tls=certificates[IDENTITY])
    with relay, OcsServer(namespace, tmp_path / "ocs", peers=[rule], tls=tls(certificates)) as ocs:
        ocs.wait_until_ready()
        wait_for(ocs, "open", "out", "tls")
        charge(namespace, ocs)
        assert ocs.stop() == 0
    capture.close()
    requests = capture.fields(
        f"diameter && tcp.dstport == {SECURE_PORT}", "diameter.cmd.code", "diameter.flags.request"
    )
    assert (requests[0], requests[-1]) == (["257", "1"], ["282", "1"])


@pytest.mark.conformance("A39")
def test_freediameter_connects_by_tls(namespace, capture, tmp_path, certificates):
    listeners = [{"transport": "tcp", "host": "0.0.0.0", "tls": "true"}]
    with OcsServer(namespace, tmp_path / "ocs", listeners=listeners, tls=tls(certificates)) as ocs:
        ocs.wait_until_ready()
        with free_diameter(
            namespace, tmp_path / "fd", clients=GATEWAY, server=TO_OCS_BY_TLS, tls=certificates[IDENTITY]
        ):
            wait_for(ocs, "open", "in", "tls")
            charge(namespace, ocs)


@pytest.mark.conformance("A39")
def test_a_certificate_of_another_authority_is_not_believed(namespace, tmp_path, certificates):
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    authority = trustme.CA(organization_name="strangers")
    issue(authority, IDENTITY, strangers)
    rule = connect(namespace, port=str(SECURE_PORT), tls="true")
    with (
        free_diameter(namespace, tmp_path / "fd", clients=GATEWAY, server=None, tls=strangers),
        OcsServer(namespace, tmp_path / "ocs", peers=[rule], tls=tls(certificates)) as ocs,
    ):
        ocs.wait_until_ready()
        ocs.wait_for("a refusal", lambda: "certificate verify failed" in ocs.text())
        assert links(ocs) in (("closed",), ("connecting",))


@pytest.mark.conformance("B31")
def test_a_request_of_ours_finds_its_gateway_through_a_relay(namespace, capture, tmp_path):
    relay = free_diameter(namespace, tmp_path / "fd", clients=f"ocs2.example.com {GATEWAY}", server=None)
    with relay, Client(listening(namespace, relay), GATEWAY, "example.net", timeout_s=30) as gateway:
        gateway.connect()
        got = []

        def answer() -> None:
            for message in gateway.messages():
                if message.command_code != RAR:
                    gateway._answer(message)
                    continue
                got.append(message)
                body = text(263, f"{GATEWAY};1;2") + u32(268, 2002) + gateway.origin
                ids = message.hop_by_hop_id, message.end_to_end_id
                gateway.send(message_bytes(0x40, RAR, message.application_id, *ids, body))
                return

        thread = threading.Thread(target=answer)
        thread.start()
        argv = [IDENTITY, namespace.address, str(PORT), GATEWAY, "example.net", f"{GATEWAY};1;2"]
        done = subprocess.run(
            namespace.command(sys.executable, "-m", "tests.interop.reauthorize", *argv),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        thread.join(30)
        assert done.stdout.splitlines()[-1] == "2002", done.stderr
        (request,) = got
        assert request.find(293).data == GATEWAY.encode()
        assert request.find(282).data == b"ocs2.example.com", "the relay took it from us"
