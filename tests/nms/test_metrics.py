import re
from enum import Enum

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ocs.diameter.observer import Observer
from ocs.limits import LIMITS
from ocs.nms import labels
from ocs.nms.metrics import Metrics

# What operators build dashboards and alerts on, with the names of their labels.
PROMISED = {
    "ocs_build_info": {"version", "revision"},
    "ocs_config_last_reload_success_timestamp_seconds": set(),
    "ocs_config_hash_info": {"tariff_version"},
    "ocs_diameter_peer_state": {"peer", "state"},
    "ocs_diameter_messages_total": {"peer", "direction", "command", "application"},
    "ocs_diameter_requests_total": {"application", "command", "request_type", "result_code"},
    "ocs_diameter_request_duration_seconds": {"application"},
    "ocs_diameter_retransmissions_total": {"peer"},
    "ocs_diameter_watchdog_rtt_seconds": {"peer"},
    "ocs_diameter_inflight_requests": set(),
    "ocs_sessions_active": {"service"},
    "ocs_sessions_expired_total": {"reason"},
    "ocs_sessions_ended_total": {"reason"},
    "ocs_diameter_own_requests_total": {"command", "result"},
    "ocs_quota_granted_total": {"service", "unit"},
    "ocs_quota_used_total": {"service", "unit"},
    "ocs_quota_denied_total": {"service", "reason"},
    "ocs_rating_failures_total": {"reason"},
    "ocs_balance_commands_total": {"kind", "outcome"},
    "ocs_balance_batch_size": set(),
    "ocs_balance_commit_duration_seconds": set(),
    "ocs_cdr_written_total": {"sink"},
    "ocs_limit_hits_total": {"limit"},
    "ocs_overload_refused_total": {"kind", "priority"},
    "ocs_overload_delay_seconds": set(),
    "ocs_overload_reduction_percent": set(),
    "ocs_repeats_total": set(),
    "ocs_number_gaps_total": set(),
    "ocs_late_usage_total": {"service"},
    "ocs_overrun_total": {"service", "unit"},
    "ocs_unmatched_connections_closed_total": {"reason"},
    "ocs_event_loop_lag_seconds": set(),
    "ocs_revenue_total": {"currency", "service"},
    "ocs_ledger_imbalance": set(),
    "ocs_ledger_verified_accounts": set(),
    "ocs_ledger_verified_timestamp_seconds": set(),
}


class State(Enum):
    CLOSED = 0
    OPEN = 1


@pytest.fixture
def metrics():
    made = Metrics()
    made.charging.services({"data": "octets", "voice": "ns"}, "AUD")
    return made


def touched(metrics: Metrics) -> Metrics:
    """Every metric that has children only after something happened."""
    metrics.build_info("1", "abc")
    metrics.config_loaded("t1", 7.0)
    metrics.diameter.peer_state("pgw.example.com", State.OPEN)
    metrics.diameter.message("pgw.example.com", "in", 272, 4)
    return metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = metrics.render().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **with_labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, with_labels)


@pytest.mark.conformance("J2")
def test_every_promised_metric_is_there_with_its_labels(metrics):
    found: dict[str, set[str]] = {}
    for name, given in samples(touched(metrics)):
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        found.setdefault(base, set()).update({label for label, _ in given} - {"le"})
    assert {name: found.get(name) for name in PROMISED} == PROMISED


def test_names_follow_the_conventions(metrics):
    for family in metrics.registry.collect():
        assert family.name.startswith("ocs_"), family.name
        assert not re.search(r"(millis|_ms|_ns|_nanos|minutes)$", family.name), family.name
        assert family.documentation.endswith("."), family.name


@pytest.mark.conformance("J4")
def test_no_label_could_hold_a_subscriber_or_a_session(metrics):
    forbidden = {"subscriber", "session", "session_id", "msisdn", "imsi", "account", "account_id", "called"}
    used = {label for _, given in samples(touched(metrics)) for label, _ in given}
    assert used & forbidden == set()


def test_what_can_be_known_before_it_counts_stands_at_0(metrics):
    zero = [
        ("ocs_diameter_requests_total", {"request_type": kind, "result_code": code})
        for kind in ("initial", "update", "termination", "event")
        for code in ("2001", "3004", "4012", "5030", "5031", "other")
    ]
    for name, given in zero:
        assert value(metrics, name, application="credit_control", command="CC", **given) == 0
    for limit in LIMITS:
        assert value(metrics, "ocs_limit_hits_total", limit=limit) == 0
    for reason in labels.DENIALS:
        assert value(metrics, "ocs_quota_denied_total", service="voice", reason=reason) == 0
    assert value(metrics, "ocs_quota_granted_total", service="voice", unit="seconds") == 0
    assert value(metrics, "ocs_quota_used_total", service="data", unit="octets") == 0
    assert value(metrics, "ocs_revenue_total", currency="AUD", service="data") == 0
    assert value(metrics, "ocs_sessions_active", service="data") == 0
    assert value(metrics, "ocs_cdr_written_total", sink="store") == 0
    assert value(metrics, "ocs_balance_commands_total", kind="charge", outcome="conflict") == 0
    assert value(metrics, "ocs_diameter_own_requests_total", command="RA", result="no_peer") == 0


def test_what_came_of_requests_of_our_own_is_a_known_set_and_other(metrics):
    for command, result in ((258, "2002"), (274, "no_answer"), (274, "4999"), (258, "gone")):
        metrics.diameter.own_request(command, result)
    counted = {
        (command, result): value(metrics, "ocs_diameter_own_requests_total", command=command, result=result)
        for command in ("RA", "AS")
        for result in ("2002", "no_answer", "other")
    }
    assert counted == {
        **dict.fromkeys([("RA", "2002"), ("AS", "no_answer"), ("RA", "other"), ("AS", "other")], 1),
        **dict.fromkeys([("RA", "no_answer"), ("AS", "2002")], 0),
    }
    metrics.charging.session_ended("aborted")
    metrics.charging.session_ended("who knows")
    ended = [value(metrics, "ocs_sessions_ended_total", reason=reason) for reason in ("aborted", "other")]
    assert ended == [1, 1]


