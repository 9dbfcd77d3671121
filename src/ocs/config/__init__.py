"""Configuration: YAML to typed, frozen settings, with every problem named by file, line and column."""

from ocs.config.diagnostics import Diagnostic, Severity
from ocs.config.load import json_schema, load

__all__ = ["Diagnostic", "Severity", "json_schema", "load"]
