"""Names, types and flags of AVPs, names of commands and applications, and a readable dump of a message.

The tables stand in `dictionary_ietf`, `dictionary_charging` (TS 32.299), `dictionary_network` (the rest of 3GPP) and
`dictionary_values`; here they are only looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from ocs.diameter import dictionary_charging, dictionary_ietf, dictionary_network
from ocs.diameter.dictionary_values import ENUMERATIONS
from ocs.diameter.errors import PeerError
from ocs.diameter.types import MINIMUM_OCTETS, UNPACK, AvpRows, AvpType
from ocs.limits import AVP_DEPTH_MAX

if TYPE_CHECKING:
    from ocs.diameter.wire import Avp, Message

VENDOR_3GPP: Final = 10415

APPLICATION_BASE: Final = 0
APPLICATION_ACCOUNTING: Final = 3
APPLICATION_CREDIT_CONTROL: Final = 4
APPLICATION_S6C: Final = 16777312
APPLICATION_SGD: Final = 16777313
APPLICATION_RELAY: Final = 0xFFFFFFFF


class AvpDefinition(msgspec.Struct, frozen=True):
    """One AVP of the dictionary.

    `mandatory` says whether the M bit is set in what we send; in what we receive either is accepted. `values` names
    the numbers of an Enumerated one, or is None where none are listed, which does not make other numbers wrong.
    """

    name: str
    code: int
    vendor_id: int
    type: AvpType
    mandatory: bool
    values: dict[int, str] | None


class Command(msgspec.Struct, frozen=True):
    """A pair of request and answer: its name without "-Request", and the applications that use it."""

    name: str
    code: int
    application_ids: tuple[int, ...]


APPLICATIONS: Final[dict[int, str]] = {
    APPLICATION_BASE: "Diameter common messages",
    APPLICATION_ACCOUNTING: "Diameter base accounting",
    APPLICATION_CREDIT_CONTROL: "Diameter credit control",
    APPLICATION_S6C: "3GPP S6c",
    APPLICATION_SGD: "3GPP SGd",
    APPLICATION_RELAY: "Relay",
}

# 257, 280 and 282 belong to the connection and always have application 0; 258, 274 and 275 that of their session.
_SESSION_APPLICATIONS: Final = (APPLICATION_BASE, APPLICATION_CREDIT_CONTROL)

COMMANDS: Final[dict[int, Command]] = {
    command.code: command
    for command in (
        Command("Capabilities-Exchange", 257, (APPLICATION_BASE,)),
        Command("Re-Auth", 258, _SESSION_APPLICATIONS),
        Command("Accounting", 271, (APPLICATION_ACCOUNTING,)),
        Command("Credit-Control", 272, (APPLICATION_CREDIT_CONTROL,)),
        Command("Abort-Session", 274, _SESSION_APPLICATIONS),
        Command("Session-Termination", 275, _SESSION_APPLICATIONS),
        Command("Device-Watchdog", 280, (APPLICATION_BASE,)),
        Command("Disconnect-Peer", 282, (APPLICATION_BASE,)),
        Command("MO-Forward-Short-Message", 8388645, (APPLICATION_SGD,)),
        Command("MT-Forward-Short-Message", 8388646, (APPLICATION_SGD,)),
        Command("Send-Routing-Info-For-SM", 8388647, (APPLICATION_S6C,)),
        Command("Alert-Service-Centre", 8388648, (APPLICATION_S6C, APPLICATION_SGD)),
        Command("Report-SM-Delivery-Status", 8388649, (APPLICATION_S6C,)),
    )
}


def _definitions() -> Iterator[AvpDefinition]:
    tables: tuple[tuple[int, AvpRows], ...] = (
        (0, dictionary_ietf.RFC_6733),
        (0, dictionary_ietf.RFC_8506),
        (0, dictionary_ietf.RFC_7155),
        (0, dictionary_ietf.OTHERS),
        (VENDOR_3GPP, dictionary_charging.TS_32_299),
        (VENDOR_3GPP, dictionary_network.TS_29_061),
        (VENDOR_3GPP, dictionary_network.TS_29_214),
        (VENDOR_3GPP, dictionary_network.TS_29_229),
        (VENDOR_3GPP, dictionary_network.TS_29_329),
        (VENDOR_3GPP, dictionary_network.TS_29_212),
        (VENDOR_3GPP, dictionary_network.TS_29_272),
        (VENDOR_3GPP, dictionary_network.TS_29_173),
        (VENDOR_3GPP, dictionary_network.TS_29_336),
        (VENDOR_3GPP, dictionary_network.TS_29_338),
    )
    for vendor_id, rows in tables:
        for code, name, avp_type, mandatory in rows:
            yield AvpDefinition(name, code, vendor_id, avp_type, mandatory, ENUMERATIONS.get(name))


BY_KEY: Final[dict[tuple[int, int], AvpDefinition]] = {
    (definition.code, definition.vendor_id): definition for definition in _definitions()
}
BY_NAME: Final[dict[str, AvpDefinition]] = {definition.name: definition for definition in BY_KEY.values()}


def minimum_octets(code: int, vendor_id: int) -> int:
    """Least length of the data of an AVP by its type, 0 for one that is not in the dictionary."""
    definition = BY_KEY.get((code, vendor_id))
    return 0 if definition is None else MINIMUM_OCTETS.get(definition.type, 0)


def name_of(avp: Avp) -> str:
    """The AVP's name, or its code and vendor where the dictionary has none."""
    definition = BY_KEY.get((avp.code, avp.vendor_id))
    if definition is not None:
        return definition.name
    return f"AVP-{avp.code}" if not avp.vendor_id else f"AVP-{avp.code}-of-vendor-{avp.vendor_id}"


