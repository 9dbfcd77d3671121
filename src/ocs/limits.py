"""Every bound in the program, each with the Result-Code that a client gets when it is hit.

A bound that is not named here does not exist: add it here first, count its hits in `nms.metrics`
(`ocs_limit_hits_total{limit}`), and say in `LIMITS` what the client is told.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# Diameter wire
MESSAGE_OCTETS_MAX: Final = 65_536
AVP_DEPTH_MAX: Final = 16
AVP_COUNT_MAX: Final = 2_048

# Diameter peers
CONNECTIONS_MAX: Final = 1_024
PEER_INFLIGHT_MAX: Final = 4_096
INFLIGHT_MAX: Final = 16_384
PEER_OUTPUT_OCTETS_MAX: Final = 8 * 1_048_576
CER_TIMEOUT_S: Final = 10
CONNECT_TIMEOUT_S: Final = 5
CONNECT_HOSTS_MAX: Final = 4
CONNECT_ALL_TIMEOUT_S: Final = 30
TLS_HANDSHAKE_TIMEOUT_S: Final = 10
TLS_HANDSHAKES_MAX: Final = 256
OWN_REQUESTS_MAX: Final = 16_384
PEER_OWN_REQUESTS_MAX: Final = 4_096
SENDS_PER_REQUEST_MAX: Final = 4
REDIRECTS_PER_REQUEST_MAX: Final = 3
REDIRECTS_CACHED_MAX: Final = 1_024
OWN_ANSWER_TIMEOUT_S: Final = 10
ORIGIN_STATES_MAX: Final = 4_096
PATHS_MAX: Final = 4_096
WATCHDOG_S: Final = 30
DRAIN_TIMEOUT_S: Final = 5
ANSWER_DEADLINE_S: Final = 4

# Overload: how long requests may wait for answers unless the configuration says otherwise; how often it is looked at,
# also where nothing is answered; how long a wait is borne, and with how few requests it means nothing; how long
# a report to others holds, how long one of theirs may, and how many of theirs are remembered.
OVERLOAD_DELAY_MS: Final = 100
OVERLOAD_LOOK_MS: Final = 100
OVERLOAD_LOOK_MAX_MS: Final = 1_000
OVERLOAD_INTERVAL_MS: Final = 300
OVERLOAD_WAITING_MIN: Final = 16
OVERLOAD_VALIDITY_S: Final = 30
OVERLOAD_VALIDITY_MAX_S: Final = 86_400
OVERLOAD_REPORTS_MAX: Final = 4_096

# SCTP: streams each way, tries of an INIT, how long the kernel waits on a path, when it gives up a path or all of them.
# A message that is lost on one path goes over another well within ANSWER_DEADLINE_S.
SCTP_STREAMS_MAX: Final = 16
SCTP_INIT_TRIES: Final = 4
SCTP_RTO_INITIAL_MS: Final = 500
SCTP_RTO_MIN_MS: Final = 200
SCTP_RTO_MAX_MS: Final = 2_000
SCTP_HEARTBEAT_MS: Final = 5_000
SCTP_PATH_RETRIES: Final = 3
SCTP_ASSOCIATION_RETRIES: Final = 6

# Charging
GROUPS_PER_SESSION_MAX: Final = 256
GROUPS_PER_REQUEST_MAX: Final = 64
NUMBER_GAPS_PER_SESSION_MAX: Final = 512
ANSWERS_INLINE_MAX: Final = 6
REPEAT_MEMORY_S: Final = 24 * 3_600
BALANCES_PER_ACCOUNT_MAX: Final = 256
USAGE_MAX: Final = 2**48
USAGE_TIME_MAX_NS: Final = 2**62
REPORT_COST_MAX_NANOS: Final = 10**17
BALANCE_MAX: Final = 2**62
PLAUSIBLE_TIME_SLACK_S: Final = 24 * 3_600
DURATION_SLACK_S: Final = 10
EVENT_TIME_PAST_MAX_S: Final = 24 * 3_600
EVENT_TIME_FUTURE_MAX_S: Final = 300
SEGMENTS_PER_REPORT_MAX: Final = 1_000
SESSION_ID_OCTETS_MAX: Final = 1_024
REFUNDABLE_CHARGES_MAX: Final = 64
REMEMBERED_RATES_MAX: Final = 65_536

# Store
BATCH_OUTCOMES_MAX: Final = 256
STORE_OPERATION_TIMEOUT_S: Final = 2
STORE_LIST_TIMEOUT_S: Final = 30
CACHED_ACCOUNTS_MAX: Final = 50_000
CACHED_SESSIONS_MAX: Final = 100_000
CACHED_SESSIONS_PER_ACCOUNT_MAX: Final = 4_096
SESSIONS_READ_AHEAD_MAX: Final = 64
CACHED_NAMES_MAX: Final = 200_000
PENDING_PER_ACCOUNT_MAX: Final = 1_024
CONFLICTS_PER_COMMAND_MAX: Final = 64
TORN_READS_MAX: Final = 8
HOT_CONFLICTS: Final = 3
PINNED_ACCOUNTS_MAX: Final = 1_024
EFFECTS_PER_ROUND_MAX: Final = 256
EFFECT_ATTEMPTS_MAX: Final = 5
SPOOL_OCTETS_MAX: Final = 64 * 1_048_576
SUPERVISED_PER_ROUND_MAX: Final = 512
FORGOTTEN_PER_ROUND_MAX: Final = 1_024
PARTITION_ROWS_MOVED_MAX: Final = 100_000
CLOCK_SKEW_MAX_S: Final = 5

# Ledger: accounts in one look; what the background verification takes at the most; what of it goes into the log.
LEDGER_ACCOUNTS_MAX: Final = 200
LEDGER_WATCH_ACCOUNTS: Final = 50
LEDGER_WATCH_ACCOUNTS_PER_S: Final = 200
LEDGER_WATCH_TIME_SHARE: Final = 20
LEDGER_WATCH_PASS_S: Final = 900
LEDGER_LOGGED_PER_PASS_MAX: Final = 100

# Changes by people
BY_CHARACTERS_MAX: Final = 255
REASON_CHARACTERS_MAX: Final = 1_000

# Traces: how many are kept, for how long they run and are kept after it; what one remembers and keeps.
TRACES_MAX: Final = 4
TRACE_SECONDS_MAX: Final = 3_600
TRACE_KEPT_S: Final = 60
TRACE_MESSAGES_MAX: Final = 10_000
TRACE_OCTETS_MAX: Final = 8 * 1_048_576
TRACE_SESSIONS_MAX: Final = 1_024
TRACE_UNANSWERED_MAX: Final = 4_096

# HTTP
HTTP_CONNECTIONS_MAX: Final = 256
PAGE_ROWS_MAX: Final = 1_000
REQUEST_BODY_OCTETS_MAX: Final = 1_048_576


class Limit(NamedTuple):
    """What happens at a bound: its value and the Result-Code sent (0: the connection is closed, or HTTP answers)."""

    value: int
    result_code: int


LIMITS: Final[dict[str, Limit]] = {
    "message_octets": Limit(MESSAGE_OCTETS_MAX, 5015),
    "avp_depth": Limit(AVP_DEPTH_MAX, 5014),
    "avp_count": Limit(AVP_COUNT_MAX, 5014),
    "connections": Limit(CONNECTIONS_MAX, 0),
    "peer_inflight": Limit(PEER_INFLIGHT_MAX, 3004),
    "inflight": Limit(INFLIGHT_MAX, 3004),
    "peer_output_octets": Limit(PEER_OUTPUT_OCTETS_MAX, 0),
    "tls_handshakes": Limit(TLS_HANDSHAKES_MAX, 0),
    "own_requests": Limit(OWN_REQUESTS_MAX, 0),
    "peer_own_requests": Limit(PEER_OWN_REQUESTS_MAX, 0),
    "own_answer_timeout_s": Limit(OWN_ANSWER_TIMEOUT_S, 0),
    "answer_deadline_s": Limit(ANSWER_DEADLINE_S, 3004),
    "overload_delay_ms": Limit(OVERLOAD_DELAY_MS, 3004),
    "overload_reports": Limit(OVERLOAD_REPORTS_MAX, 0),
    "groups_per_session": Limit(GROUPS_PER_SESSION_MAX, 5012),
    "groups_per_request": Limit(GROUPS_PER_REQUEST_MAX, 5009),
    "number_gaps_per_session": Limit(NUMBER_GAPS_PER_SESSION_MAX, 5012),
    "usage": Limit(USAGE_MAX, 5004),
    "usage_time_ns": Limit(USAGE_TIME_MAX_NS, 5004),
    "report_cost_nanos": Limit(REPORT_COST_MAX_NANOS, 2001),
    "balance": Limit(BALANCE_MAX, 0),
    "event_time_past_s": Limit(EVENT_TIME_PAST_MAX_S, 2001),
    "event_time_future_s": Limit(EVENT_TIME_FUTURE_MAX_S, 2001),
    "segments_per_report": Limit(SEGMENTS_PER_REPORT_MAX, 2001),
    "plausible_time_slack_s": Limit(PLAUSIBLE_TIME_SLACK_S, 2001),
    "duration_slack_s": Limit(DURATION_SLACK_S, 2001),
    "session_id_octets": Limit(SESSION_ID_OCTETS_MAX, 5004),
    "refundable_charges": Limit(REFUNDABLE_CHARGES_MAX, 5012),
    "pending_per_account": Limit(PENDING_PER_ACCOUNT_MAX, 3004),
    "conflicts_per_command": Limit(CONFLICTS_PER_COMMAND_MAX, 3004),
    "torn_reads": Limit(TORN_READS_MAX, 5012),
    "pinned_accounts": Limit(PINNED_ACCOUNTS_MAX, 2001),
    "spool_octets": Limit(SPOOL_OCTETS_MAX, 3004),
    "traces": Limit(TRACES_MAX, 0),
    "trace_messages": Limit(TRACE_MESSAGES_MAX, 0),
}
