"""`ocs replay`: what was traced or captured is sent again, to a real server or to one that answers otherwise."""

import asyncio
import subprocess
import sys

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcapng

from ocs.cli.replaying import Unreachable, Wish, recorded, replay, results_of
from ocs.diameter import capture
from ocs.diameter.capture_streams import Captured
from ocs.diameter.wire import decode_message, message_bytes
from tests.diameter.samples import avp, credit_control
from tests.diameter.server_kit import Server

AT_NS = 1_700_000_000_000_000_000
ENDS = ("10.0.0.1:40000", "10.0.0.2:3868")
WISH = Wish("replay.example.com", "example.com")


def ccr(session_id, number, *more, ids=None, flags=0xC0, command=272, application=4):
    parts = [avp("Session-Id", session_id), *credit_control(2, number)[1:], *more]
    hop_by_hop_id, end_to_end_id = ids or (number, number)
    return message_bytes(flags, command, application, hop_by_hop_id, end_to_end_id, b"".join(parts))


def cca(number, result, *groups):
    inside = [
        avp("Multiple-Services-Credit-Control", [avp("Rating-Group", group), avp("Result-Code", code)])
        for group, code in groups
    ]
    return message_bytes(0x40, 272, 4, number, number, avp("Result-Code", result) + b"".join(inside))


def captured(*messages):
    return [Captured(AT_NS + index * 1_000_000, *ENDS, message) for index, message in enumerate(messages)]


@pytest.fixture
async def server():
    made = await Server("ocs.example.com").start()
    made.answers[272] = made.raa
    yield made
    await made.close()


async def play(server, messages, wish=WISH):
    done = []
    report = await replay("127.0.0.1", server.port, recorded(captured(*messages)), wish, done.append)
    assert done == list(range(1, report.requests + 1))
    return report


async def test_requests_are_sent_with_hosts_of_now_and_in_the_order_of_each_session(server):
    messages = [ccr(f"{name};1", number, avp("Route-Record", "dra")) for number in range(5) for name in "ab"]
    report = await play(server, messages)
    assert (report.requests, report.answered, report.not_captured, report.same) == (10, 10, 10, True)
    sent = server.last.of(272)
    for name in "ab":
        mine = [one for one in sent if one.find(263).data == f"{name};1".encode()]
        assert [int.from_bytes(one.find(415).data) for one in mine] == list(range(5))
    first = sent[0]
    assert first.find(264).data == b"replay.example.com"
    assert first.find(283).data == b"example.com"
    assert first.find(282) is None
    assert first.avps[-1] == decode_message(ccr("a", 0)).avps[-1], "the rest is as it was"


async def test_a_request_waits_for_the_answer_to_the_one_before_it_in_its_session(server):
    out, most = {}, []
    loop = asyncio.get_running_loop()

    def later(request):
        session = request.find(263).data
        out[session] = out.get(session, 0) + 1
        most.append((out[session], len(out)))

        def answer():
            out[session] -= 1
            server.last.say(server.raa(request))

        loop.call_later(0.01, answer)

    server.answers[272] = later
    await play(server, [ccr(f"{name};1", number) for number in range(3) for name in "ab"])
    assert {mine for mine, _ in most} == {1}, "one at a time in a session"
    assert max(sessions for _, sessions in most[:2]) == 2, "sessions beside each other"


async def test_what_asks_clients_or_belongs_to_the_connection_is_not_sent(server):
    watchdog = ccr("a;1", 0, command=280, application=0)
    reauth = ccr("a;1", 1, command=258)
    report = await play(server, [watchdog, reauth, ccr("a;1", 2), b"\1\0\0\x18" + bytes(16) + b"\0\0\1\7"])
    assert report.requests == 1


async def test_a_captured_repeat_is_a_repeat_again(server):
    await play(server, [ccr("a;1", 0, ids=(1, 9)), ccr("a;1", 0, ids=(2, 9), flags=0xD0), ccr("a;1", 1, ids=(3, 10))])
    first, again, other = server.last.of(272)
    assert first.end_to_end_id == again.end_to_end_id != other.end_to_end_id
    assert (first.is_retransmission, again.is_retransmission) == (False, True)


async def test_new_sessions_and_hosts_as_captured_on_request(server):
    await play(server, [ccr("a;1", 0)], Wish("replay.example.com", "example.com", suffix=";x", keep_hosts=True))
    (sent,) = server.last.of(272)
    assert (sent.find(263).data, sent.find(264).data) == (b"a;1;x", b"gw.example.com")


