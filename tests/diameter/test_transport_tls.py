"""TLS on TCP, both ways: certificates held against Origin-Hosts, bounds of handshakes, certificates taken anew."""

import asyncio
import datetime as dt
import ssl

import pytest
import trustme
from structlog.testing import capture_logs

from ocs.config.settings import Connect, Listener, PeerRule, Tls, Transport
from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import Client, RefusedError, result_of
from ocs.diameter.transports import tls
from tests.diameter.node_kit import LOOPBACK, PGW, body, ccr, settle, until
from tests.diameter.samples import avp
from tests.diameter.server_kit import state

HOST = "pgw.example.com"
OWN = "ocs.example.com"


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger():
    return trustme.CA()


class Files:
    """Our certificate, key and roots in a folder."""

    def __init__(self, folder, ca):
        self.folder, self.ca = folder, ca
        self.write(ca.issue_cert(OWN))
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))

    def write(self, certificate):
        certificate.private_key_pem.write_to_path(str(self.folder / "own.key"))
        (self.folder / "own.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        self.serial = serial_of((self.folder / "own.pem").read_text())

    def settings(self, **kwargs):
        paths = (str(self.folder / name) for name in ("own.pem", "own.key", "ca.pem"))
        return Tls(*paths, **kwargs)


def serial_of(pem):
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture
def files(tmp_path, ca):
    return Files(tmp_path, ca)


@pytest.fixture
def listen(scene, files):
    async def listen(*rules, **kwargs):
        listeners = (Listener(Transport.TCP, "127.0.0.1", 0, tls=True),)
        rules = rules or (PeerRule("*", LOOPBACK),)
        return await scene.node(*rules, listeners=listeners, tls=files.settings(**kwargs))

    return listen


def client_context(ca, certificate=None, **kwargs):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    ca.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    for name, value in kwargs.items():
        setattr(context, name, value)
    return context


def server_context(ca, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate.configure_cert(context)
    return context


async def connect(kit, context, origin=PGW):
    class TlsClient(Client):
        @classmethod
        async def connect_only(cls, host, port, origin):
            loop = asyncio.get_running_loop()
            _, client = await loop.create_connection(lambda: cls(origin), host, port, ssl=context, server_hostname=OWN)
            return client

    client = await TlsClient.connect(*kit.address, origin)
    kit.opened.append(client)
    return client


# Listeners


@pytest.mark.conformance("A39")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_peer_with_its_certificate_is_served(listen, ca, version):
    kit = await listen()
    context = client_context(ca, ca.issue_cert(HOST), minimum_version=version, maximum_version=version)
    client = await connect(kit, context)
    assert result_of(client.cea) == 2001
    assert result_of(await client.request(272, 4, body())) == 2001
    (peer,) = kit.node.peers()
    assert [(each.transport, each.direction) for each in peer.connections] == [("tls", "in")]
    certificate = client._transport.get_extra_info("ssl_object").getpeercert()
    assert ("DNS", OWN) in certificate["subjectAltName"]
    await client.close()


async def test_large_messages_in_pieces_and_many_in_one(listen, ca):
    kit = await listen()
    client = await connect(kit, client_context(ca, ca.issue_cert(HOST)))
    large = body(
        avp("Service-Parameter-Info", [avp("Service-Parameter-Type", 1), avp("Service-Parameter-Value", bytes(40_000))])
    )
    answers = await asyncio.gather(*(client.request(272, 4, large if n % 5 == 0 else body()) for n in range(20)))
    assert [result_of(answer) for answer in answers] == [2001] * 20


@pytest.mark.conformance("A39", "A2")
async def test_a_certificate_of_somebody_else_is_3010(listen, ca):
    kit = await listen()
    context = client_context(ca, ca.issue_cert("mme.example.com"))
    with capture_logs() as logs, pytest.raises(RefusedError) as refused:
        await connect(kit, context)
    assert result_of(refused.value.cea) == 3010
    assert refused.value.cea.find(281).data == b"the certificate is for mme.example.com, not for pgw.example.com"
    (told,) = [log for log in logs if log["event"] == "peer_refused"]
    assert "dNSName" in told["todo"]
    await until(lambda: not kit.node.connections)
    assert kit.node.peers() == ()
    mme = make_origin("MME.example.com", "example.com", 1)
    assert result_of((await connect(kit, context, mme)).cea) == 2001


@pytest.mark.conformance("A39")
@pytest.mark.parametrize(("name", "result"), [("*.example.com", 2001), ("*.com", 3010), ("*.pgw.example.com", 3010)])
async def test_a_wild_certificate_is_for_one_label(listen, ca, name, result):
    kit = await listen()
    try:
        cea = (await connect(kit, client_context(ca, ca.issue_cert(name)))).cea
    except RefusedError as refused:
        cea = refused.cea
    assert result_of(cea) == result


async def refused(kit, count=1):
    await until(lambda: len(kit.notes.ends) == count)
    assert kit.notes.ends[-1] == ("", "tls")
    assert kit.notes.open == 0


@pytest.mark.conformance("A39")
@pytest.mark.parametrize("which", ["none", "stranger", "expired"])
async def test_who_has_no_certificate_that_counts_says_nothing(listen, ca, stranger, which):
    kit = await listen()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = {
        "none": lambda: None,
        "stranger": lambda: stranger.issue_cert(HOST),
        "expired": lambda: ca.issue_cert(HOST, not_before=past - dt.timedelta(days=9), not_after=past),
    }[which]()
    with capture_logs() as logs, pytest.raises((OSError, TimeoutError)):
        await connect(kit, client_context(ca, certificate))
    await refused(kit)
    (told,) = [log for log in logs if log["event"] == "tls_refused"]
    assert {
        "none": "peer did not return a certificate",
        "stranger": "its certificate is not believed",
        "expired": "its certificate is not believed: certificate has expired",
    }[which] in told["why"]


async def test_certificates_may_be_left_to_the_peers(listen, ca, stranger):
    kit = await listen(client_certificates=False)
    client = await connect(kit, client_context(ca))
    assert result_of(client.cea) == 2001
    with pytest.raises((OSError, TimeoutError)):
        await connect(kit, client_context(ca, stranger.issue_cert(HOST)))
    with pytest.raises(RefusedError):
        await connect(kit, client_context(ca, ca.issue_cert("mme.example.com")))


@pytest.mark.parametrize(
    "old",
    [
        {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1},
        {"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256"},
    ],
    ids=["version", "ciphers"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_versions_and_ciphers_are_refused(listen, ca, old):
    kit = await listen()
    versions = {name: value for name, value in old.items() if name != "ciphers"}
    context = client_context(ca, ca.issue_cert(HOST), **versions)
    context.set_ciphers(old.get("ciphers", "ALL:@SECLEVEL=0"))
    with pytest.raises(OSError):
        await connect(kit, context)
    await refused(kit)


async def test_diameter_without_tls_is_not_spoken_there(listen):
    kit = await listen()
    raw = await kit.raw()
    raw.send(ccr())
    assert await raw.reader.read() == b"" or kit.notes.ends == [("", "tls")]
    await refused(kit)
    assert kit.service.seen == []


async def test_a_slow_handshake_costs_nobody_elses_time(listen, ca, monkeypatch):
    monkeypatch.setattr("ocs.diameter.transports.tls.TLS_HANDSHAKES_MAX", 3)
    kit = await listen()
    slow = [await kit.raw() for _ in range(2)]
    client = await connect(kit, client_context(ca, ca.issue_cert(HOST)))
    assert result_of(await client.request(272, 4, body())) == 2001
    slow += [await kit.raw() for _ in range(2)]
    await until(lambda: kit.notes.limits)
    assert kit.notes.limits == ["tls_handshakes"]
    assert await slow[3].reader.read() == b""
    for each in slow[:3]:
        each.writer.transport.abort()
    await until(lambda: len(kit.notes.ends) == 4)
    other = make_origin("smf.example.com", "example.com", 1)
    assert result_of((await connect(kit, client_context(ca, ca.issue_cert("smf.example.com")), other)).cea) == 2001


async def test_a_handshake_has_its_time(listen, monkeypatch):
    monkeypatch.setattr("ocs.diameter.transports.tls.TLS_HANDSHAKE_TIMEOUT_S", 0.05)
    kit = await listen()
    raw = await kit.raw()
    assert await raw.reader.read() == b""
    await refused(kit)


# Connections of our own


@pytest.mark.conformance("A39", "A10")
async def test_we_connect_with_our_certificate(scene, files, ca):
    server = await scene.server(HOST, ssl=server_context(ca, ca.issue_cert(HOST)))
    kit = await scene.node(server.rule(tls=True), tls=files.settings())
    await until(lambda: server.sessions and state(kit) == "open")
    certificate = server.last.transport.get_extra_info("ssl_object").getpeercert()
    assert ("DNS", OWN) in certificate["subjectAltName"]
    (peer,) = kit.node.peers()
    assert [(each.transport, each.direction) for each in peer.connections] == [("tls", "out")]


@pytest.mark.conformance("A39")
@pytest.mark.parametrize("which", ["somebody", "stranger", "no_tls"])
async def test_we_do_not_believe_who_is_not_the_peer(scene, files, ca, stranger, which):
    context = {
        "somebody": lambda: server_context(ca, ca.issue_cert("mme.example.com")),
        "stranger": lambda: server_context(ca, stranger.issue_cert(HOST)),
        "no_tls": lambda: None,
    }[which]()
    server = await scene.server(HOST, ssl=context)
    rule = server.rule(tls=True)
    if which == "no_tls":
        plain = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0)
        rule = PeerRule(HOST, (), connect=Connect(("127.0.0.1",), plain.sockets[0].getsockname()[1], tls=True))
    kit = await scene.node(rule, tls=files.settings())
    await until(lambda: kit.notes.ends)
    assert state(kit) != "open"
    (peer,) = kit.node.peers()
    assert {
        "somebody": "the certificate is for mme.example.com, not for pgw.example.com",
        "stranger": "certificate",
        "no_tls": "127.0.0.1: ",
    }[which] in peer.trouble
    if which == "no_tls":
        plain.close()


class Plain(asyncio.Protocol):
    """Answers whatever comes with what is no TLS."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(b"this is no TLS at all\n")
        self.transport.close()


# Certificates


@pytest.mark.conformance("A39")
async def test_a_reload_takes_new_certificates_for_new_connections(listen, files, ca):
    kit = await listen()
    context = client_context(ca, ca.issue_cert(HOST))
    first = await connect(kit, context)
    before = files.serial
    files.write(ca.issue_cert(OWN))
    assert kit.node.reload(kit.node.settings) == ()
    smf = make_origin("smf.example.com", "example.com", 1)
    second = await connect(kit, client_context(ca, ca.issue_cert("smf.example.com")), smf)
    assert (serial(first), serial(second)) == (before, files.serial)
    assert result_of(await first.request(272, 4, body())) == 2001, "what is open stays"


def serial(client):
    return int(client._transport.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)


BAD = {
    "no_file": (lambda files: (files.folder / "own.pem").unlink(), "own.pem cannot be read: No such file or directory"),
    "no_key": (lambda files: (files.folder / "own.key").write_text("x"), "both have to be PEM files"),
    "no_root": (lambda files: (files.folder / "ca.pem").write_text("x"), "it has to be a PEM file of roots"),
    "other_key": (
        lambda files: files.ca.issue_cert(OWN).private_key_pem.write_to_path(str(files.folder / "own.key")),
        "the key does not belong to the certificate",
    ),
    "expired": (
        lambda files: files.write(
            files.ca.issue_cert(
                OWN,
                not_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
                not_after=dt.datetime(2020, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
            )
        ),
        "expired at 2020-02-03 04:05:06 UTC: put a new one there and reload",
    ),
    "passphrase": (lambda files: encrypt(files.folder / "own.key"), "has a passphrase: store it without one"),
}


def encrypt(path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


@pytest.mark.conformance("A39")
@pytest.mark.parametrize("which", BAD)
async def test_a_reload_that_fails_keeps_the_old_ones_and_says_why(listen, files, ca, which):
    spoil, said = BAD[which]
    kit = await listen()
    before = files.serial
    spoil(files)
    (trouble,) = kit.node.reload(kit.node.settings)
    assert said in trouble
    assert trouble.endswith("the certificates that were in use stay in use")
    assert serial(await connect(kit, client_context(ca, ca.issue_cert(HOST)))) == before


@pytest.mark.parametrize("which", BAD)
async def test_no_start_without_certificates_that_can_be_used(scene, files, which):
    spoil, said = BAD[which]
    spoil(files)
    with pytest.raises(OSError) as failed:
        await scene.node(PeerRule("*", LOOPBACK), tls=files.settings())
    assert said in str(failed.value)


async def test_it_is_told_when_our_certificate_expires(listen, files, ca, monkeypatch):
    told = []
    monkeypatch.setattr(
        "tests.diameter.node_kit.Notes.certificate", lambda _self, at_s: told.append(at_s), raising=False
    )
    at = dt.datetime(2049, 12, 31, 23, 59, 58, tzinfo=dt.UTC)
    files.write(ca.issue_cert(OWN, not_after=at))
    kit = await listen()
    late = dt.datetime(2051, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    files.write(ca.issue_cert(OWN, not_after=late))
    kit.node.reload(kit.node.settings)
    assert told == [int(at.timestamp()), int(late.timestamp())]


async def test_a_peer_that_is_to_be_connected_to_by_tls_without_certificates(scene):
    server = await scene.server(HOST)
    kit = await scene.node(server.rule(tls=True))
    await until(lambda: kit.notes.ends)
    assert "there are no certificates" in kit.node.peers()[0].trouble
    await settle()
    assert server.sessions == []


def test_why_a_handshake_failed():
    assert tls.explain(TimeoutError()) == "no handshake in 10 s"
    assert tls.explain(OSError("gone")) == "gone"
    assert tls.explain(RuntimeError()) == "RuntimeError"
