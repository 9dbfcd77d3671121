"""The credit-control application (RFC 8506; Gy and Ro of TS 32.299): takes CCRs from the node, gives CCAs back.

Reads the request, finds its service, and hands it over with the decision and the encoding to whoever carries out
charges in order and durably (`Charge`); answers when that says that it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from ocs.charging import engine, house
from ocs.charging.outcome import Outcome
from ocs.charging.policy import ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, RequestType, Result
from ocs.charging.session import Session
from ocs.config.settings import PeerRule, Settings
from ocs.diameter.application import RequestContext
from ocs.diameter.applications import codes
from ocs.diameter.applications.credit_control_answer import Style, frame, make_style, render, result_of, shown_result
from ocs.diameter.applications.credit_control_request import Rules, compile_rules, read_request
from ocs.diameter.applications.emergency import emergency_answer, is_emergency, may_be_emergency
from ocs.diameter.applications.observers import ChargingCounts, Refusal, RequestCounts
from ocs.diameter.applications.traced import decision_of
from ocs.diameter.errors import PeerError
from ocs.diameter.trace import Decision
from ocs.diameter.wire import Message

APPLICATION_ID: Final = 4
COMMAND: Final = 272
ANY_PEER: Final = PeerRule("*", ())


Decide = Callable[[Any, Session | None], Outcome]
"""The decision on a request, from its account (nothing here looks into that) and session."""


class Charge(Protocol):
    """Carries out a charge; `ocs.store.dispatcher.Dispatcher.charge` says it in full."""

    def __call__(
        self,
        request: ChargingRequest,
        decide: Decide,
        render: Callable[[ChargingAnswer], bytes],
        done: Callable[[bytes], None],
        failed: Callable[[Result, str], None],
        *,
        account_id: str | None = None,
        emergency: ChargingAnswer | None = None,
    ) -> None: ...


class Setup(msgspec.Struct, frozen=True):
    """A configuration, made ready for requests."""

    settings: Settings
    rules: Rules
    styles: dict[str, Style]


def make_setup(settings: Settings) -> Setup:
    """The Setup of a configuration."""
    styles = {name: make_style(policy) for name, policy in settings.services.items()}
    return Setup(settings, compile_rules(settings), styles)


class CreditControl:
    """An `ocs.diameter.application.Application`.

    now_ns: Unix time in nanoseconds, read once per request.
    """

    application_id = APPLICATION_ID
    commands = frozenset({COMMAND})

    def __init__(
        self,
        settings: Settings,
        charge: Charge,
        requests: RequestCounts,
        charging: ChargingCounts,
        log: Callable[[Refusal], None],
        now_ns: Callable[[], int],
    ) -> None:
        self.setup = make_setup(settings)
        self.charge = charge
        self.requests = requests
        self.charging = charging
        self.log = log
        self.now_ns = now_ns

    def reconfigure(self, settings: Settings) -> None:
        """Take other settings for the requests that come from now on; those in flight keep theirs."""
        self.setup = make_setup(settings)

    def handle(self, message: Message, context: RequestContext) -> None:
        """Take a CCR; `context` is answered once, now or later."""
        setup = self.setup
        if message.is_retransmission:
            self.requests.retransmission(context.peer_host)
        try:
            request, ignored_avps = read_request(message, setup.rules, context.rule)
        except PeerError as error:
            self._refuse_unread(message, context, error)
            return
        if ignored_avps:
            self.charging.ignored_avps(ignored_avps)
        exchange = Exchange(self, setup, message, context, request, self.now_ns())
        if request.type is RequestType.INITIAL and context.draining:
            exchange.failed(Result.TOO_BUSY, "draining")
            return
        tariff = setup.settings.tariff
        account_id = emergency = None
        if request.called and house.is_house_call(request, tariff):
            account_id = house.HOUSE_ACCOUNT
            if is_emergency(request, tariff):
                emergency = emergency_answer(request, exchange.policy, setup.settings.emergency_grant_validity_s)
        self.charge(
            request,
            exchange.decide,
            exchange.render,
            exchange.done,
            exchange.failed,
            account_id=account_id,
            emergency=emergency,
        )

    def is_urgent(self, message: Message) -> bool:
        """Whether a CCR is of an emergency call: those are taken even where all others are refused."""
        setup = self.setup
        if not may_be_emergency(message, setup.settings.tariff):
            return False
        try:
            request, _ = read_request(message, setup.rules, ANY_PEER)
        except PeerError:
            return False
        return is_emergency(request, setup.settings.tariff)

    def _refuse_unread(self, message: Message, context: RequestContext, error: PeerError) -> None:
        context.error(error.result_code, error.failed_avp, error.reason)
        kind = message.find(codes.CC_REQUEST_TYPE)
        request_type = int.from_bytes(kind.data) if kind is not None else 0
        self.requests.request(APPLICATION_ID, COMMAND, request_type, error.result_code)
        if error.limit:
            self.requests.limit(error.limit)
        session_id = message.find(codes.SESSION_ID)
        self.log(
            Refusal(
                session_id="" if session_id is None else session_id.data.decode("utf-8", "replace"),
                request="",
                service="",
                subscriber="",
                peer=context.peer_host,
                result_code=error.result_code,
                why=error.reason,
            )
        )


class Exchange:
    """One request on its way through charging, and what to do at each step of it.

    outcome, answer: of the last decision and the last rendering; both may happen again until `done` or `failed`.
    """

    __slots__ = ("answer", "application", "context", "message", "now_ns", "outcome", "policy", "request", "setup")

    def __init__(
        self,
        application: CreditControl,
        setup: Setup,
        message: Message,
        context: RequestContext,
        request: ChargingRequest,
        now_ns: int,
    ) -> None:
        self.application = application
        self.setup = setup
        self.message = message
        self.context = context
        self.request = request
        self.now_ns = now_ns
        self.policy: ServicePolicy = setup.settings.services[request.service]
        self.outcome: Outcome | None = None
        self.answer: ChargingAnswer | None = None

    def decide(self, account: Any, session: Session | None, others: Any = None) -> Outcome:
        """The decision of charging, on whatever state it is asked for.

        A session stays with the service that it was opened for, whatever later requests name.
        """
        policy = self.policy
        request = self.request
        if session is not None and (request.is_refund or request.type in (RequestType.UPDATE, RequestType.TERMINATION)):
            policy = self.setup.settings.services.get(session.service, policy)
        self.outcome = engine.decide(
            account, session, self.request, self.setup.settings.tariff, policy, self.now_ns, others
        )
        return self.outcome

    def render(self, answer: ChargingAnswer) -> bytes:
        """The content of the CCA."""
        self.answer = answer
        style = self.setup.styles[self.request.service]
        return render(self.message, self.request, answer, style, self.context.origin)

    def done(self, content: bytes) -> None:
        """Send what is durable now, or a stored answer again, and count it."""
        outcome = self.outcome
        if outcome is not None and outcome.repeat is not None:
            if self.context.traced:
                self.context.decision = Decision(result_of(content), repeat=True)
            self.context.answer(frame(content, self.message))
            self.application.charging.repeat()
            self._count(result_of(content))
            return
        assert self.answer is not None, "an answer that is no repeat was rendered"
        if self.answer.result is Result.TOO_BUSY:
            self.failed(self.answer.result, self.answer.why)
            return
        if self.context.traced:
            carried_out = outcome if outcome is not None and outcome.answer is self.answer else None
            self.context.decision = decision_of(self.answer, carried_out)
        self.context.answer(frame(content, self.message))
        self._count(shown_result(self.request, self.answer))
        self._count_units(self.answer)
        if outcome is not None and outcome.answer is self.answer:
            self._count_outcome(outcome)

    def failed(self, result: Result, why: str) -> None:
        """There is no decision, or none in time."""
        if self.context.traced:
            self.context.decision = Decision(int(result), why)
        self.context.error(int(result))
        self._count(int(result))
        self._refuse(int(result), why)

    def _count(self, result_code: int) -> None:
        self.application.requests.request(APPLICATION_ID, COMMAND, int(self.request.type), result_code)

    def _count_units(self, answer: ChargingAnswer) -> None:
        charging, service = self.application.charging, self.request.service
        for asked, group in zip(self.request.groups, answer.groups, strict=False):
            amount = 0
            for units in asked.used:
                amount += units.get(group.measure) or 0
            if amount:
                charging.used(service, group.measure.value, amount)
        refused = False
        for group in answer.groups:
            if group.granted:
                charging.granted(service, group.measure.value, group.granted)
            if group.result is not Result.SUCCESS:
                refused = True
                charging.denied(service, group.why)
                self._refuse(int(group.result), group.why, group.rating_group)
        if answer.result is not Result.SUCCESS and not refused:
            charging.denied(service, answer.why)
            self._refuse(int(answer.result), answer.why)

    def _count_outcome(self, outcome: Outcome) -> None:
        charging, service = self.application.charging, self.request.service
        if "late_number" in outcome.notes:
            charging.number_gap()
        if "late_usage" in outcome.notes:
            charging.late_usage(service)
        for write in outcome.writes:
            charging.revenue(write.account.currency, service, write.entry.cost_nanos)
        for cdr in outcome.cdrs:
            if cdr.overrun:
                charging.overrun(service, cdr.measure.value, cdr.overrun)

    def _refuse(self, result_code: int, why: str, rating_group: int | None = None) -> None:
        request = self.request
        self.application.log(
            Refusal(
                session_id=request.session_id,
                request=request.name,
                service=request.service,
                subscriber=request.subscriber[0] if request.subscriber else "",
                peer=self.context.peer_host,
                result_code=result_code,
                why=why,
                rating_group=rating_group,
            )
        )
