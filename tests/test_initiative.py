"""What the server begins by itself: RAR and ASR from whichever node reaches the client, and what becomes of them."""

import asyncio

import msgspec
import pytest

from ocs.balances.account import Status
from ocs.charging.asking import Whom, look
from ocs.charging.effects import abort, reauth
from ocs.charging.session import SessionState
from ocs.daemon import endings, looking
from ocs.diameter.base_answers import base_answer
from ocs.limits import EFFECT_ATTEMPTS_MAX
from ocs.rating.tariff import SharedGroup
from ocs.store.interface import StoreDown
from ocs.store.memory import MemoryStore
from ocs.store.outbox import CLAIM_S
from tests.diameter.clients.avps import TERMINATION, UPDATE, rsu, subscription, total, u32, usu
from tests.initiative_kit import (
    ASR,
    AUD,
    LIMIT_S,
    MIB,
    PGW,
    RAR,
    RULE,
    Gateway,
    Server,
    eventually,
    granted,
    open_demo,
    session_of,
    settings,
)

S = 1_000_000_000
FIVE_MIB_NANOS = 5 * AUD // 100
SESSION = session_of()


@pytest.fixture
async def scene():
    """Makes nodes on one store, and gateways, and clears them away."""
    store, made = MemoryStore(shared=True), []

    class Scene:
        def __init__(self):
            self.store = store

        async def server(self, configuration=None):
            made.append(await Server(store, configuration).start())
            return made[-1]

        async def gateway(self, server, host=PGW):
            found = await Gateway.connect(server, host)
            made.insert(0, found)
            return found

        async def session(self, key=SESSION, account_id="demo"):
            return (await store.load(account_id, key)).session

        async def outbox(self):
            return list(store._outbox.values())

        async def emptied(self):
            async def is_empty():
                return not await self.outbox()

            await eventually(is_empty)

    yield Scene()
    for each in made:
        await (each.close() if isinstance(each, Gateway) else each.stop())


