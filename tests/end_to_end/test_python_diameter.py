"""python-diameter as a client: its node talks to the server, its classes read every AVP of the answers."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from diameter.message import Avp, constants
from diameter.message.avp import AvpGrouped, grouped
from diameter.message.commands import CreditControlAnswer, CreditControlRequest
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

from tests.cli.child import Child, edit, make_config

REALM = "example.com"
HOST = "pgw.python.example.net"
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
DATA, SMS = "32251@3gpp.org", "32274@3gpp.org"
MESSAGES = ("diameter.avp", "diameter.message.avp", "diameter.peer")
TERMS = """
    quota: {threshold: 1 MiB, holding_time: 10 min, triggers: [rat, location], furnish: tariff standard}
    answers: {cost: true, advice_of_charge: true, balance: true, low_balance: 5.00 AUD}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    folder = tmp_path_factory.mktemp("ocs")
    config = make_config(folder)
    edit(config / "server.yaml", ('    contexts: "32251"\n', '    contexts: "32251"\n' + TERMS.lstrip("\n")))
    with Child(folder) as child:
        yield child


class Gateway:
    """A node of python-diameter with one application, connected to the server."""

    def __init__(self, server: Child):
        host, port = server.diameter
        self.node = Node(HOST, "example.net", vendor_ids=[constants.VENDOR_TGPP])
        self.node.wakeup_interval = 1
        peer = self.node.add_peer(
            f"aaa://ocs.example.com:{port};transport=tcp", REALM, ip_addresses=[host], is_persistent=True
        )
        self.application = SimpleThreadingApplication(
            constants.APP_DIAMETER_CREDIT_CONTROL_APPLICATION, is_auth_application=True
        )
        self.node.add_application(self.application, [peer])
        self.node.start()
        self.application.wait_for_ready(30)

    def ask(
        self, session_id: str, kind: int, number: int, msisdn: str = "491700000002", context: str = DATA, **more: Any
    ) -> CreditControlAnswer:
        """`more` are attributes of the request. Every AVP of the answer is read by its type."""
        request = CreditControlRequest()
        request.session_id = session_id
        request.origin_host, request.origin_realm = HOST.encode(), b"example.net"
        request.destination_realm = REALM.encode()
        request.auth_application_id = constants.APP_DIAMETER_CREDIT_CONTROL_APPLICATION
        request.service_context_id = context
        request.cc_request_type, request.cc_request_number = kind, number
        request.add_subscription_id(constants.E_SUBSCRIPTION_ID_TYPE_END_USER_E164, msisdn)
        for name, value in more.items():
            setattr(request, name, value)
        answer = self.application.send_request(request, 30)
        assert isinstance(answer, CreditControlAnswer)
        assert not answer.header.is_error
        assert (answer.session_id, answer.cc_request_type, answer.cc_request_number) == (session_id, kind, number)
        read(answer.avps)
        return answer


def read(avps: list[Avp]) -> None:
    """Reads every value; one that it does not know by name, or cannot read, is an error."""
    for avp in avps:
        assert avp.name != "Unknown", avp
        assert avp.value is not None
        if isinstance(avp, AvpGrouped):
            read(avp.value)


@pytest.fixture(scope="module")
def gateway(server: Child) -> Iterator[Gateway]:
    gateway = Gateway(server)
    yield gateway
    gateway.node.stop(30)