async def test_results_are_compared_down_to_the_rating_groups(server):
    answers = {0: cca(0, 2001, (100, 2001)), 1: cca(1, 2001, (100, 4012)), 2: cca(2, 5030)}
    now = {0: [2001, (100, 2001)], 1: [2001, (100, 2001)], 2: [2001]}

    def answer(request):
        number = int.from_bytes(request.find(415).data)
        made = decode_message(cca(number, *now[number]))
        body = b"".join(one.encode() for one in made.avps)
        return message_bytes(0x40, 272, 4, request.hop_by_hop_id, request.end_to_end_id, body)

    server.answers[272] = answer
    messages = [message for number in range(3) for message in (ccr("a;1", number), answers[number])]
    report = await play(server, [*messages, cca(9, 2001)])
    assert (report.requests, report.compared, report.not_captured) == (3, 3, 0)
    assert [(one.request, one.captured, one.now) for one in report.differences] == [
        ("272 type 2 number 1", {"": 2001, "group 100": 4012}, {"": 2001, "group 100": 2001}),
        ("272 type 2 number 2", {"": 5030}, {"": 2001}),
    ]


def test_an_experimental_result_counts_as_a_result():
    inside = avp("Experimental-Result", [avp("Vendor-Id", 10415), avp("Experimental-Result-Code", 5030)])
    assert results_of(decode_message(message_bytes(0x40, 272, 4, 1, 1, inside))) == {"": 5030}


async def test_a_server_that_goes_away_is_told(server):
    server.answers[272] = lambda _: server.last.transport.abort()
    with pytest.raises(Unreachable, match="ended the connection: 2 requests"):
        await play(server, [ccr("a;1", 0), ccr("a;1", 1)])


async def test_the_captured_pace_is_kept(server, monkeypatch):
    slept = []
    real = asyncio.sleep

    async def sleep(seconds, *more):
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr("ocs.cli.replaying.asyncio.sleep", sleep)
    messages = [Captured(AT_NS + at * 1_000_000_000, *ENDS, ccr(f"{at};1", at)) for at in (0, 1_000, 3_000)]
    wish = Wish("replay.example.com", "example.com", speed=10)
    await replay("127.0.0.1", server.port, recorded(messages), wish, lambda _: None)
    assert [round(seconds, -1) for seconds in slept] == [0, 100, 300]


def test_what_was_traced_is_replayed_and_charges_nothing_twice(ocs, child, tmp_path):
    file = tmp_path / "a.pcap"
    address, argv = "{}:{}".format(*child.diameter), [sys.executable, "-m", "ocs", "trace", "--seconds", "2", "--pcap"]
    tracing = subprocess.Popen([*argv, file, "--msisdn", "491700000002", "--url", child.url], stdout=subprocess.PIPE)
    child.event("trace_started")
    ran = ocs("simulate", "data", "--msisdn", "491700000002", "--pieces", 3, "--server", address, "--url", child.url)
    assert (ran.code, tracing.communicate(timeout=60)[1]) == (0, None)
    money = child.balances("demo-money")["money"]
    again = ocs("replay", file, "--to", address, "--origin-host", "pgw.simulated.example.net", "--json")
    assert again.code == 0
    assert {name: again.json[name] for name in ("requests", "answered", "compared", "differences")} == {
        "requests": 4,
        "answered": 4,
        "compared": 4,
        "differences": [],
    }
    assert child.balances("demo-money")["money"] == money
    fresh = ocs("replay", file, "--to", address, "--new-sessions")
    assert (fresh.code, fresh.out.strip()) == (0, "4 requests, 4 answered, 4 compared, 0 different")
    assert child.balances("demo-money")["money"] != money


def test_a_capture_of_tcp_is_replayed_and_differences_end_with_1(ocs, child, tmp_path):
    request, answer = ccr("captured;1", 0), cca(0, 2001)
    frames = [
        Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=4, dport=3868, seq=1, flags="PA") / request,
        Ether() / IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=3868, dport=4, seq=1, flags="PA") / answer,
    ]
    file = tmp_path / "a.pcapng"
    wrpcapng(str(file), frames)
    ran = ocs("replay", file, "--to", "{}:{}".format(*child.diameter))
    assert ran.code == 1
    assert ran.out.splitlines()[0].startswith("captured;1 272 type 2 number 0: was 2001, now 5")
    assert "1 requests, 1 answered, 1 compared, 1 different" in ran.out


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"no capture", "neither a pcap"), (capture.file_header(), "no Diameter requests"), (None, "cannot be read")],
)
def test_a_file_without_requests_is_refused(ocs, tmp_path, content, why):
    file = tmp_path / "a.pcap"
    if content is not None:
        file.write_bytes(content)
    ran = ocs("replay", file)
    assert (ran.code, why in ran.err) == (2, True)


def test_no_server_ends_with_2(ocs, tmp_path):
    file = tmp_path / "a.pcap"
    file.write_bytes(capture.file_header() + capture.record(AT_NS, *ENDS, "tcp", ccr("a;1", 0)))
    assert ocs("replay", file, "--to", "nowhere").code == 2
    ran = ocs("replay", file, "--to", "127.0.0.1:9")
    assert (ran.code, "cannot be reached" in ran.err) == (2, True)
