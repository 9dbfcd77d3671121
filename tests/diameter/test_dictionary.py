"""The dictionary holds together, agrees with the standards' own examples, and a dump never fails."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocs.diameter import dictionary, dictionary_charging, dictionary_ietf, dictionary_network
from ocs.diameter.dictionary import BY_KEY, BY_NAME, COMMANDS, describe, minimum_octets, name_of
from ocs.diameter.dictionary_values import ENUMERATIONS
from ocs.diameter.types import AvpType
from ocs.diameter.wire import Avp, Message, decode_avps, decode_message, encode_avp, message_bytes
from ocs.limits import AVP_DEPTH_MAX

TABLES = {
    name: rows
    for module in (dictionary_ietf, dictionary_charging, dictionary_network)
    for name, rows in vars(module).items()
    if name.isupper() and isinstance(rows, tuple)
}


def test_every_row_of_every_table_is_in_the_dictionary_once():
    rows = [(row[0], row[1]) for table in TABLES.values() for row in table]
    assert Counter((definition.code, definition.name) for definition in BY_KEY.values()) == Counter(rows)
    assert len(BY_NAME) == len(BY_KEY) == len(rows)


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_in_the_order_of_their_codes(table):
    codes = [row[0] for row in TABLES[table]]
    assert codes == sorted(set(codes))


def test_names_are_written_as_the_standards_do():
    odd = [name for name in BY_NAME if not re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", name)]
    assert odd == []


def test_enumerations_belong_to_enumerated_avps():
    assert {name for name in ENUMERATIONS if BY_NAME[name].type is not AvpType.ENUMERATED} == set()
    assert BY_NAME["CC-Request-Type"].values == {
        1: "INITIAL_REQUEST",
        2: "UPDATE_REQUEST",
        3: "TERMINATION_REQUEST",
        4: "EVENT_REQUEST",
    }


@pytest.mark.parametrize(
    ("name", "code", "vendor_id", "avp_type", "mandatory"),
    [
        ("Session-Id", 263, 0, AvpType.UTF8_STRING, True),
        ("Result-Code", 268, 0, AvpType.UNSIGNED32, True),
        ("Product-Name", 269, 0, AvpType.UTF8_STRING, False),
        ("Error-Message", 281, 0, AvpType.UTF8_STRING, False),
        ("Value-Digits", 447, 0, AvpType.INTEGER64, True),
        ("Exponent", 429, 0, AvpType.INTEGER32, True),
        ("CC-Time", 420, 0, AvpType.UNSIGNED32, True),
        ("CC-Total-Octets", 421, 0, AvpType.UNSIGNED64, True),
        ("QoS-Final-Unit-Indication", 669, 0, AvpType.GROUPED, False),
        ("Subscription-Id-IMSI", 661, 0, AvpType.UTF8_STRING, False),
        ("DRMP", 301, 0, AvpType.ENUMERATED, False),
        ("OC-OLR", 623, 0, AvpType.GROUPED, False),
        ("Service-Information", 873, 10415, AvpType.GROUPED, True),
        ("PDP-Address", 1227, 10415, AvpType.ADDRESS, True),
        ("3GPP-Charging-Characteristics", 13, 10415, AvpType.UTF8_STRING, True),
        ("SMS-Information", 2000, 10415, AvpType.GROUPED, True),
        ("Unused-Quota-Timer", 4407, 10415, AvpType.UNSIGNED32, True),
        ("SC-Address", 3300, 10415, AvpType.OCTET_STRING, True),
        ("SMSMI-Correlation-ID", 3324, 10415, AvpType.GROUPED, False),
        ("OFR-Flags", 3328, 10415, AvpType.UNSIGNED32, False),
        ("Serving-Node", 2401, 10415, AvpType.GROUPED, True),
        ("MME-Number-for-MT-SMS", 1645, 10415, AvpType.OCTET_STRING, False),
        ("SGSN-Absent-User-Diagnostic-SM", 3315, 10415, AvpType.UNSIGNED32, False),
        ("MSC-SM-Delivery-Outcome", 3318, 10415, AvpType.GROUPED, False),
    ],
)
def test_what_the_standards_say_of_an_avp(name, code, vendor_id, avp_type, mandatory):
    definition = BY_NAME[name]
    assert definition is BY_KEY[code, vendor_id]
    assert (definition.type, definition.mandatory) == (avp_type, mandatory)


def test_commands_of_the_base_protocol_credit_control_and_short_messages():
    assert {code: command.name for code, command in COMMANDS.items() if command.application_ids != (0,)} == {
        258: "Re-Auth",
        271: "Accounting",
        272: "Credit-Control",
        274: "Abort-Session",
        275: "Session-Termination",
        8388645: "MO-Forward-Short-Message",
        8388646: "MT-Forward-Short-Message",
        8388647: "Send-Routing-Info-For-SM",
        8388648: "Alert-Service-Centre",
        8388649: "Report-SM-Delivery-Status",
    }
    named = {application_id for command in COMMANDS.values() for application_id in command.application_ids}
    assert named <= set(dictionary.APPLICATIONS)


def test_least_lengths_come_from_the_type():
    assert [minimum_octets(code, 0) for code in (263, 415, 421, 257, 456, 99999)] == [0, 4, 8, 6, 0, 0]


def test_names_of_avps_known_and_not():
    assert name_of(Avp(263, 0, 0, b"")) == "Session-Id"
    assert name_of(Avp(263, 9, 0x80, b"")) == "AVP-263-of-vendor-9"
    assert name_of(Avp(99999, 0, 0, b"")) == "AVP-99999"


def test_a_dump_reads_like_the_message():
    units = encode_avp(437, encode_avp(421, (1000).to_bytes(8)))
    body = (
        encode_avp(263, b"client;1"),
        encode_avp(416, (1).to_bytes(4)),
        encode_avp(415, b"\0"),
        encode_avp(456, units),
        encode_avp(456, b"\1\2\3"),
        encode_avp(1227, bytes.fromhex("00010a000001"), 10415),
        encode_avp(99999, b"\xca\xfe", 9),
        encode_avp(25, b""),
    )
    dump = describe(decode_message(message_bytes(0xC0, 272, 4, 1, 2, b"".join(body))))
    assert dump.splitlines() == [
        (
            "Credit-Control-Request [RP] application 4 (Diameter credit control)"
            " hop-by-hop 0x00000001 end-to-end 0x00000002"
        ),
        "  Session-Id (263): 'client;1'",
        "  CC-Request-Type (416): 1 INITIAL_REQUEST",
        "  CC-Request-Number (415): 00 (AVP 415 of vendor 0 has 1 octets)",
        "  Multiple-Services-Credit-Control (456)",
        "    Requested-Service-Unit (437)",
        "      CC-Total-Octets (421): 1000",
        "  Multiple-Services-Credit-Control (456): unreadable group 010203",
        "  PDP-Address (1227/10415): 10.0.0.1",
        "  AVP-99999-of-vendor-9 (99999/9): cafe",
        "  Class (25): -",
    ]


def test_a_dump_of_an_answer_with_an_unknown_command():
    dump = describe(Message(1, 0x20, 9999, 77, 0, 0, []))
    assert dump == "Command-9999-Answer [E] application 77 (unknown) hop-by-hop 0x00000000 end-to-end 0x00000000"


def test_a_dump_of_a_nesting_bomb_ends():
    data = b""
    for _ in range(5000):
        data = encode_avp(456, data)
    lines = describe(Message(1, 0x80, 272, 4, 0, 0, decode_avps(data))).splitlines()
    assert len(lines) == AVP_DEPTH_MAX + 1


@given(
    st.lists(st.tuples(st.sampled_from(list(BY_KEY)), st.binary(max_size=24)), max_size=8),
    st.integers(0, 255),
    st.sampled_from([*COMMANDS, 9]),
)
def test_a_dump_never_fails(members, flags, command_code):
    avps = [Avp(code, vendor_id, 0x80 if vendor_id else 0, data) for (code, vendor_id), data in members]
    assert len(describe(Message(1, flags, command_code, 4, 1, 1, avps)).splitlines()) > len(avps)