@pytest.fixture(autouse=True)
def _nothing_to_complain_of(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Of its own connections it may warn; of messages it may not."""
    yield
    assert [record.getMessage() for record in caplog.records if record.name in MESSAGES] == []


def units(block: grouped.MultipleServicesCreditControl) -> tuple[int, int, int]:
    return block.rating_group, block.result_code, block.granted_service_unit.cc_total_octets


def group(number: int, used_octets: int | None = None) -> grouped.MultipleServicesCreditControl:
    used = [] if used_octets is None else [grouped.UsedServiceUnit(cc_total_octets=used_octets)]
    asked = grouped.RequestedServiceUnit()
    return grouped.MultipleServicesCreditControl(
        rating_group=number, requested_service_unit=asked, used_service_unit=used
    )


def money(server: Child, account_id: str = "demo-money") -> tuple[Decimal, Decimal]:
    balance = server.balances(account_id)["money"]
    return Decimal(balance["value"]), Decimal(balance["held"])


def decimal(value: grouped.UnitValue) -> Decimal:
    return Decimal(value.value_digits).scaleb(value.exponent or 0)


@pytest.mark.conformance("A1", "B1", "B34", "C4", "C5", "C7", "C11", "C12", "C13")
def test_a_session_with_several_groups_is_read_to_the_last_avp(server: Child, gateway: Gateway) -> None:
    session = f"{HOST};1;groups"
    bearer = grouped.ServiceInformation(ps_information=grouped.PsInformation(tgpp_charging_id=b"\0\0\0\7"))
    more = {"service_information": bearer, "aoc_request_type": 1}
    initial = gateway.ask(session, INITIAL, 0, multiple_services_credit_control=[group(101), group(102)], **more)
    assert {avp.name for avp in initial.avps} >= {"Low-Balance-Indication", "Remaining-Balance", "AoC-Information"}
    assert (initial.result_code, initial.origin_host) == (2001, b"ocs.example.com")
    blocks = initial.multiple_services_credit_control
    assert [units(block) for block in blocks] == [(101, 2001, 10 * 2**20), (102, 2001, 10 * 2**20)]
    for block in blocks:
        assert (block.volume_quota_threshold, block.quota_holding_time, block.validity_time) == (2**20, 600, 3600)
        assert block.trigger.trigger_type == [4, 3]
        furnished = block.ps_furnish_charging_information
        assert (furnished.tgpp_charging_id, furnished.ps_free_format_data) == (b"\0\0\0\7", b"tariff standard")

    report = [group(101, 10 * 2**20), group(102, 10 * 2**20)]
    update = gateway.ask(session, UPDATE, 1, multiple_services_credit_control=report, **more)
    assert (update.result_code, decimal(update.cost_information.unit_value)) == (2001, Decimal("0.20"))
    assert decimal(update.remaining_balance.unit_value) == Decimal("9.80")
    assert (update.low_balance_indication, update.cost_information.currency_code) == (0, 36)

    end = gateway.ask(session, TERMINATION, 2, multiple_services_credit_control=[group(101, 2**20)], **more)
    assert end.result_code == 2001
    assert money(server) == (Decimal("9.79"), Decimal(0))


@pytest.mark.conformance("B9", "B11")
def test_events_of_all_four_kinds(server: Child, gateway: Gateway) -> None:
    def event(name: str, action: int, refund: bytes | None = None) -> CreditControlAnswer:
        asked = grouped.RequestedServiceUnit(cc_service_specific_units=2)
        block = grouped.MultipleServicesCreditControl(requested_service_unit=asked)
        if refund is not None:
            block.refund_information = refund
        return gateway.ask(
            f"{HOST};1;{name}",
            EVENT,
            0,
            "491700000001",
            context=SMS,
            requested_action=action,
            multiple_services_credit_control=[block],
        )

    price = event("price", constants.E_REQUESTED_ACTION_PRICE_ENQUIRY)
    assert (price.result_code, decimal(price.cost_information.unit_value)) == (2001, Decimal("0.10"))
    check = event("check", constants.E_REQUESTED_ACTION_CHECK_BALANCE)
    assert (check.result_code, check.check_balance_result) == (2001, 0)
    assert money(server, "demo") == (Decimal("50.00"), Decimal(0))
    debit = event("debit", constants.E_REQUESTED_ACTION_DIRECT_DEBITING)
    (block,) = debit.multiple_services_credit_control
    assert (debit.result_code, block.granted_service_unit.cc_service_specific_units) == (2001, 2)
    assert money(server, "demo") == (Decimal("49.90"), Decimal(0))
    refund = event("refund", constants.E_REQUESTED_ACTION_REFUND_ACCOUNT, block.refund_information)
    assert refund.result_code == 2001
    assert money(server, "demo") == (Decimal("50.00"), Decimal(0))


@pytest.mark.conformance("B12", "B3")
def test_refusals(gateway: Gateway) -> None:
    asked = {"multiple_services_credit_control": [group(101)]}
    assert gateway.ask(f"{HOST};1;nobody", INITIAL, 0, "491799999999", **asked).result_code == 5030
    assert gateway.ask(f"{HOST};1;empty", INITIAL, 0, "491700000003", **asked).result_code == 4012
    assert gateway.ask(f"{HOST};1;late", UPDATE, 1, **asked).result_code == 5002
