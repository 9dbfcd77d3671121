"""Service contexts: what the document that a Service-Context-Id names says of its requests. One row each.

A context that is not in the table can be sold all the same: its service says in `server.yaml` what the row would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ocs.rating.units import Kind


class Context(msgspec.Struct, frozen=True):
    """One context.

    kind: of the services that it usually leads to. called: attributes that may name the called party, the first that is
    there counts. count: the attribute that says how many units an event is of that names none, "" = it is of one.
    terminating: (attribute, values) with which the served user is the one who receives.
    """

    number: str
    title: str
    kind: Kind
    called: tuple[str, ...] = ()
    count: str = ""
    terminating: tuple[tuple[str, str], ...] = (("role_of_node", "1"),)


_PARTIES: Final = ("called_party", "recipient", "requested_party", "called_asserted_identity")

CONTEXTS: Final[Mapping[str, Context]] = {
    row.number: row
    for row in (
        Context("32251", "packet data (TS 32.251)", Kind.DATA, terminating=()),
        Context("32260", "IMS: calls, messages (TS 32.260)", Kind.VOICE, _PARTIES, "messages_sent"),
        Context(
            "32274",
            "SMS (TS 32.274)",
            Kind.SMS,
            ("recipient", *_PARTIES),
            "messages_sent",
            (("sm_message_type", "3"), ("role_of_node", "1")),
        ),
        Context("32276", "voice call service (TS 32.276)", Kind.VOICE, _PARTIES),
    )
}

ANY_CONTEXT: Final = Context("", "any other", Kind.GENERIC, _PARTIES, "messages_sent")


def context_of(contexts: tuple[str, ...]) -> Context:
    """The row of the first of a service's contexts that has one."""
    return next((CONTEXTS[number] for number in contexts if number in CONTEXTS), ANY_CONTEXT)


ATTRIBUTES: Final = frozenset(
    """
    charging_id pdn_connection_charging_id pdp_type pdp_address sgsn_address ggsn_address cg_address serving_node_type
    apn selection_mode charging_characteristics charging_characteristics_selection_mode imsi_mcc_mnc ggsn_mcc_mnc
    sgsn_mcc_mnc nsapi rat_type user_location ms_time_zone charging_rule_base qci sponsor application_service_provider
    af_charging_identifier
    sip_method content_type content_length role_of_node node_functionality user_session_id calling_party
    called_party called_asserted_identity requested_party sip_request_at sip_response_at originating_ioi terminating_ioi
    ims_charging_identifier access_network cause_code incoming_trunk_group outgoing_trunk_group media media_initiator
    service_id mmtel_services mmtel_modes diversions associated_party
    bearer_capability network_call_reference msc_address vlr_number forwarding_pending
    originator recipient sms_node smsc_address client_address sm_message_type messages_sent data_coding_scheme
    reply_path_requested sm_status sm_service_type
    user_name termination_cause correlation_id imei mac eui64 modified_eui64 user_equipment
    """.split()
)
"""What a request may tell of its service, beside `service_parameter_N`: names that configurations speak of."""
