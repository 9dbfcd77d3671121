"""The words that may stand in metric labels. Everything else becomes "other": a label never grows without bound."""

from __future__ import annotations

from typing import Final

OTHER: Final = "other"

APPLICATIONS: Final = {0: "common", 3: "accounting", 4: "credit_control", 0xFFFF_FFFF: "relay"}
"""Application-Id -> label (RFC 6733 11.3.1, RFC 8506 1.3)."""

COMMANDS: Final = {257: "CE", 258: "RA", 271: "AC", 272: "CC", 274: "AS", 275: "ST", 280: "DW", 282: "DP"}
"""Command code -> label (RFC 6733 3.1, RFC 8506 3)."""

REQUEST_TYPES: Final = {1: "initial", 2: "update", 3: "termination", 4: "event"}
"""CC-Request-Type -> label (RFC 8506 8.3); commands without one count under NO_REQUEST_TYPE."""
NO_REQUEST_TYPE: Final = "none"

SHED: Final = ("new", "update")
PRIORITIES: Final = range(16)
"""What may be refused in an overload: kinds of requests, and their priorities (DRMP, RFC 7944)."""

DIRECTIONS: Final = ("in", "out")

RESULT_CODES: Final = (
    *(2001, 2002),
    *(3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010),
    *(4001, 4002, 4003, 4010, 4011, 4012),
    *(5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009, 5010, 5011, 5012, 5013, 5014, 5015, 5016, 5017),
    *(5030, 5031),
)
"""Result-Codes that count under their own number."""
OWN_COMMANDS: Final = (258, 274)
NOT_DELIVERED: Final = ("no_peer", "no_answer", "lost", "too_many", "held_back", "unreadable")
"""Requests of our own, and why one has no answer."""
CONNECTION_RESULT_CODES: Final = (2001, 3010, 5005, 5010, 5012, 5017)
"""Those that answers to CER, DWR and DPR usually carry: only these are made before they occur."""

UNITS: Final = {"ns": "seconds", "octets": "octets", "units": "units"}
"""Base unit of a measure -> label: metrics count time in seconds."""
PER_UNIT: Final = {"ns": 1_000_000_000, "octets": 1, "units": 1}
NANOS_PER_UNIT: Final = 1_000_000_000

DENIALS: Final = (
    "unknown_account",
    "disabled_account",
    "no_plan",
    "no_service",
    "unknown_rating_group",
    "no_destination",
    "no_rate",
    "no_credit",
    "blocked",
    "unknown_session",
    "session_ended",
    "session_id_in_use",
    "number_gaps",
    "too_many_groups",
    "action_not_served",
    OTHER,
)
RATING_FAILURES: Final = ("no_plan", "no_service", "unknown_rating_group", "no_destination", "no_rate", OTHER)
EXPIRIES: Final = ("validity", "idle", OTHER)
COMMAND_KINDS: Final = (
    "open",
    "charge",
    "expire",
    "topup",
    "adjust",
    "status",
    "unknown_session",
    "late",
    "end",
    "reauth",
    "abort",
    OTHER,
)
ENDINGS: Final = ("aborted", "peer_unknown", "peer_restarted", OTHER)
COMMAND_OUTCOMES: Final = ("done", "conflict", "failed")
EFFECT_OUTCOMES: Final = ("done", "later", "given_up")
CLOSE_REASONS: Final = (
    "peer",
    "no_cer",
    "unknown_peer",
    "refused",
    "framing_lost",
    "watchdog",
    "replaced",
    "rival",
    "output",
    "drained",
    "stopped",
    "internal",
    "connect",
    "no_cea",
    "cea_refused",
    "election",
    "command",
    "tls",
    OTHER,
)
DROP_REASONS: Final = ("unknown_answer", "connection_gone", "closing", "too_long", OTHER)
PATH_STATES: Final = ("unreachable", "available", "confirmed", OTHER)

PEER_LABELS_MAX: Final = 256
"""Peers that count under their own name; what patterns admit beyond them counts under "other"."""
