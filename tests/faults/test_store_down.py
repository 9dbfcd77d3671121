"""While the store cannot be written, clients are told to try again, and emergency calls go through."""

import os
import sqlite3

import pytest

from ocs.cli.avps import decode, encode
from ocs.diameter.base_answers import make_origin
from ocs.diameter.client import Client, result_of
from ocs.store.sqlite import SqliteStore

HOUSE = "*house"


def call(session_id, kind, number, called, *, used_s=None, msisdn="491711000001"):
    block = {
        "Requested-Service-Unit": {} if kind != 3 else None,
        "Used-Service-Unit": None if used_s is None else {"CC-Time": used_s},
    }
    return encode(
        {
            "Session-Id": session_id,
            "Origin-Host": "as.faults.example",
            "Origin-Realm": "faults.example",
            "Destination-Realm": "example.com",
            "Auth-Application-Id": 4,
            "Service-Context-Id": "32260@3gpp.org",
            "CC-Request-Type": kind,
            "CC-Request-Number": number,
            "Event-Timestamp": 1_790_000_000,
            "Subscription-Id": {"Subscription-Id-Type": 0, "Subscription-Id-Data": msisdn},
            "Multiple-Services-Credit-Control": block,
            "Service-Information": {"IMS-Information": {"Role-Of-Node": 0, "Called-Party-Address": called}},
        }
    )


async def ask(client, avps):
    """(Result-Code, content) of the answer."""
    answer = await client.request(272, 4, avps)
    return result_of(answer), b"".join(avp.encode() for avp in answer.avps)


async def connect(child):
    return await Client.connect(*child.diameter, make_origin("as.faults.example", "faults.example", 1))


@pytest.mark.conformance("B45")
async def test_emergency_calls_go_through_and_are_recorded_later(child):
    path = child.store_url.removeprefix("sqlite:")
    await child.start()
    client = await connect(child)
    ordinary = call("ordinary", 1, 0, "tel:+493012345678")
    emergency = [
        call("emergency", 1, 0, "tel:112", msisdn="491799999999"),
        call("emergency", 3, 1, "tel:112", used_s=7, msisdn="491799999999"),
    ]
    # Another program holds the file: no commit succeeds.
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await ask(client, ordinary))[0] == 3004
    answers = [await ask(client, request) for request in emergency]
    assert [result for result, _ in answers] == [2001, 2001]
    said = decode((await client.request(272, 4, emergency[0])).avps)
    assert said["Multiple-Services-Credit-Control"]["Granted-Service-Unit"]["CC-Time"] > 0

    # The server dies with the calls on its disk; the next one charges them when it can.
    await child.kill()
    other.execute("ROLLBACK")
    other.close()
    await child.start()
    await child.logged("spool_replayed")
    client = await connect(child)
    assert [await ask(client, request) for request in emergency] == answers
    assert (await ask(client, ordinary))[0] == 2001
    assert (await ask(client, call("ordinary", 3, 1, "tel:+493012345678", used_s=5)))[0] == 2001
    await client.close()
    assert await child.end() == 0

    store = SqliteStore(path)
    await store.open()
    cdrs = [found.cdr for found in await store.cdrs(None, None, 0, 10)]
    await store.close()
    assert [(cdr.account_id, cdr.session_id, cdr.usage // 10**9, cdr.cost_nanos) for cdr in cdrs] == [
        (HOUSE, "emergency", 7, 0),
        ("rich", "ordinary", 5, 100_000_000),
    ]
    assert os.path.getsize(path + ".emergency") == 0  # noqa: PTH202, ASYNC240
