"""Who may connect, and with what: rules of the configuration, the checks of a CER (RFC 6733 5.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import msgspec

from ocs.config.settings import PeerRule
from ocs.diameter.base_answers import ORIGIN_HOST, ORIGIN_REALM
from ocs.diameter.base_messages import (
    ACCT_APPLICATION_ID,
    AUTH_APPLICATION_ID,
    INBAND_SECURITY_ID,
    RELAY,
    VENDOR_SPECIFIC_APPLICATION_ID,
)
from ocs.diameter.errors import PeerError
from ocs.diameter.grammar import check_request
from ocs.diameter.result_codes import ResultCode
from ocs.diameter.types import unpack_diameter_identity, wrong_value
from ocs.diameter.wire import Avp, Message

NO_INBAND_SECURITY: Final = 0
IDENTITY_OCTETS_MAX: Final = 255

Address = IPv4Address | IPv6Address


class Capabilities(msgspec.Struct, frozen=True):
    """What a CER that was let in says of its sender; `host` and `realm` as sent."""

    host: str
    realm: str
    rule: PeerRule


def plain_address(text: str) -> Address:
    """The address of a socket without its scope, an IPv4 one as such where it comes in IPv6's clothes."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def find_rule(rules: Sequence[PeerRule], host: str, address: Address) -> PeerRule | None:
    """The first rule that fits a peer, None where none does."""
    for rule in rules:
        in_network = any(address.version == network.version and address in network for network in rule.networks)
        if in_network and _pattern(rule.host).fullmatch(host):
            return rule
    return None


@lru_cache(maxsize=4_096)
def _pattern(host: str) -> re.Pattern[str]:
    return re.compile(re.escape(host).replace(r"\*", ".*"), re.IGNORECASE)


def admit(message: Message, address: Address, rules: Sequence[PeerRule], applications: Collection[int]) -> Capabilities:
    """What a CER from `address` is let in with.

    Raises PeerError: 3010 (no rule fits), what its grammar says (5005, 5009, ...), 5010 (no application in common;
    a relay has all), 5017 (it insists on a security that is not spoken here).
    """
    name = message.find(ORIGIN_HOST)
    rule = None
    if name is not None:
        rule = find_rule(rules, _identity(name), address)
        if rule is None:
            raise PeerError(ResultCode.UNKNOWN_PEER, reason=f"no rule admits {_identity(name)} from {address}")
    check_request(message)
    realm = message.find(ORIGIN_REALM)
    assert rule is not None, "the grammar of CER asks for Origin-Host"
    assert name is not None
    assert realm is not None, "the grammar of CER asks for Origin-Realm"
    offered = offered_applications(message)
    if RELAY not in offered and not offered.intersection(applications):
        shown = ", ".join(map(str, sorted(offered)[:8])) or "none"
        raise PeerError(ResultCode.NO_COMMON_APPLICATION, reason=f"no application in common: {shown} offered")
    security = [int.from_bytes(avp.data) for avp in message.find_all(INBAND_SECURITY_ID)]
    if security and NO_INBAND_SECURITY not in security:
        raise PeerError(ResultCode.NO_COMMON_SECURITY, reason="only NO_INBAND_SECURITY is spoken on this port")
    return Capabilities(_identity(name), _identity(realm), rule)


def offered_applications(message: Message) -> set[int]:
    """Application ids that a CER or CEA advertises, alone or as a vendor's; accounting only counts as a relay's."""
    avps = list(message.avps)
    for group in message.find_all(VENDOR_SPECIFIC_APPLICATION_ID):
        avps += group.children()
    plain = [avp for avp in avps if avp.vendor_id == 0]
    offered = {int.from_bytes(avp.data) for avp in plain if avp.code == AUTH_APPLICATION_ID}
    if any(avp.code == ACCT_APPLICATION_ID and int.from_bytes(avp.data) == RELAY for avp in plain):
        offered.add(RELAY)
    return offered


def rule_to_add(host: str, address: Address) -> str:
    """The YAML lines under `peers:` that would let this peer in: what the log says when it was turned away."""
    quoted = msgspec.json.encode(host).decode()
    return f'- host: {quoted}\n  from: ["{ip_network(address)}"]'


def _identity(avp: Avp) -> str:
    """A name that may stand in logs and labels; PeerError 5004 for any other."""
    name = unpack_diameter_identity(avp)
    if len(name) > IDENTITY_OCTETS_MAX or not name.isprintable() or " " in name:
        raise wrong_value(avp, "no DiameterIdentity")
    return name
