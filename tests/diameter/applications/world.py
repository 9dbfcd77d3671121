"""Settings with the three services, a peer, and short ways from octets to a request and from an answer to a CCA."""

from collections.abc import Mapping

from diameter.message import Message as ForeignMessage

from ocs.charging.policy import GrantPolicy, ServicePolicy
from ocs.charging.requests import ChargingAnswer, ChargingRequest, GroupAnswer, Result
from ocs.config.settings import PeerRule, Settings
from ocs.diameter.applications.credit_control_answer import frame, make_style, render
from ocs.diameter.applications.credit_control_request import compile_rules, read_request
from ocs.diameter.base_answers import make_origin
from ocs.diameter.wire import Message, decode_message
from ocs.rating.destinations import PrefixTable
from ocs.rating.numbers import Numbering
from ocs.rating.tariff import Tariff
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.diameter.clients.avps import received

ORIGIN = make_origin("ocs.example.com", "example.com", 17)
PEER = PeerRule("*", ())
GRANT = GrantPolicy(slice=10, minimum=1, maximum=100, contended_slice=1)
SERVICES: Mapping[str, ServicePolicy] = {
    "data": ServicePolicy("data", Kind.DATA, ("32251",), GRANT, default_rating_group=100),
    "voice": ServicePolicy("voice", Kind.VOICE, ("32260",), GrantPolicy(30 * NS_PER_S, 1, 3_600 * NS_PER_S, NS_PER_S)),
    "sms": ServicePolicy("sms", Kind.SMS, ("32274",), GRANT),
}
TARIFF = Tariff(
    version="v1",
    currency="AUD",
    destinations={},
    plans={},
    numbering=Numbering(),
    emergency_numbers=frozenset({"000", "112"}),
    free_prefixes=PrefixTable({"611800": "freephone"}),
)


def settings(**changes: object) -> Settings:
    fields: dict[str, object] = {
        "identity": "ocs.example.com",
        "realms": ("example.com", "ims.example.com", "localdomain"),
        "listeners": (),
        "peers": (PEER,),
        "services": SERVICES,
        "store_url": "memory:",
        "http_host": "127.0.0.1",
        "http_port": 0,
        "tariff": TARIFF,
        "subscribers": (),
    }
    return Settings(**{**fields, **changes})  # type: ignore[arg-type]


RULES = compile_rules(settings())


def read(data: bytes, peer: PeerRule = PEER, **changes: object) -> ChargingRequest:
    """What charging gets of these octets."""
    rules = compile_rules(settings(**changes)) if changes else RULES
    return read_request(received(data), rules, peer).request


def attributes(data: bytes) -> dict[str, str]:
    return dict(read(data).attributes)


def content_of(data: bytes, answer: ChargingAnswer) -> bytes:
    message = received(data)
    request = read_request(message, RULES, PEER).request
    return render(message, request, answer, make_style(SERVICES[request.service]), ORIGIN)


def cca(data: bytes, answer: ChargingAnswer) -> Message:
    """Our answer to these octets, decoded by us."""
    return decode_message(cca_bytes(data, answer))


def cca_bytes(data: bytes, answer: ChargingAnswer) -> bytes:
    return frame(content_of(data, answer), received(data))


def foreign(data: bytes, answer: ChargingAnswer) -> ForeignMessage:
    """The same, decoded by another implementation."""
    return ForeignMessage.from_bytes(cca_bytes(data, answer))


def one_group(
    rating_group: int | None = 100,
    service_id: int | None = None,
    result: Result = Result.SUCCESS,
    measure: Measure = Measure.OCTETS,
    granted: int | None = 1_000_000,
    validity_time_s: int | None = 3_600,
    **more: object,
) -> ChargingAnswer:
    group = GroupAnswer(rating_group, service_id, result, measure, granted, validity_time_s, **more)  # type: ignore[arg-type]
    return ChargingAnswer(Result.SUCCESS, (group,))
