"""Service-Information (TS 32.299) and other descriptions of a service: to attributes of a charging request.

Two tables say which AVPs are of interest, by the names of the dictionary; all others are passed over, the M bit or not.
A value that cannot be read as its type never refuses a request: the attribute holds its octets in hexadecimal, and a
group that cannot be opened holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ocs.charging.contexts import ANY_CONTEXT, CONTEXTS
from ocs.diameter.applications import codes
from ocs.diameter.dictionary import BY_KEY, BY_NAME
from ocs.diameter.errors import PeerError
from ocs.diameter.types import UNPACK, AvpType, unpack_address, unpack_time, unpack_unsigned32
from ocs.diameter.wire import AVP_FLAG_MANDATORY, Avp
from ocs.rating.units import NS_PER_S

Decoder = Callable[[Avp], str]


def _of_type(avp_type: AvpType) -> Decoder:
    unpack = UNPACK[avp_type]
    return lambda avp: str(unpack(avp))


def _unsigned32(avp: Avp) -> str:
    return str(int.from_bytes(avp.data) if len(avp.data) == 4 else unpack_unsigned32(avp))


def _text(avp: Avp) -> str:
    return avp.data.decode()


def _address(avp: Avp) -> str:
    data = avp.data
    if len(data) == 6 and data[:2] == b"\0\1":
        return "{}.{}.{}.{}".format(*data[2:])
    return str(unpack_address(avp))


def octets_text(avp: Avp) -> str:
    """Text where the octets are printable ASCII, hexadecimal otherwise."""
    data = avp.data
    if data.isascii():
        text = data.decode("ascii")
        if text.isprintable():
            return text
    return data.hex()


def _hex(avp: Avp) -> str:
    return avp.data.hex()


def _number(avp: Avp) -> str:
    """A number in four octets, or digits (3GPP-Charging-Id, TS 29.061 16.4.7.2)."""
    return str(int.from_bytes(avp.data)) if len(avp.data) == 4 and not avp.data.isdigit() else octets_text(avp)


def _one_octet(avp: Avp) -> str:
    """A number in one octet, which some send as a character (3GPP-NSAPI)."""
    return octets_text(avp) if len(avp.data) != 1 or avp.data.isalnum() else str(avp.data[0])


def _octet_number(avp: Avp) -> str:
    """A number in one octet (3GPP-RAT-Type)."""
    return str(avp.data[0]) if len(avp.data) == 1 else octets_text(avp)


def _characteristics(avp: Avp) -> str:
    """Charging characteristics as four hexadecimal digits, whether sent as such or as two octets (TS 29.061)."""
    return avp.data.hex() if len(avp.data) == 2 else octets_text(avp).lower()


def _media(avp: Avp) -> str:
    """The kind of media of a description: "m=video 51372 RTP/AVP 99" is video (RFC 8866 5.14)."""
    words = avp.data.decode().strip().removeprefix("m=").split()
    return words[0].lower() if words else ""


def _imei(avp: Avp) -> str:
    """Digits, or the same as semi-octets in seven or eight octets (TS 23.003 6.2)."""
    if avp.data.isdigit() or len(avp.data) not in (7, 8):
        return octets_text(avp)
    return "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in avp.data).rstrip("f")


def _time(avp: Avp) -> str:
    return datetime.fromtimestamp(unpack_time(avp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_BY_TYPE: Final[dict[AvpType, Decoder]] = {
    **{avp_type: _of_type(avp_type) for avp_type in AvpType if avp_type is not AvpType.GROUPED},
    AvpType.ADDRESS: _address,
    AvpType.UNSIGNED32: _unsigned32,
    AvpType.OCTET_STRING: octets_text,
    AvpType.UTF8_STRING: _text,
    AvpType.TIME: _time,
}

# What stands where, and the attribute that it becomes. A third column reads a value otherwise than by its type.
_SERVICE: Final[tuple[tuple[Any, ...], ...]] = (
    # PS-Information (TS 32.251)
    ("PS-Information/3GPP-Charging-Id", "charging_id", _number),
    ("PS-Information/PDN-Connection-Charging-ID", "pdn_connection_charging_id"),
    ("PS-Information/3GPP-PDP-Type", "pdp_type"),
    ("PS-Information/PDP-Address", "pdp_address"),
    ("PS-Information/SGSN-Address", "sgsn_address"),
    ("PS-Information/GGSN-Address", "ggsn_address"),
    ("PS-Information/CG-Address", "cg_address"),
    ("PS-Information/Serving-Node-Type", "serving_node_type"),
    ("PS-Information/Called-Station-Id", "apn"),
    ("PS-Information/3GPP-Selection-Mode", "selection_mode"),
    ("PS-Information/3GPP-Charging-Characteristics", "charging_characteristics", _characteristics),
    ("PS-Information/Charging-Characteristics-Selection-Mode", "charging_characteristics_selection_mode"),
    ("PS-Information/3GPP-IMSI-MCC-MNC", "imsi_mcc_mnc"),
    ("PS-Information/3GPP-GGSN-MCC-MNC", "ggsn_mcc_mnc"),
    ("PS-Information/3GPP-SGSN-MCC-MNC", "sgsn_mcc_mnc"),
    ("PS-Information/3GPP-NSAPI", "nsapi", _one_octet),
    ("PS-Information/3GPP-RAT-Type", "rat_type", _octet_number),
    ("PS-Information/3GPP-User-Location-Info", "user_location", _hex),
    ("PS-Information/3GPP-MS-TimeZone", "ms_time_zone", _hex),
    ("PS-Information/Charging-Rule-Base-Name", "charging_rule_base"),
    ("PS-Information/QoS-Information/QoS-Class-Identifier", "qci"),
    ("PS-Information/Sponsor-Identity", "sponsor"),
    ("PS-Information/Application-Service-Provider-Identity", "application_service_provider"),
    # IMS-Information (TS 32.260)
    ("IMS-Information/Event-Type/SIP-Method", "sip_method"),
    ("IMS-Information/Role-Of-Node", "role_of_node"),
    ("IMS-Information/Node-Functionality", "node_functionality"),
    ("IMS-Information/User-Session-Id", "user_session_id"),
    ("IMS-Information/Calling-Party-Address", "calling_party"),
    ("IMS-Information/Called-Party-Address", "called_party"),
    ("IMS-Information/Called-Asserted-Identity", "called_asserted_identity"),
    ("IMS-Information/Requested-Party-Address", "requested_party"),
    ("IMS-Information/Time-Stamps/SIP-Request-Timestamp", "sip_request_at"),
    ("IMS-Information/Time-Stamps/SIP-Response-Timestamp", "sip_response_at"),
    ("IMS-Information/Inter-Operator-Identifier/Originating-IOI", "originating_ioi"),
    ("IMS-Information/Inter-Operator-Identifier/Terminating-IOI", "terminating_ioi"),
    ("IMS-Information/IMS-Charging-Identifier", "ims_charging_identifier"),
    ("IMS-Information/Access-Network-Information", "access_network"),
    ("IMS-Information/Cause-Code", "cause_code"),
    ("IMS-Information/SDP-Media-Component/SDP-Media-Name", "media", _media),
    ("IMS-Information/SDP-Media-Component/Media-Initiator-Flag", "media_initiator"),
    ("IMS-Information/Message-Body/Content-Type", "content_type"),
    ("IMS-Information/Message-Body/Content-Length", "content_length"),
    ("IMS-Information/Service-Id", "service_id"),
    ("IMS-Information/Trunk-Group-Id/Incoming-Trunk-Group-Id", "incoming_trunk_group"),
    ("IMS-Information/Trunk-Group-Id/Outgoing-Trunk-Group-Id", "outgoing_trunk_group"),
    # SMS-Information (TS 32.274)
    ("SMS-Information/Originator-Address/Address-Data", "originator"),
    ("SMS-Information/Recipient-Info/Recipient-Address/Address-Data", "recipient"),
    ("SMS-Information/Recipient-Address/Address-Data", "recipient"),
    ("SMS-Information/SMS-Node", "sms_node"),
    ("SMS-Information/SMSC-Address", "smsc_address"),
    ("SMS-Information/Client-Address", "client_address"),
    ("SMS-Information/SM-Message-Type", "sm_message_type"),
    ("SMS-Information/Number-Of-Messages-Sent", "messages_sent"),
    ("SMS-Information/Data-Coding-Scheme", "data_coding_scheme"),
    ("SMS-Information/Reply-Path-Requested", "reply_path_requested"),
    ("SMS-Information/SM-Status", "sm_status"),
    ("SMS-Information/SM-Service-Type", "sm_service_type"),
    # MMTel-Information (TS 32.275)
    ("MMTel-Information/Supplementary-Service/MMTel-Service-Type", "mmtel_services"),
    ("MMTel-Information/Supplementary-Service/Service-Mode", "mmtel_modes"),
    ("MMTel-Information/Supplementary-Service/Number-Of-Diversions", "diversions"),
    ("MMTel-Information/Supplementary-Service/Associated-Party-Address", "associated_party"),
    # VCS-Information (TS 32.276)
    ("VCS-Information/Bearer-Capability", "bearer_capability"),
    ("VCS-Information/Network-Call-Reference-Number", "network_call_reference"),
    ("VCS-Information/MSC-Address", "msc_address"),
    ("VCS-Information/VLR-Number", "vlr_number"),
    ("VCS-Information/Forwarding-Pending", "forwarding_pending"),
)
_COMMAND: Final[tuple[tuple[Any, ...], ...]] = (
    ("User-Name", "user_name"),
    ("Termination-Cause", "termination_cause"),
    ("CC-Correlation-Id", "correlation_id"),
)

PARTIES: Final = frozenset(name for context in (*CONTEXTS.values(), ANY_CONTEXT) for name in context.called)
"""Attributes of which several values are several parties."""

_RECIPIENT: Final = (BY_NAME["Recipient-Info"].code, BY_NAME["Recipient-Info"].vendor_id)

_EQUIPMENT: Final = ("imei", "mac", "eui64", "modified_eui64")
"""By User-Equipment-Info-Type (RFC 8506 8.50)."""
_EQUIPMENT_OF_EXTENSION: Final = {654: "imei", 655: "mac", 656: "eui64", 657: "modified_eui64", 658: "imei"}

_TIMES: Final = frozenset({"sip_request_at", "sip_response_at"})

Key = tuple[int, int]
Table = dict[Key, Any]
"""(code, vendor) -> (attribute, decoder, whether it is more than an attribute), or the Table of a group."""


def _table(rows: tuple[tuple[Any, ...], ...]) -> Table:
    table: Table = {}
    for path, attribute, *other in rows:
        *groups, last = (BY_NAME[name] for name in path.split("/"))
        place = table
        for group in groups:
            place = place.setdefault((group.code, group.vendor_id), {})
        decoder = other[0] if other else _BY_TYPE[last.type]
        place[last.code, last.vendor_id] = (attribute, decoder, attribute in PARTIES or attribute in _TIMES)
    return table


_SERVICE_TABLE: Final = _table(_SERVICE)
_COMMAND_TABLE: Final = _table(_COMMAND)


class Service(NamedTuple):
    """What describes the service.

    attributes: name -> value, in the order of the request; several values of one name stand apart by ",".
    parties: attribute -> the parties that it names. ids: Subscription-Ids inside Service-Information.
    ignored_avps: how many AVPs with the M bit were passed over that the dictionary does not know.
    asked_at_ns, answered_at_ns: when the signalling was, as Unix nanoseconds; None where that is not told.
    """

    attributes: dict[str, str]
    parties: dict[str, list[str]]
    ids: list[Avp]
    ignored_avps: int
    asked_at_ns: int | None = None
    answered_at_ns: int | None = None

    def called(self, names: Sequence[str]) -> tuple[str, ...]:
        """The parties to rate by: those of the first of the attributes that names any."""
        for name in names:
            parties = self.parties.get(name) or ([self.attributes[name]] if self.attributes.get(name) else None)
            if parties:
                return tuple(parties)
        return ()

    def described(self, called: str) -> tuple[tuple[str, str], ...]:
        """The attributes but for those that name the called party alone, which is a field of its own."""
        parties = self.parties
        return tuple([pair for pair in self.attributes.items() if pair[0] not in parties or pair[1] != called])


class Reader:
    """Collects the attributes of one request."""

    def __init__(self) -> None:
        self.attributes: dict[str, str] = {}
        self.parties: dict[str, list[str]] = {}
        self.ids: list[Avp] = []
        self.ignored_avps = 0
        self.asked_at_ns: int | None = None
        self.answered_at_ns: int | None = None

    def read_command(self, avp: Avp) -> None:
        """An AVP of the command itself that describes the service or the user's equipment."""
        if avp.code in (codes.USER_EQUIPMENT_INFO, codes.USER_EQUIPMENT_INFO_EXTENSION):
            self._read_equipment(avp, 1)
        elif avp.code == codes.SERVICE_PARAMETER_INFO:
            self._read_parameter(avp)
        else:
            entry = _COMMAND_TABLE.get((avp.code, avp.vendor_id))
            if entry is not None:
                self._add(avp, *entry[:2])

    def read_service(self, service_information: Avp) -> None:
        """Service-Information. Raises PeerError 5014 where it cannot be cut into AVPs at all."""
        for avp in service_information.children():
            if avp.code == codes.SUBSCRIPTION_ID and not avp.vendor_id:
                self.ids.append(avp)
            else:
                self._read([avp], _SERVICE_TABLE, 2)

    def service(self) -> Service:
        """What was read."""
        return Service(
            self.attributes, self.parties, self.ids, self.ignored_avps, self.asked_at_ns, self.answered_at_ns
        )

    def _read(self, avps: Sequence[Avp], table: Table, depth: int) -> None:
        attributes = self.attributes
        for avp in avps:
            entry = table.get((avp.code, avp.vendor_id))
            if entry is None:
                if avp.code == codes.USER_EQUIPMENT_INFO and not avp.vendor_id:
                    self._read_equipment(avp, depth)
                elif avp.flags & AVP_FLAG_MANDATORY and (avp.code, avp.vendor_id) not in BY_KEY:
                    self.ignored_avps += 1
            elif type(entry) is tuple:
                name, decode, is_more = entry
                if is_more or name in attributes:
                    self._add(avp, name, decode)
                    continue
                try:
                    value = decode(avp)
                except (PeerError, ValueError):
                    value = avp.data.hex()
                attributes[name] = avp.data.hex() if "\0" in value else value
            else:
                try:
                    inner = avp.children(depth)
                except PeerError:
                    continue
                before = len(self.parties.get("recipient", ()))
                self._read(inner, entry, depth + 1)
                if (avp.code, avp.vendor_id) == _RECIPIENT:  # several addresses of it are one recipient
                    del self.parties.get("recipient", [])[before + 1 :]

    def _add(self, avp: Avp, name: str, decode: Decoder) -> None:
        """One attribute, whatever it means besides and however often it comes."""
        try:
            value = decode(avp)
        except (PeerError, ValueError):
            value = avp.data.hex()
        else:
            if name == "sip_response_at":
                self.answered_at_ns = unpack_time(avp) * NS_PER_S
            elif name == "sip_request_at":
                self.asked_at_ns = unpack_time(avp) * NS_PER_S
        if "\0" in value:  # which is no text to any database
            value = avp.data.hex()
        earlier = self.attributes.get(name)
        self.attributes[name] = value if earlier is None else f"{earlier},{value}"
        if name in PARTIES and value:
            self.parties.setdefault(name, []).append(value)

    def _read_equipment(self, avp: Avp, depth: int) -> None:
        """User-Equipment-Info, or its Extension (RFC 8506 8.49, 8.52)."""
        name, value = "user_equipment", avp
        try:
            for child in avp.children(depth):
                if child.code == codes.USER_EQUIPMENT_INFO_TYPE:
                    number = unpack_unsigned32(child)
                    name = _EQUIPMENT[number] if number < len(_EQUIPMENT) else name
                elif child.code == codes.USER_EQUIPMENT_INFO_VALUE:
                    value = child
                elif child.code in _EQUIPMENT_OF_EXTENSION:
                    name, value = _EQUIPMENT_OF_EXTENSION[child.code], child
        except PeerError:
            value = avp
        self._add(value, name, _imei if name == "imei" else octets_text)

    def _read_parameter(self, avp: Avp) -> None:
        """Service-Parameter-Info (RFC 8506 8.43): "service_parameter_N", N its Service-Parameter-Type."""
        kind, value = "", avp
        try:
            for child in avp.children():
                if child.code == codes.SERVICE_PARAMETER_TYPE:
                    kind = str(unpack_unsigned32(child))
                elif child.code == codes.SERVICE_PARAMETER_VALUE:
                    value = child
        except PeerError:
            value = avp
        self._add(value, f"service_parameter_{kind}" if kind else "service_parameter", octets_text)
