"""The keys of a service beyond grants: quotas, answers, final units, and how requests are read."""

from pathlib import Path

import pytest

from ocs.charging.policy import Answers, QuotaTerms, ServicePolicy, TimeMechanism
from ocs.charging.requests import FinalAction, FinalUnit
from ocs.rating.units import NS_PER_S
from tests.config.folder import edited, lines, loaded, sound

DATA = "    grant: {slice: 10 MiB, minimum: 64 KiB, maximum: 100 MiB, contended_slice: 1 MiB}\n"
VOICE = "    final_unit: {action: terminate}\n"
SMS = "    grant: {slice: 1, minimum: 1, maximum: 100, contended_slice: 1}\n"


def services(folder: Path, old: str, more: str) -> dict[str, ServicePolicy]:
    return dict(sound(folder, edited("server.yaml", old, old + more)).services)


@pytest.mark.conformance("C4", "C5", "C6", "C7", "C11", "C14")
def test_terms_of_quotas(tmp_path: Path) -> None:
    more = """\
    quota: {threshold: 20s, holding_time: 0s, consumption_time: 5s, time_mechanism: {type: discrete, interval: 1 min}}
    rating_groups:
      200: {triggers: [rat, location], furnish: 0x00ff, furnish_append: true, pool: 7}
      300: {triggers: [], unused_timer: 5 min, threshold: 10s, furnish: gold}
"""
    policy = services(tmp_path, VOICE, more)["voice"]
    common = {
        "holding_time_s": 0,
        "consumption_time_s": 5,
        "time_mechanism": TimeMechanism.DISCRETE,
        "time_interval_s": 60,
    }
    assert policy.quota == QuotaTerms(threshold=20 * NS_PER_S, **common)
    assert policy.quota_of == {
        200: QuotaTerms(20 * NS_PER_S, triggers=(4, 3), furnish=b"\0\xff", furnish_append=True, pool=7, **common),
        300: QuotaTerms(10 * NS_PER_S, triggers=(), furnish=b"gold", unused_timer_s=300, **common),
    }


@pytest.mark.conformance("B34", "C12", "C13", "C14")
def test_what_answers_tell(tmp_path: Path) -> None:
    more = (
        "    answers: {cost: true, advice_of_charge: true, balance: true, low_balance: 5 AUD, account_expiry: true}\n"
    )
    assert services(tmp_path, DATA, more)["data"].answers == Answers(
        cost=True, advice_of_charge=True, balance=True, low_balance_nanos=5 * 10**9, account_expiry=True
    )
    assert services(tmp_path, DATA, "    answers: {refund_information: false}\n")["data"].answers == Answers(
        refund_information=False
    )


@pytest.mark.conformance("B26")
def test_final_units(tmp_path: Path) -> None:
    rules = "    final_unit: {action: restrict, filter_rules: permit out ip from any to 192.0.2.1, announcement: 3}\n"
    assert services(tmp_path, DATA, rules)["data"].final_unit == FinalUnit(
        FinalAction.RESTRICT_ACCESS, filter_rules=("permit out ip from any to 192.0.2.1",), announcement=3
    )
    redirect = "    final_unit: {action: redirect, redirect_to: 192.0.2.9, extended: true}\n"
    assert services(tmp_path, DATA, redirect)["data"].final_unit == FinalUnit(
        FinalAction.REDIRECT, "192.0.2.9", extended=True
    )


@pytest.mark.conformance("C21", "C24", "C28", "C29")
def test_how_requests_are_read(tmp_path: Path) -> None:
    more = """\
  message:
    kind: sms
    contexts: 32260
    only: {sip_method: [MESSAGE, PUBLISH]}
    rating_group_from: {media: {video: 2, audio: 1}, role_of_node: {1: 3}}
    called_from: requested_party
    count_from: service_parameter_7
    terminating: rated
    grant: {slice: 1, minimum: 1, maximum: 100, contended_slice: 1}
"""
    files = edited("server.yaml", SMS, SMS + more)
    files["tariffs/a.yaml"] = files["tariffs/a.yaml"] + '    message: {"*any": {price: 0.10 AUD}}\n'
    policy = sound(tmp_path, files).services["message"]
    assert policy.only == (("sip_method", ("MESSAGE", "PUBLISH")),)
    assert policy.rating_group_from == (("media", "video", 2), ("media", "audio", 1), ("role_of_node", "1", 3))
    assert (policy.called_from, policy.count_from, policy.terminating_rated) == (
        ("requested_party",),
        "service_parameter_7",
        True,
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "    quota: {threshold: 20s}\n",
            "quota.threshold: the service counts octets, expected a volume such as 10 MiB",
        ),
        ("    quota: {threshold: 0 B}\n", "quota.threshold: the threshold cannot be told, expected an amount above 0"),
        (
            "    quota: {threshold: 10 MiB}\n",
            "quota.threshold: warning: the threshold is no less than the slice 10 MiB: mostly it is not told",
        ),
        ("    quota: {furnish: 0x123}\n", 'quota.furnish: "0x123" is not hexadecimal'),
        ("    quota: {furnish_append: true}\n", "quota.furnish_append: there is nothing that furnish_append could"),
        ("    quota: {triggers: [ratt]}\n", 'quota.triggers[0]: "ratt" is not known here'),
        ("    quota: {time_mechanism: {type: discrete}}\n", 'quota.time_mechanism: "interval" is missing'),
        ("    rating_groups: {x: {pool: 1}}\n", 'rating_groups.x: "x" is not a rating group'),
        ("    answers: {low_balance: 5 EUR}\n", "answers.low_balance: the amount is in EUR, expected AUD"),
        ("    answers: {low_balance: 0 AUD}\n", "answers.low_balance: no balance is lower"),
        ("    only: {sip_metod: X}\n", 'only.sip_metod: requests have no attribute "sip_metod"'),
        ("    called_from: aps\n", 'called_from: requests have no attribute "aps"'),
        ("    count_from: count\n", 'count_from: requests have no attribute "count"'),
        (
            "    final_unit: {action: restrict}\n",
            'final_unit: "filter_ids" is missing, expected filter_ids or filter_rules, as the action needs it',
        ),
        (
            "    final_unit: {action: restrict, filter_rules: all}\n",
            'final_unit.filter_rules: "all" is not a rule, expected a rule such as permit out ip from',
        ),
        ("    final_unit: {action: terminate, extended: true}\n", "final_unit.extended: extended has no meaning with"),
        (
            "    final_unit: {action: restrict, filter_rules: permit in ip from any to any, extended: true}\n",
            "final_unit.filter_rules: an extended indication has no filter_rules",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, more: str, said: str) -> None:
    _, found = loaded(tmp_path, edited("server.yaml", DATA, DATA + more))
    printed = lines(tmp_path, found)
    assert len(printed) == 1, printed
    assert f"services.data.{said}" in printed[0], printed
    assert printed[0].startswith("server.yaml:12:")
