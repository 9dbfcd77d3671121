"""Priorities and overload reports as values: what is read, what is written, when a number rises, what is remembered."""

import pytest

from ocs.diameter.overload import NEVER, Kind, Look
from ocs.diameter.overload_avps import FEATURES, PLAIN, Report, reports_of, traits_of
from ocs.diameter.overload_reports import Abatement, Reporting
from ocs.diameter.routes import OwnRequest
from ocs.diameter.wire import decode_message, encode_avp, message_bytes
from ocs.limits import OVERLOAD_REPORTS_MAX, OVERLOAD_VALIDITY_S
from tests.diameter.samples import avp, credit_control, message

S = 1_000_000_000


def answer(*parts):
    return decode_message(message_bytes(0x40, 258, 4, 1, 2, b"".join(parts)))


def group(*parts):
    return avp("OC-OLR", list(parts))


@pytest.mark.conformance("I4", "I5")
def test_traits_of_requests():
    kinds = {1: Kind.NEW, 2: Kind.UPDATE, 3: Kind.LAST, 4: Kind.NEW}
    for number, kind in kinds.items():
        traits = traits_of(message(272, credit_control(number)))
        assert (traits.kind, traits.priority, traits.abates, traits.priority_avp) == (kind, 10, False, b"")
    records = {1: Kind.NEW, 2: Kind.NEW, 3: Kind.UPDATE, 4: Kind.LAST}
    for number, kind in records.items():
        assert traits_of(message(271, [avp("Accounting-Record-Type", number)], application_id=3)).kind is kind
    assert traits_of(message(272, credit_control(9))).kind is Kind.NEW
    assert PLAIN.rank == NEVER


@pytest.mark.conformance("I4")
@pytest.mark.parametrize(
    ("data", "priority"), [((0, 0, 0, 0), 0), ((0, 0, 0, 15), 15), ((0, 0, 0, 16), 10), ((1,), 10)]
)
def test_priorities(data, priority):
    """DRMP as a client sent it, with M or without; the answer's has none."""
    sent = encode_avp(301, bytes(data))
    traits = traits_of(message(272, [*credit_control(2), sent]))
    assert traits.priority == priority
    understood = priority != 10
    assert traits.priority_avp == (encode_avp(301, bytes(data), mandatory=False) if understood else b"")
    other_vendor = encode_avp(301, bytes(4), 10415)
    assert traits_of(message(272, [*credit_control(2), other_vendor])).priority == 10


@pytest.mark.conformance("I1")
def test_a_report_on_the_wire():
    data = Report(2**40, 35, 60).encode()
    (avp_,) = answer(data).avps
    assert (avp_.code, avp_.vendor_id, avp_.flags) == (623, 0, 0)
    parts = [(part.code, part.flags, part.data) for part in avp_.children()]
    assert parts == [
        (624, 0, (2**40).to_bytes(8)),
        (626, 0, bytes(4)),
        (627, 0, (35).to_bytes(4)),
        (625, 0, (60).to_bytes(4)),
    ]
    assert reports_of(answer(data)) == [Report(2**40, 35, 60)]


def test_reports_of_others():
    number, host = avp("OC-Sequence-Number", 5), avp("OC-Report-Type", 0)
    read = {
        "nothing but what must be": ([number, host], [Report(5, 0, 30)]),
        "of a realm": ([number, avp("OC-Report-Type", 1), avp("OC-Reduction-Percentage", 9)], [Report(5, 9, 30, True)]),
        "too long": ([number, host, avp("OC-Validity-Duration", 86_401)], [Report(5, 0, 30)]),
        "a day": ([number, host, avp("OC-Validity-Duration", 86_400)], [Report(5, 0, 86_400)]),
        "more than all": ([number, host, avp("OC-Reduction-Percentage", 101)], []),
        "without a number": ([host], []),
        "of a peer": ([number, avp("OC-Report-Type", 2)], []),
        "with more in it": ([number, host, encode_avp(9, b"x", 9)], [Report(5, 0, 30)]),
    }
    for name, (parts, reports) in read.items():
        assert reports_of(answer(group(*parts))) == reports, name
    assert reports_of(answer(encode_avp(623, b"\0\0\2\x70\0\0\0\xff"))) == []


def notes(reporting, now_s, refused, arrived=1_000):
    """Let a second go by."""
    reporting.note(Look(arrived, refused, arrived - refused, 0, 0), now_s * S)
    return reporting.percent


@pytest.mark.conformance("I1", "I2")
def test_what_is_reported_rises_at_once_and_falls_when_nothing_is_refused():
    reporting = Reporting(100)
    assert notes(reporting, 1, 0) == 0
    assert reporting.avps(S) == FEATURES
    assert notes(reporting, 2, 412) == 45
    assert reporting.avps(2 * S) == FEATURES + Report(101, 45).encode()
    assert notes(reporting, 3, 60) == 45, "who obeys has sent less: no reason to send more"
    assert reporting.avps(3 * S) == FEATURES + Report(101, 45).encode()
    assert notes(reporting, 4, 0) == 40
    assert reporting.avps(4 * S) == FEATURES + Report(102, 40).encode()
    assert notes(reporting, 5, 700) == 70
    for second in range(6, 6 + 14):
        notes(reporting, second, 0)
    assert reporting.percent == 0
    over = FEATURES + Report(103 + 14, 0, 0).encode()
    assert reporting.avps(20 * S) == over
    assert reporting.avps((19 + OVERLOAD_VALIDITY_S) * S - 1) == over, "as long as its last report may be believed"
    assert reporting.avps((19 + OVERLOAD_VALIDITY_S) * S) == FEATURES


@pytest.mark.conformance("I2")
def test_a_report_that_goes_on_is_sent_under_a_new_number_before_it_runs_out():
    reporting = Reporting(100)
    sent = []
    for second in range(1, 40):
        notes(reporting, second, 500)
        sent.append(reporting.avps(second * S))
    numbers = [Report(number, 50).encode() for number in (101, 102, 103)]
    assert list(dict.fromkeys(sent)) == [FEATURES + number for number in numbers]


def asked(host=None, realm="example.com"):
    return OwnRequest(258, 4, realm, b"", host)


def test_what_is_remembered_is_bounded():
    abatement = Abatement()
    told = answer(Report(1, 100).encode())
    full = [abatement.learn(asked(f"{n}.x"), f"{n}.x", told, 0) for n in range(OVERLOAD_REPORTS_MAX + 1)]
    assert full == [False] * OVERLOAD_REPORTS_MAX + [True]
    assert len(abatement) == OVERLOAD_REPORTS_MAX
    assert not abatement.holds_back(asked("0.x"), 0)
    assert abatement.holds_back(asked("1.X"), 0)
    assert not abatement.holds_back(asked("1.x"), OVERLOAD_VALIDITY_S * S)
    assert len(abatement) == OVERLOAD_REPORTS_MAX - 1


def test_what_is_owed_goes_over_to_the_next_report():
    """Reports that change often would let everything through otherwise."""
    abatement = Abatement()
    held = 0
    for number in range(1, 101):
        abatement.learn(asked("a"), "a", answer(Report(number, 40).encode()), 0)
        held += abatement.holds_back(asked("a"), 0)
    assert held == 40
