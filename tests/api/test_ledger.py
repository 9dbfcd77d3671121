"""The ledger page by page, and who asks for it wrongly."""

import msgspec
import pytest

from tests.api.server import Server, money


@pytest.fixture
def server():
    return Server()


async def test_all_accounts_are_proved_page_by_page(server):
    for name in "abcde":
        account = await server.open_account(name, money(7))
        if name == "d":
            wrong = (msgspec.structs.replace(account.balances[0], value=9),)
            await server.forge(msgspec.structs.replace(account, version=2, balances=wrong))
    seen, after = [], ""
    async with server.client() as client:
        while after is not None:
            page = (await client.get("/v1/ledger", params={"after": after, "limit": 2})).json()
            seen.append((page["accounts"], page["entries"], page["imbalances"]))
            after = page["next"]
    imbalance = {
        "account_id": "d",
        "what": "value",
        "balance": "money",
        "other_account_id": None,
        "here": 9,
        "there": 7,
        "text": "account d balance money: the value is 9, by the journal it is 7",
    }
    assert seen == [(2, 2, []), (2, 3, [imbalance]), (1, 1, [])]


async def test_a_page_has_200_accounts_at_the_most(server):
    async with server.client() as client:
        answer = await client.get("/v1/ledger?limit=201")
        missing = await client.get("/v1/accounts/nobody/ledger")
    assert (answer.status_code, answer.json()["detail"]) == (400, 'limit "201" is not a number from 1 to 200')
    assert (missing.status_code, missing.json()["detail"]) == (404, 'there is no account "nobody"')
