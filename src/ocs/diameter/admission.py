"""Who may connect, and with what: rules of the configuration, the checks of a CER (RFC 6733 5.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import msgspec

from ocs.config.settings import PeerRule
from ocs.diameter.base_answers import ERROR_MESSAGE, ORIGIN_HOST, ORIGIN_REALM, RESULT_CODE
from ocs.diameter.base_messages import (
    ACCT_APPLICATION_ID,
    AUTH_APPLICATION_ID,
    INBAND_SECURITY_ID,
    RELAY,
    VENDOR_SPECIFIC_APPLICATION_ID,
)
from ocs.diameter.errors import PeerError
from ocs.diameter.grammar import check_request
from ocs.diameter.result_codes import ResultCode, is_success
from ocs.diameter.types import unpack_diameter_identity, wrong_value
from ocs.diameter.wire import Avp, Message

NO_INBAND_SECURITY: Final = 0
IDENTITY_OCTETS_MAX: Final = 255

Address = IPv4Address | IPv6Address


class Capabilities(msgspec.Struct, frozen=True):
    """What a CER that was let in, or a CEA of success, says of its sender; `host` and `realm` as sent.

    applications: ids that it advertises, RELAY among them for an agent.
    """

    host: str
    realm: str
    rule: PeerRule
    applications: frozenset[int] = frozenset()


def plain_address(text: str) -> Address:
    """The address of a socket without its scope, an IPv4 one as such where it comes in IPv6's clothes."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def find_rule(rules: Sequence[PeerRule], host: str, address: Address) -> PeerRule | None:
    """The first rule that fits a peer, None where none does.

    Of an association's addresses it is the one that the handshake came from: the others are the peer's own word, and
    without that one nobody gets an association. A host lists all of its addresses, those of its containers, too.
    """
    for rule in rules:
        in_network = any(address.version == network.version and address in network for network in rule.networks)
        if in_network and _pattern(rule.host).fullmatch(host):
            return rule
    return None


@lru_cache(maxsize=4_096)
def _pattern(host: str) -> re.Pattern[str]:
    return re.compile(re.escape(host).replace(r"\*", ".*"), re.IGNORECASE)


def admit(
    message: Message,
    address: Address,
    rules: Sequence[PeerRule],
    applications: Collection[int],
    names: Collection[str] | None = None,
) -> Capabilities:
    """What a CER from `address` is let in with; `names` are those of its certificate, None where it showed none.

    Raises PeerError: 3010 (no rule fits, or the certificate is somebody else's), what its grammar says (5005, 5009,
    ...), 5010 (no application in common; a relay has all), 5017 (it insists on a security that is not spoken here).
    """
    name = message.find(ORIGIN_HOST)
    rule = None
    if name is not None:
        rule = find_rule(rules, _identity(name), address)
        if rule is None:
            raise PeerError(ResultCode.UNKNOWN_PEER, reason=f"no rule admits {_identity(name)} from {address}")
        check_certificate(_identity(name), names)
    check_request(message)
    realm = message.find(ORIGIN_REALM)
    assert rule is not None, "the grammar of CER asks for Origin-Host"
    assert name is not None
    assert realm is not None, "the grammar of CER asks for Origin-Realm"
    offered = _common(message, applications)
    security = [int.from_bytes(avp.data) for avp in message.find_all(INBAND_SECURITY_ID)]
    if security and NO_INBAND_SECURITY not in security:
        reason = "TLS begins with the connection (RFC 6733 13.1), never after the CER"
        raise PeerError(ResultCode.NO_COMMON_SECURITY, reason=reason)
    return Capabilities(_identity(name), _identity(realm), rule, offered)


def accept(
    message: Message, rule: PeerRule, applications: Collection[int], names: Collection[str] | None = None
) -> Capabilities:
    """What a CEA says of the peer that we connected to by `rule`.

    Raises PeerError with the Result-Code of the CEA where that is no success, else with what a CER would be refused
    with: 3010 (another Origin-Host than the rule's, or another certificate), 5005, 5010.
    """
    found = message.find(RESULT_CODE)
    result = int.from_bytes(found.data) if found is not None else 0
    if not is_success(result):
        text = message.find(ERROR_MESSAGE)
        said = "" if text is None else text.data[:256].decode("utf-8", "replace")
        raise PeerError(result, reason=f"the peer refused: {result} {said}".rstrip())
    name, realm = message.find(ORIGIN_HOST), message.find(ORIGIN_REALM)
    if name is None or realm is None:
        raise PeerError(ResultCode.MISSING_AVP, reason="the CEA has no Origin-Host or no Origin-Realm")
    host = _identity(name)
    if not _pattern(rule.host).fullmatch(host):
        raise PeerError(ResultCode.UNKNOWN_PEER, reason=f"{host} answered, but {rule.host} is configured")
    check_certificate(host, names)
    return Capabilities(host, _identity(realm), rule, _common(message, applications))


def is_exact(rule: PeerRule) -> bool:
    """Whether a rule is for one identity, not for a pattern of them."""
    return "*" not in rule.host


def check_certificate(host: str, names: Collection[str] | None) -> None:
    """PeerError 3010 where the certificate is not for this Origin-Host (RFC 6733 13.1, RFC 6125 6.4).

    names: its dNSNames in lower case, "*" may stand for the leftmost label; None: there was no certificate.
    """
    if names is None:
        return
    name = host.lower()
    wild = "*." + name.partition(".")[2]
    if name not in names and wild not in names:
        shown = ", ".join(sorted(names)[:8]) or "no dNSName"
        raise PeerError(ResultCode.UNKNOWN_PEER, reason=f"the certificate is for {shown}, not for {host}")


def _common(message: Message, applications: Collection[int]) -> frozenset[int]:
    offered = offered_applications(message)
    if RELAY not in offered and not offered.intersection(applications):
        shown = ", ".join(map(str, sorted(offered)[:8])) or "none"
        raise PeerError(ResultCode.NO_COMMON_APPLICATION, reason=f"no application in common: {shown} offered")
    return frozenset(offered)


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