def describe(message: Message) -> str:
    """A readable dump, one line per AVP, groups indented; what cannot be read as its type is shown in hexadecimal.

    Nothing is masked: whoever shows it decides who may see subscribers' numbers.
    """
    command = COMMANDS.get(message.command_code)
    name = command.name if command else f"Command-{message.command_code}"
    flags = "".join(
        letter
        for letter, bit in zip(
            "RPET", (message.is_request, message.is_proxiable, message.is_error, message.is_retransmission), strict=True
        )
        if bit
    )
    head = (
        f"{name}-{'Request' if message.is_request else 'Answer'} [{flags}]"
        f" application {message.application_id} ({APPLICATIONS.get(message.application_id, 'unknown')})"
        f" hop-by-hop {message.hop_by_hop_id:#010x} end-to-end {message.end_to_end_id:#010x}"
    )
    return "\n".join([head, *_lines(message.avps, 1)])


def _lines(avps: list[Avp], depth: int) -> Iterator[str]:
    for avp in avps:
        definition = BY_KEY.get((avp.code, avp.vendor_id))
        label = f"{'  ' * depth}{name_of(avp)} ({avp.code}{f'/{avp.vendor_id}' if avp.vendor_id else ''})"
        if definition is not None and definition.type is AvpType.GROUPED and depth < AVP_DEPTH_MAX:
            try:
                children = avp.children(depth)
            except PeerError:
                yield f"{label}: unreadable group {avp.data.hex()}"
                continue
            yield label
            yield from _lines(children, depth + 1)
        else:
            yield f"{label}: {_value(avp, definition)}"


def _value(avp: Avp, definition: AvpDefinition | None) -> str:
    if definition is None or definition.type in {AvpType.OCTET_STRING, AvpType.GROUPED}:
        return avp.data.hex() or "-"
    try:
        value = UNPACK[definition.type](avp)
    except PeerError as error:
        return f"{avp.data.hex() or '-'} ({error.reason})"
    if definition.values is not None and value in definition.values:
        return f"{value} {definition.values[value]}"
    return repr(value) if isinstance(value, str) else str(value)