@pytest.mark.conformance("B31", "B32")
async def test_a_topup_on_one_node_is_told_by_the_node_that_has_the_client(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    north, south = await scene.server(), await scene.server()
    gateway = await scene.gateway(south)
    assert granted(await gateway.ask()) == 5 * MIB
    await north.top_up()
    assert await gateway.next() == (RAR, SESSION, 101)
    await scene.emptied()
    assert south.counted("diameter_own_requests", command="RA", result="2002") == 1
    assert north.counted("diameter_own_requests", command="RA", result="2002") == 0
    assert granted(await gateway.ask(UPDATE, 1, rsu(), usu(total(MIB)))) == 10 * MIB
    assert [entry.kind for entry in await scene.store.journal("demo", 0, 9)] == [
        *("open", "charge", "topup", "reauth", "charge")
    ]
    await north.top_up()
    await scene.emptied()
    assert gateway.asked.empty(), "it waits for nothing any more"


@pytest.mark.conformance("B31")
async def test_who_was_refused_waits_too(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    assert granted(await gateway.ask()) == 5 * MIB
    await gateway.ask(UPDATE, 1, rsu(), usu(total(5 * MIB)))
    await server.top_up()
    assert await gateway.next() == (RAR, SESSION, 101)


@pytest.mark.conformance("B31")
async def test_through_the_agent_that_the_session_came_through(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    other, agent = [await scene.gateway(server, f"dra{n}.example.org") for n in (1, 2)]
    await agent.ask(origin="pgw7.example.net")
    await server.top_up()
    assert await agent.next() == (RAR, session_of("pgw7.example.net"), 101)
    (message,) = [request for request in agent.client.requests if request.command_code == RAR]
    assert [message.find(code).data for code in (283, 293)] == [b"example.net", b"pgw7.example.net"]
    await scene.emptied()
    assert other.asked.empty()


async def test_accounts_that_share_the_money_are_told_too(scene):
    configuration = settings()
    shared = {"family": SharedGroup("family", ("demo", "child"))}
    tariff = msgspec.structs.replace(configuration.tariff, shared_groups=shared)
    configuration = msgspec.structs.replace(configuration, tariff=tariff)
    await open_demo(scene.store, FIVE_MIB_NANOS, group="family")
    await open_demo(scene.store, 0, "child", "msisdn:4967890", group="family")
    server = await scene.server(configuration)
    gateway = await scene.gateway(server)
    answer = await gateway.ask(ids=subscription(0, "4967890"))
    assert granted(answer) == 5 * MIB
    await server.top_up()
    assert await gateway.next() == (RAR, SESSION, 101)


async def test_nothing_is_sent_before_it_is_durable(scene, monkeypatch):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    await gateway.ask()
    gate, commit = asyncio.Event(), scene.store.commit
    seen = []

    async def slow(outcomes):
        seen.append(len(seen))
        await gate.wait()
        return await commit(outcomes)

    monkeypatch.setattr(scene.store, "commit", slow)
    topping = asyncio.ensure_future(server.top_up())
    await eventually(lambda: asyncio.sleep(0, result=seen))
    server.initiative._outbox.wake()
    await server.initiative._outbox.round()
    assert gateway.asked.empty()
    assert not topping.done()
    gate.set()
    await topping
    assert (await gateway.next())[0] == RAR


@pytest.mark.conformance("B31")
async def test_a_session_that_the_client_does_not_know_is_ended_and_its_holds_released(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[RAR] = 5002
    await gateway.ask()
    server.skew_ns = 11 * S
    await server.outbox(reauth(await scene.session(), None, "test"))
    assert await gateway.next() == (RAR, SESSION, None)
    await scene.emptied()
    ended = await scene.session()
    assert (ended.state, ended.cause) == (SessionState.EXPIRED, "peer_unknown")
    account = (await scene.store.load("demo", None)).account
    assert (account.balances[0].held, account.balances[0].value) == (0, FIVE_MIB_NANOS)
    assert [row.cdr.cause for row in await scene.store.cdrs("demo", None, 0, 9)] == ["peer_unknown"]
    assert server.counted("sessions_ended", reason="peer_unknown") == 1


async def test_a_session_that_is_heard_of_before_the_answer_goes_on(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[RAR] = None
    await gateway.ask()
    server.skew_ns = 11 * S
    await server.outbox(reauth(await scene.session(), None, "test"))
    asked = await asyncio.wait_for(gateway.asked.get(), LIMIT_S)
    await gateway.ask(UPDATE, 1, rsu(), usu(total(MIB)))
    gateway.client.send(base_answer(asked, 5002, gateway.client.origin))
    await scene.emptied()
    assert (await scene.session()).is_open


@pytest.mark.conformance("B31")
async def test_a_session_heard_of_just_now_is_asked_again_before_it_is_ended(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[RAR] = 5002
    await gateway.ask()
    await server.outbox(reauth(await scene.session(), None, "test"))
    await gateway.next()
    await server.initiative._outbox.round()
    assert (await scene.session()).is_open
    gateway.result[RAR] = 2001
    server.skew_ns = (CLAIM_S + 1) * S
    server.initiative._outbox.wake()
    await gateway.next()
    await scene.emptied()
    assert (await scene.session()).is_open


@pytest.mark.conformance("B31")
@pytest.mark.parametrize("result", [3004, 4001, None], ids=["busy", "transient", "gone"])
async def test_who_does_not_do_it_is_asked_again_within_bounds(scene, result):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[RAR] = result
    await gateway.ask()
    await server.outbox(reauth(await scene.session(), None, "test"))
    outcomes = []
    for attempt in range(EFFECT_ATTEMPTS_MAX):
        assert (await gateway.next())[0] == RAR
        if result is None:  # its answer goes with its connection
            await gateway.close()
            gateway = await scene.gateway(server)
            gateway.result[RAR] = None

        async def counted(attempt=attempt):
            outcomes[:] = [server.counted("effects", outcome=outcome) for outcome in ("later", "given_up")]
            return sum(outcomes) == attempt + 1

        await eventually(counted)
        await server.initiative._outbox.round()
        assert gateway.asked.empty(), "not before its time"
        server.skew_ns += CLAIM_S * S
        server.initiative._outbox.wake()
    assert outcomes == [EFFECT_ATTEMPTS_MAX - 1, 1]
    await scene.emptied()
    assert gateway.asked.empty()
    assert (await scene.session()).is_open


async def test_who_cannot_do_it_is_not_asked_again(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[RAR] = 3001
    await gateway.ask()
    await server.outbox(reauth(await scene.session(), None, "test"))
    await gateway.next()
    await scene.emptied()
    assert server.counted("diameter_own_requests", command="RA", result="3001") == 1
    assert (await scene.session()).is_open


async def test_what_waits_for_a_client_is_sent_when_it_connects(scene):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    await gateway.ask()
    await gateway.close()
    await eventually(lambda: asyncio.sleep(0, result=not server.node.reachable()))
    await server.top_up()

    async def left():
        return [effect.peer for _, _, effect in await scene.outbox()] == [PGW]

    await eventually(left)
    again = await scene.gateway(server)
    assert await again.next() == (RAR, SESSION, 101)


@pytest.mark.conformance("B32", "A40")
async def test_barring_stops_all_sessions_and_the_clients_end_them(scene):
    await open_demo(scene.store, AUD)
    server = await scene.server()
    gateway = await scene.gateway(server)
    await gateway.ask()
    await server.set_status(Status.DISABLED)
    assert await gateway.next() == (ASR, SESSION, None)
    await scene.emptied()
    assert (await scene.session()).is_open, "its client ends it, or the timer does"
    answer = await gateway.ask(TERMINATION, 1, usu(total(MIB)))
    assert int.from_bytes(answer.find(268).data) == 2001
    ended = await scene.session()
    assert (ended.state, ended.cause) == (SessionState.CLOSED, "normal")


@pytest.mark.conformance("A40")
async def test_an_aborted_session_that_is_unknown_to_its_client_ends(scene):
    await open_demo(scene.store, AUD)
    server = await scene.server()
    gateway = await scene.gateway(server)
    gateway.result[ASR] = 5002
    await gateway.ask()
    server.skew_ns = 11 * S
    await server.outbox(abort(await scene.session(), "fraud"))
    await gateway.next()
    await scene.emptied()
    assert (await scene.session()).cause == "peer_unknown"


@pytest.mark.conformance("B32")
async def test_one_that_was_ended_by_force_is_still_told_and_others_that_are_over_are_not(scene):
    await open_demo(scene.store, AUD)
    server = await scene.server()
    gateway = await scene.gateway(server)
    await gateway.ask()
    session = await scene.session()
    assert await server.initiative.endings.end("demo", SESSION, "aborted")
    assert not await server.initiative.endings.end("demo", SESSION, "aborted")
    await server.outbox(abort(session, "command"))
    assert await gateway.next() == (ASR, SESSION, None)
    await server.outbox(reauth(session, None, "command"))
    await server.outbox(reauth(msgspec.structs.replace(session, key="gone"), None, "command"))
    await scene.emptied()
    assert gateway.asked.empty()
    assert server.counted("sessions_ended", reason="aborted") == 1


@pytest.mark.conformance("B32")
async def test_a_recall_asks_who_has_a_quota_page_by_page(scene, monkeypatch):
    monkeypatch.setattr(looking, "PAGE_SESSIONS", 2)
    await open_demo(scene.store, 10 * AUD)
    server = await scene.server()
    agent = await scene.gateway(server, "dra.example.org")
    hosts = [f"pgw{n}.example.net" for n in range(5)]
    for host in hosts:
        await agent.ask(origin=host)
    await server.outbox(look(Whom.ALL, "recall", "ada"))
    asked = [await agent.next() for _ in hosts]
    assert sorted(asked) == [(RAR, session_of(host), 101) for host in hosts]
    entries = (await scene.store.journal("demo", 0, 99))[-3:]
    assert [(entry.kind, entry.by, entry.reason) for entry in entries] == [("reauth", "ada", "recall")] * 3


async def test_a_store_that_is_down_is_asked_again(scene, monkeypatch):
    await open_demo(scene.store, FIVE_MIB_NANOS)
    server = await scene.server()
    gateway = await scene.gateway(server)
    await gateway.ask()
    failed = []

    async def down(*_):
        failed.append(1)
        raise StoreDown("gone")

    with monkeypatch.context() as patch:
        patch.setattr(scene.store, "sessions", down)
        await server.top_up()
        await eventually(lambda: asyncio.sleep(0, result=failed))
        await server.initiative._outbox.round()
    with monkeypatch.context() as patch:
        patch.setattr(scene.store, "find_session", down)
        server.skew_ns += CLAIM_S * S
        server.initiative._outbox.wake()
        await eventually(lambda: asyncio.sleep(0, result=len(failed) == 2))
        await server.initiative._outbox.round()
    assert gateway.asked.empty()
    server.skew_ns += CLAIM_S * S
    server.initiative._outbox.wake()
    assert (await gateway.next())[0] == RAR


# A new tariff.


async def test_a_new_tariff_asks_who_has_quotas_by_the_old_one_so_many_a_second(scene):
    paused = []

    async def pause(seconds):
        paused.append(seconds)

    await open_demo(scene.store, 10 * AUD)
    server = await scene.server(settings(reauthorise_on_tariff_change=True, reauthorise_per_s=2))
    agent = await scene.gateway(server, "dra.example.org")
    for n in range(4):
        await agent.ask(origin=f"pgw{n}.example.net")
    change = server.initiative.tariff_change
    change.pause = pause
    assert (await change.sweep(), paused) == (0, [])
    tariff = server.settings.tariff
    server.settings = msgspec.structs.replace(server.settings, tariff=msgspec.structs.replace(tariff, version="next"))
    server.credit_control.reconfigure(server.settings)
    await agent.ask(UPDATE, 1, rsu(), usu(total(MIB)), origin="pgw1.example.net")
    change.changed()
    change.start()
    asked = sorted([await agent.next() for _ in range(3)])
    assert [session for _, session, _ in asked] == [session_of(f"pgw{n}.example.net") for n in (0, 2, 3)]
    await scene.emptied()
    await change.stop()
    assert paused == [1.0, 0.5]
    assert agent.asked.empty()


async def test_without_the_setting_nobody_is_asked(scene):
    server = await scene.server()
    server.initiative.tariff_change.changed()
    assert not server.initiative.tariff_change._changed.is_set()


# A peer that restarts.


@pytest.mark.conformance("A37")
async def test_the_sessions_of_a_host_that_restarted_end_and_newer_ones_stay(scene, monkeypatch):
    monkeypatch.setattr(endings, "PAGE_SESSIONS", 1)
    await open_demo(scene.store, 10 * AUD)
    server = await scene.server(settings(msgspec.structs.replace(RULE, release_on_restart=True)))
    agent = await scene.gateway(server, "dra.example.org")
    host, other = "pgw1.example.net", "pgw2.example.net"
    for origin in (other, host):
        await agent.ask(origin=origin, others=u32("Origin-State-Id", 3))
    await agent.ask(origin=host, session="5b8d80;2", others=u32("Origin-State-Id", 4))
    await server.initiative.endings.settled()
    named = (session_of(host), session_of(host, "5b8d80;2"), session_of(other))
    old, new, unrelated = [await scene.session(name) for name in named]
    assert (old.state, old.cause) == (SessionState.EXPIRED, "peer_restarted")
    assert (new.is_open, unrelated.is_open) == (True, True)
    assert server.counted("sessions_ended", reason="peer_restarted") == 1


async def test_a_release_goes_on_where_the_store_went_down(scene, monkeypatch):
    monkeypatch.setattr(endings, "PAUSE_S", 0)
    await open_demo(scene.store, 10 * AUD)
    server = await scene.server()
    agent = await scene.gateway(server, "dra.example.org")
    for n in range(2):
        await agent.ask(origin=f"pgw{n}.example.net")
    sessions, failed = scene.store.sessions, []

    async def down_once(*arguments):
        if not failed:
            failed.append(1)
            raise StoreDown("gone")
        return await sessions(*arguments)

    monkeypatch.setattr(scene.store, "sessions", down_once)
    for n in range(2):  # the second while the first is on its way
        server.node.peer_restarted(f"pgw{n}.example.net")
        await asyncio.sleep(0)
    await server.initiative.endings.settled()
    assert [(await scene.session(session_of(f"pgw{n}.example.net"))).is_open for n in range(2)] == [False, False]
