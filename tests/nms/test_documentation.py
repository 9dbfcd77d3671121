"""The manual and the alerts speak of metrics that exist, and the manual of all of them."""

import re
from pathlib import Path

import yaml

from ocs.nms.metrics import Metrics

ROOT = Path(__file__).parent.parent.parent
MANUAL = (ROOT / "docs" / "operations.md").read_text()
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}


def names() -> set[str]:
    families = Metrics().registry.collect()
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def test_the_manual_names_every_metric_and_no_other():
    section = MANUAL.partition("## Metrics")[2].partition("## What to do when")[0]
    assert set(re.findall(r"`(ocs_\w+)`", section)) == names()


def test_alerts_look_at_metrics_that_exist():
    for rule in [rule for group in RULES["groups"] for rule in group["rules"]]:
        for name in re.findall(r"(?<![:\w])ocs_\w+", rule["expr"]):
            assert re.sub(r"_bucket$", "", name) in names(), name
        for name in re.findall(r"\w+:\w+:\w+", rule["expr"]):
            assert name in RECORDED, name


def test_every_alert_has_a_section_of_the_manual():
    headings = {f"docs/operations.md#{heading.lower()}" for heading in re.findall(r"^### (\w+)$", MANUAL, re.MULTILINE)}
    for alert in ALERTS:
        assert alert["annotations"]["runbook_url"] in headings
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"]["summary"].endswith(".")
