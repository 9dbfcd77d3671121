"""Result-Code values of RFC 6733 7.1 and RFC 8506 9, and the experimental ones of 3GPP for short messages."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class ResultCode(IntEnum):
    """Values of the Result-Code AVP (268)."""

    # Informational
    MULTI_ROUND_AUTH = 1001

    # Success
    SUCCESS = 2001
    LIMITED_SUCCESS = 2002

    # Protocol errors: the answer has the E bit
    COMMAND_UNSUPPORTED = 3001
    UNABLE_TO_DELIVER = 3002
    REALM_NOT_SERVED = 3003
    TOO_BUSY = 3004
    LOOP_DETECTED = 3005
    REDIRECT_INDICATION = 3006
    APPLICATION_UNSUPPORTED = 3007
    INVALID_HDR_BITS = 3008
    INVALID_AVP_BITS = 3009
    UNKNOWN_PEER = 3010

    # Transient failures
    AUTHENTICATION_REJECTED = 4001
    OUT_OF_SPACE = 4002
    ELECTION_LOST = 4003
    END_USER_SERVICE_DENIED = 4010  # RFC 8506
    CREDIT_CONTROL_NOT_APPLICABLE = 4011  # RFC 8506
    CREDIT_LIMIT_REACHED = 4012  # RFC 8506

    # Permanent failures
    AVP_UNSUPPORTED = 5001
    UNKNOWN_SESSION_ID = 5002
    AUTHORIZATION_REJECTED = 5003
    INVALID_AVP_VALUE = 5004
    MISSING_AVP = 5005
    RESOURCES_EXCEEDED = 5006
    CONTRADICTING_AVPS = 5007
    AVP_NOT_ALLOWED = 5008
    AVP_OCCURS_TOO_MANY_TIMES = 5009
    NO_COMMON_APPLICATION = 5010
    UNSUPPORTED_VERSION = 5011
    UNABLE_TO_COMPLY = 5012
    INVALID_BIT_IN_HEADER = 5013
    INVALID_AVP_LENGTH = 5014
    INVALID_MESSAGE_LENGTH = 5015
    INVALID_AVP_BIT_COMBO = 5016
    NO_COMMON_SECURITY = 5017
    USER_UNKNOWN = 5030  # RFC 8506
    RATING_FAILED = 5031  # RFC 8506


@unique
class ExperimentalResultCode(IntEnum):
    """Values of Experimental-Result-Code (298) for vendor 10415 in TS 29.338 7.3; they go without a Result-Code."""

    USER_UNKNOWN = 5001
    ABSENT_USER = 5550
    USER_BUSY_FOR_MT_SMS = 5551
    FACILITY_NOT_SUPPORTED = 5552
    ILLEGAL_USER = 5553
    ILLEGAL_EQUIPMENT = 5554
    SM_DELIVERY_FAILURE = 5555
    SERVICE_NOT_SUBSCRIBED = 5556
    SERVICE_BARRED = 5557
    MWD_LIST_FULL = 5558


def is_success(code: int) -> bool:
    """Whether `code` is of the 2xxx class (RFC 6733 7.1.2)."""
    return 2000 <= code < 3000


def is_protocol_error(code: int) -> bool:
    """Whether `code` is of the 3xxx class, whose answers set the E bit and use the generic grammar (RFC 6733 7.2)."""
    return 3000 <= code < 4000