def test_result_codes_are_a_known_set_and_other(metrics):
    for code in (2001, 5030, 4999, 123_456, -1):
        metrics.diameter.request(4, 272, 1, code)
    given = {"application": "credit_control", "command": "CC", "request_type": "initial"}
    assert value(metrics, "ocs_diameter_requests_total", **given, result_code="2001") == 1
    assert value(metrics, "ocs_diameter_requests_total", **given, result_code="5030") == 1
    assert value(metrics, "ocs_diameter_requests_total", **given, result_code="other") == 3


@pytest.mark.conformance("J4")
def test_what_peers_and_clients_choose_makes_no_new_children(metrics):
    before = len(samples(touched(metrics)))
    for number in range(1_000):
        metrics.diameter.message("pgw.example.com", "in", 10_000 + number, number + 5)
        metrics.diameter.request(number + 5, 10_000 + number, number + 5, number)
        metrics.diameter.closed("", f"reason {number}")
        metrics.diameter.dropped("", f"reason {number}")
        metrics.diameter.limit(f"limit {number}")
        metrics.charging.denied(f"service {number}", f"reason {number}")
        metrics.charging.granted(f"service {number}", "octets", 1)
        metrics.charging.revenue("AUD", f"service {number}", 1)
    # "other" beside what was there, a handful of children in all.
    assert len(samples(metrics)) - before < 20


def test_peers_beyond_the_bound_share_a_label(metrics):
    for number in range(labels.PEER_LABELS_MAX + 50):
        metrics.diameter.message(f"peer{number}.example.com", "in", 272, 4)
        metrics.diameter.peer_state(f"peer{number}.example.com", State.OPEN)
    peers = {dict(given)["peer"] for name, given in samples(metrics) if name == "ocs_diameter_messages_total"}
    assert len(peers) == labels.PEER_LABELS_MAX + 1
    given = {"direction": "in", "command": "CC", "application": "credit_control"}
    assert value(metrics, "ocs_diameter_messages_total", peer="other", **given) == 50


def test_a_peer_is_in_one_state(metrics):
    metrics.diameter.peer_state("p", State.CLOSED)
    metrics.diameter.peer_state("p", State.OPEN)
    states = {state: value(metrics, "ocs_diameter_peer_state", peer="p", state=state) for state in ("open", "closed")}
    assert states == {"open": 1, "closed": 0}


def test_amounts_come_out_in_base_units(metrics):
    metrics.charging.used("voice", "ns", 90_500_000_000)
    metrics.charging.granted("data", "octets", 308_400)
    metrics.charging.revenue("AUD", "data", 2_949_219)
    metrics.charging.revenue("AUD", "data", 0)
    assert value(metrics, "ocs_quota_used_total", service="voice", unit="seconds") == 90.5
    assert value(metrics, "ocs_quota_granted_total", service="data", unit="octets") == 308_400
    assert value(metrics, "ocs_revenue_total", currency="AUD", service="data") == pytest.approx(0.002949219)


def test_a_missing_rate_is_a_rating_failure_and_missing_credit_is_not(metrics):
    metrics.charging.denied("voice", "no_rate")
    metrics.charging.denied("voice", "no_credit")
    assert value(metrics, "ocs_rating_failures_total", reason="no_rate") == 1
    assert sum(v for (name, _), v in samples(metrics).items() if name == "ocs_rating_failures_total") == 1


def test_a_connection_without_a_peer_is_counted_apart(metrics):
    metrics.diameter.closed("", "no_cer")
    metrics.diameter.closed("pgw.example.com", "watchdog")
    assert value(metrics, "ocs_unmatched_connections_closed_total", reason="no_cer") == 1
    assert value(metrics, "ocs_diameter_connections_closed_total", reason="watchdog") == 1


def test_an_overload(metrics):
    assert value(metrics, "ocs_overload_refused_total", kind="update", priority="15") == 0
    metrics.diameter.shed("new", 10)
    metrics.diameter.overload(0.25, 40)
    assert value(metrics, "ocs_overload_refused_total", kind="new", priority="10") == 1
    assert value(metrics, "ocs_overload_delay_seconds") == 0.25
    assert value(metrics, "ocs_overload_reduction_percent") == 40


def test_a_new_tariff_replaces_the_old_one(metrics):
    metrics.config_loaded("t1", 7.0)
    metrics.config_loaded("t2", 8.0)
    metrics.config_refused()
    assert value(metrics, "ocs_config_hash_info", tariff_version="t1") is None
    assert value(metrics, "ocs_config_hash_info", tariff_version="t2") == 1
    assert value(metrics, "ocs_config_last_reload_success_timestamp_seconds") == 8
    assert value(metrics, "ocs_config_last_reload_successful") == 0


def test_the_node_can_tell_all_that_it_tells(metrics):
    told = [name for name in vars(Observer) if not name.startswith("_")]
    assert [name for name in told if not callable(getattr(metrics.diameter, name, None))] == []


def test_how_long_our_certificate_is_valid(metrics, monkeypatch):
    assert metrics.registry.get_sample_value("ocs_tls_certificate_expires_in_seconds") == float("inf")
    metrics.diameter.certificate(1_000)
    monkeypatch.setattr("ocs.nms.diameter_metrics.time.time", lambda: 900.0)
    assert metrics.registry.get_sample_value("ocs_tls_certificate_expires_in_seconds") == 100
