"""What mutation begins with: sessions of each kind of client, what else a peer says, and the kept corpus."""

from __future__ import annotations

from pathlib import Path

from ocs.diameter import base_messages
from ocs.diameter.base_answers import make_origin
from ocs.diameter.wire import message_bytes
from tests.diameter import samples
from tests.diameter.samples import avp, credit_control

CORPUS = Path(__file__).parent.parent / "data" / "fuzz"
PEER = make_origin("pgw.example.com", "example.com", 1)

_OWN = {
    bytes(avp(name)[:4])
    for name in (
        "Multiple-Services-Credit-Control",
        "Service-Context-Id",
        "Service-Information",
        "Requested-Action",
        "AoC-Request-Type",
    )
}
_BARE = [part for part in credit_control()[1:] if part[:4] not in _OWN and part[:4] != avp("CC-Request-Type")[:4]]
_BARE = [part for part in _BARE if part[:4] != avp("CC-Request-Number")[:4]]


def _ccr(session: str, kind: int, number: int, *more: bytes, context: str = "32251@3gpp.org") -> bytes:
    parts = [
        avp("Session-Id", session),
        *_BARE,
        avp("Service-Context-Id", context),
        avp("CC-Request-Type", kind),
        avp("CC-Request-Number", number),
        *more,
    ]
    return message_bytes(0xC0, 272, 4, number + 1, number + 1, b"".join(parts))


def _group(*parts: bytes, rating_group: int | None = 100) -> bytes:
    own = [] if rating_group is None else [avp("Rating-Group", rating_group)]
    return avp("Multiple-Services-Credit-Control", [*parts, *own])


def _asked(**units: int) -> bytes:
    return avp("Requested-Service-Unit", [avp(name.replace("_", "-"), value) for name, value in units.items()])


def _used(**units: int) -> bytes:
    return avp("Used-Service-Unit", [avp(name.replace("_", "-"), value) for name, value in units.items()])


def _called(number: str) -> bytes:
    ims = [
        avp("Role-Of-Node", 0),
        avp("Node-Functionality", 6),
        avp("Calling-Party-Address", "tel:+491700000001"),
        avp("Called-Party-Address", f"tel:+{number}"),
    ]
    return avp("Service-Information", [avp("IMS-Information", ims)])


def _sessions() -> list[bytes]:
    voice, sms = "32260@3gpp.org", "32274@3gpp.org"
    data = [
        _ccr("d;1", 1, 0, _group(_asked(CC_Total_Octets=1_000_000))),
        _ccr(
            "d;1",
            2,
            1,
            _group(_asked(), _used(CC_Total_Octets=300_000, CC_Input_Octets=1)),
            _group(_asked(), rating_group=900),
        ),
        _ccr("d;1", 2, 1, _group(_asked(), _used(CC_Total_Octets=300_000))),
        _ccr("d;1", 3, 2, _group(_used(CC_Total_Octets=9), avp("Reporting-Reason", 2)), avp("Termination-Cause", 1)),
    ]
    call = [
        _ccr("v;1", 1, 0, _group(_asked(CC_Time=60), rating_group=None), _called("61491570156"), context=voice),
        _ccr(
            "v;1", 2, 1, _group(_asked(), _used(CC_Time=60), rating_group=None), _called("61491570156"), context=voice
        ),
        _ccr("v;1", 3, 2, _group(_used(CC_Time=7), rating_group=None), _called("61491570156"), context=voice),
    ]
    recipient = avp("Recipient-Info", [avp("Recipient-Address", [avp("Address-Type", 1), avp("Address-Data", "4917")])])
    message = avp("Service-Information", [avp("SMS-Information", [recipient])])
    events = [
        _ccr(
            "e;1",
            4,
            0,
            avp("Requested-Action", action),
            avp("Requested-Service-Unit", [avp("CC-Service-Specific-Units", 2)]),
            message,
            context=sms,
        )
        for action in range(4)
    ]
    late = [data[1], data[0], data[3], data[3], data[1]]
    return [b"".join(data), b"".join(call), b"".join(events), b"".join(late), b"".join([*data, *call, *events])]


def _peer() -> list[bytes]:
    greeting = base_messages.cer(PEER, "127.0.0.1", (4,), 1, 1)
    others = [message_bytes(0xC0, code, 4, 7, 8, b"".join(parts)) for code, parts in samples.REQUESTS.items()]
    base = [base_messages.dwr(PEER, 2, 2), base_messages.dpr(PEER, 0, 3, 3)]
    answer = message_bytes(0x40, 272, 4, 9, 9, b"".join([avp("Result-Code", 2001), *samples.ORIGIN]))
    every = b"".join([greeting, *others, answer, *base])
    return [every, greeting + _sessions()[0], greeting + base[0] * 3 + base[1], greeting + greeting, *others]


def _machine() -> list[bytes]:
    return [
        bytes(range(30)),
        bytes([1, 3, 250, 255, 255, 255] * 8),
        bytes([0, 1, 10, 20, 230, 240, 250]),
        bytes(range(256)),
    ]


_MADE = {
    "wire": lambda: [*_peer(), *_sessions()],
    "groups": lambda: [*_sessions(), *_peer()],
    "machine": _machine,
    "peer": _peer,
    "credit_control": _sessions,
    "sample": _sessions,
}


_SHARED = {"sample": "credit_control"}


def kept(target: str) -> list[bytes]:
    """The corpus: inputs that found something, or that led where others did not."""
    return [file.read_bytes() for file in sorted((CORPUS / _SHARED.get(target, target)).glob("*.bin"))]


def seeds(target: str) -> list[bytes]:
    """What the target's inputs are made of."""
    return [*_MADE[target](), *kept(target)]
