"""The client that simulation and tests use, against a server that is a script."""

import asyncio

import pytest

from ocs.diameter import base_messages
from ocs.diameter.base_answers import base_answer, make_origin
from ocs.diameter.client import Client, RefusedError, result_of
from ocs.diameter.wire import decode_message, split_frames
from tests.diameter.node_kit import PGW, body, request, until
from tests.diameter.samples import ORIGIN

OCS = make_origin("ocs.example.com", "example.com", 1)


class Script:
    """Takes one connection; `answers` makes octets of each request, None ends the connection."""

    def __init__(self, answers):
        self.answers = answers
        self.seen = []
        self.writer = None

    async def __call__(self, reader, writer):
        self.writer = writer
        buffer = bytearray()
        while data := await reader.read(65_536):
            buffer += data
            for frame in split_frames(buffer, 65_536):
                message = decode_message(frame)
                self.seen.append(message)
                answer = self.answers(message)
                if answer is None:
                    writer.close()
                    return
                writer.write(answer)
        writer.close()


def polite(message):
    if message.command_code == 282:
        return base_messages.dpa(message, OCS)
    return base_messages.dwa(message, OCS)  # any 2001 will do


@pytest.fixture
async def serve():
    servers, clients = [], []

    async def serve(answers=polite):
        script = Script(answers)
        server = await asyncio.start_server(script, "127.0.0.1", 0)
        servers.append(server)
        client = await Client.connect_only(*server.sockets[0].getsockname(), PGW)
        clients.append(client)
        client.port = server.sockets[0].getsockname()[1]
        return script, client

    yield serve
    for client in clients:
        client.abort()
        await client.lost
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_requests_find_their_answers_in_any_order(serve):
    kept = []

    def backwards(message):
        kept.append(polite(message))
        return b"".join(reversed(kept)) if len(kept) == 3 else b""

    script, client = await serve(backwards)
    answers = await asyncio.gather(*(client.request(272, 4, body()) for _ in range(3)))
    assert [answer.hop_by_hop_id for answer in answers] == [message.hop_by_hop_id for message in script.seen]
    assert script.seen[0].flags == 0xC0


async def test_a_repeat_has_the_t_bit(serve):
    script, client = await serve()
    await client.request(272, 4, body(), retransmission=True)
    assert script.seen[0].is_retransmission


async def test_no_answer_in_time(serve):
    _, client = await serve(lambda _message: b"")
    with pytest.raises(TimeoutError):
        await client.request(272, 4, body(), timeout_s=0)


async def test_the_end_of_the_connection_is_told_to_who_waits(serve):
    _, client = await serve(lambda _message: None)
    with pytest.raises(ConnectionError):
        await client.request(272, 4, body())
    await client.lost
    with pytest.raises(ConnectionError):
        await client.request(272, 4, body())


async def test_a_refused_connection_shows_the_cea(serve):
    _, client = await serve(lambda message: base_messages.cea_refusal(
        message, OCS, client.local_address, 3010, None, "who are you"))  # fmt: skip
    with pytest.raises(RefusedError, match="3010") as caught:
        await Client.connect("127.0.0.1", client.port, PGW)
    assert result_of(caught.value.cea) == 3010


async def test_requests_of_the_server_are_answered(serve):
    script, client = await serve()
    assert await client.request(272, 4, body())
    script.writer.write(base_messages.dwr(OCS, 1, 1) + request(258, ORIGIN, hop_by_hop_id=2))
    script.writer.write(base_messages.dpr(OCS, base_messages.BUSY, 3, 3) + request(272, [], flags=0, hop_by_hop_id=4))
    await client.lost
    assert [message.command_code for message in client.requests] == [280, 258, 282]
    assert client.unmatched == 1
    await until(lambda: len(script.seen) == 4)
    answers = {message.hop_by_hop_id: result_of(message) for message in script.seen[1:]}
    assert answers == {1: 2001, 2: 3001, 3: 2001}


async def test_requests_of_the_server_are_answered_as_the_test_says(serve):
    script, client = await serve()
    client.answers = {258: lambda message: base_answer(message, 2002, PGW), 274: lambda _message: None}
    script_requests = request(258, ORIGIN, hop_by_hop_id=1) + request(274, ORIGIN, hop_by_hop_id=2)
    assert await client.request(272, 4, body())
    script.writer.write(script_requests + base_messages.dwr(OCS, 3, 3))
    await until(lambda: len(script.seen) == 3)
    assert {message.hop_by_hop_id: result_of(message) for message in script.seen[1:]} == {1: 2002, 3: 2001}


async def test_goodbye(serve):
    script, client = await serve()
    await client.close()
    assert [message.command_code for message in script.seen] == [282]
    await client.close()


async def test_garbage_of_the_server_ends_the_connection(serve):
    _, client = await serve(lambda _message: b"\xff" * 40)
    with pytest.raises(ConnectionError):
        await client.request(272, 4, body())
