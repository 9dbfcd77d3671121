"""The load client, in C and in Python, against a server that misbehaves."""

import asyncio
import shutil

import pytest

from ocs.bench.load import CannotRun, Load
from ocs.bench.plan import Plan
from ocs.bench.templates import echo_answer
from ocs.cli.avps import decode, encode
from ocs.diameter.grammar import check_request
from ocs.diameter.wire import decode_message
from tests.bench.toy import GRANTED, Reply, Toy

KINDS = [pytest.param("c", marks=pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")), "python"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def plan(toy, **other):
    settings = {"connections": 2, "sessions": 8, "subscribers": 50, "run_id": 1_795_000_000, "updates": 3}
    return Plan(addresses=(("127.0.0.1", toy.port),), **{**settings, **other})


async def play(toy, tmp_path, kind, *phases, **other):
    """Run phases against the toy; their results."""

    def work():
        with Load(plan(toy, **other), tmp_path, kind) as load:
            assert load.client == kind
            return [load.phase(*phase) for phase in phases]

    async with toy.running():
        return await asyncio.to_thread(work)


def always(body=GRANTED, delay_s=0.0):
    return lambda number, message: Reply(body, delay_s)


async def test_sessions_are_played_in_their_order(tmp_path, kind):
    toy = Toy(always(echo_answer(5)))
    (result,) = await play(toy, tmp_path, kind, ("closed", 2, 0, 0.4), groups=(5,))
    sessions = {}
    for frame in toy.requests:
        message = decode_message(frame)
        check_request(message, strict=True)
        said = decode(message.avps)
        sessions.setdefault(said["Session-Id"], []).append((said["CC-Request-Type"], said["CC-Request-Number"]))
    whole = [(1, 0), (2, 1), (2, 2), (2, 3), (3, 4)]
    assert len(sessions) > 8
    for requests in sessions.values():
        numbers = [number for _, number in requests]
        assert numbers == list(range(len(numbers)))
        kinds = [each for each, _ in requests]
        assert kinds == [1, *[2] * (len(kinds) - 1)] or kinds == [1, *[2] * (len(kinds) - 2), 3]
    assert whole in sessions.values()
    assert len({decode_message(frame).end_to_end_id for frame in toy.requests}) == len(toy.requests)
    assert result.problems() == []
    assert set(result.results) == {"INITIAL", "UPDATE", "TERMINATION"}
    assert sum(sum(codes.values()) for codes in result.results.values()) == result.latency.count == result.sent
    assert toy.goodbyes == 2


async def test_both_clients_send_the_same(tmp_path):
    """What the compiled one puts into a message is what `fill` does, octet for octet."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    sent = []
    for kind in ("c", "python"):
        toy = Toy(always(echo_answer(5)))
        await play(toy, tmp_path, kind, ("closed", 2, 0, 0.2), groups=(1, 5), rotate=True)
        requests = {}
        for frame in toy.requests:
            said = decode(decode_message(frame).avps)
            masked = bytearray(frame)
            masked[12:20] = bytes(8)
            masked = bytes(masked).replace(encode({"Event-Timestamp": said["Event-Timestamp"]}), b"")
            requests[said["Session-Id"], said["CC-Request-Number"]] = masked
        sent.append(requests)
    # Sessions of the first round are on the same connections in both.
    first = [key for key in sent[0] if int(key[0].split(";")[2]) <= 8 and key in sent[1]]
    assert len(first) > 15
    assert all(sent[0][key] == sent[1][key] for key in first)


async def test_a_stall_is_seen_by_all_who_were_due_meanwhile(tmp_path, kind):
    """Only four requests are in flight when the server falls silent; the latency of all others counts, too."""
    stalled_until_s = None

    def decide(number, message):
        nonlocal stalled_until_s
        now_s = asyncio.get_running_loop().time()
        if number == 60:
            stalled_until_s = now_s + 0.5
        left_s = 0 if stalled_until_s is None else stalled_until_s - now_s
        return Reply(GRANTED, max(0, left_s))

    toy = Toy(decide)
    (result,) = await play(toy, tmp_path, kind, ("open", 200, 0.1, 1.2), sessions=4)
    waited = sum(count for index, count in result.latency.counts() if index > 128 * 9)  # longer than 65 ms
    assert waited > 50  # 0.5 s at 200/s, less those that waited for the last 65 ms only
    assert result.behind_max > 40
    assert result.latency.max_us > 400_000
    assert result.problems() == []


async def test_what_is_never_answered_is_counted_and_the_rest_goes_on(tmp_path, kind):
    toy = Toy(lambda number, message: Reply(None if number > 20 and number % 10 == 0 else GRANTED))
    (result,) = await play(toy, tmp_path, kind, ("open", 200, 0.1, 1), answer_timeout_ms=200, sessions=40)
    assert result.unanswered > 5
    assert result.sent == result.unanswered + result.latency.count
    assert any("got no answer" in problem for problem in result.problems())


async def test_answers_that_come_too_late_are_no_answers(tmp_path, kind):
    toy = Toy(lambda number, message: Reply(GRANTED, 0.4 if number % 10 == 9 else 0))
    (result,) = await play(toy, tmp_path, kind, ("open", 100, 0.1, 1), answer_timeout_ms=100, sessions=40)
    assert result.late > 0
    assert result.unanswered > 0


async def test_refusals_and_missing_grants_are_problems(tmp_path, kind):
    refused = encode({"Session-Id": "s", "Result-Code": 4012, "Origin-Host": "o", "Origin-Realm": "r"})
    empty = encode({"Session-Id": "s", "Result-Code": 2001, "Origin-Host": "o", "Origin-Realm": "r"})
    toy = Toy(lambda number, message: Reply((refused, empty, GRANTED)[number % 3]))
    (result,) = await play(toy, tmp_path, kind, ("closed", 1, 0, 0.3))
    problems = "; ".join(result.problems())
    assert "were answered 4012" in problems
    assert "lacked a grant" in problems
    assert result.results["INITIAL"][4012] > 0
    assert result.of_groups == {2001: result.of_groups[2001]}


async def test_watchdogs_are_answered(tmp_path, kind):
    toy = Toy(always(), asks_watchdog=True)
    await play(toy, tmp_path, kind, ("closed", 1, 0, 0.1))
    assert [(dwa.command_code, dwa.hop_by_hop_id, dwa.end_to_end_id) for dwa in toy.dwas] == [(280, 0xABCD, 0x1234)] * 2


async def test_a_server_that_refuses_ends_the_run_with_its_reason(tmp_path, kind):
    with pytest.raises(CannotRun, match="refused connection 0 with Result-Code 3010"):
        await play(Toy(always(), cea_code=3010), tmp_path, kind, ("closed", 1, 0, 0.1))


async def test_a_server_that_is_not_there_ends_the_run(tmp_path, kind):
    toy = Toy(always())
    async with toy.running():
        pass
    with pytest.raises(CannotRun, match="cannot be reached"):
        await asyncio.to_thread(lambda: Load(plan(toy), tmp_path, kind).__enter__())
