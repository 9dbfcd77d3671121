"""The tables of keys describe themselves: as JSON schema, and in the manual."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ocs.config import json_schema
from tests.config.folder import RICH, SAMPLE, SERVER, SUBSCRIBERS, lines, loaded, sound

MANUAL = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
FILES = {"server": "server.yaml", "tariff": "tariffs/standard.yaml", "subscribers": "subscribers.yaml"}


class TextTimes(yaml.SafeLoader):
    """Reads points in time as texts, as YAML 1.2 does."""


TextTimes.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that describes a mapping."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    if isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def misfits(schema: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """What of JSON schema the tables use, applied to a value."""
    if "anyOf" in schema:
        found = [misfits(each, value, path) for each in schema["anyOf"]]
        return [] if [] in found else found[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{path}: {value}"]
    names = {dict: "object", list: "array", bool: "boolean", str: "string", int: "integer", float: "number"}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if names[type(value)] not in types:
        return [f"{path}: {names[type(value)]}"]
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{path}: {value}"]
    if isinstance(value, list):
        return [
            wrong for index, item in enumerate(value) for wrong in misfits(schema["items"], item, f"{path}[{index}]")
        ]
    if not isinstance(value, dict):
        return []
    wrong = [f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    for key, item in value.items():
        inner = schema.get("properties", {}).get(str(key), schema["additionalProperties"])
        wrong += [f"{path}: {key}"] if inner is False else misfits(inner, item, f"{path}.{key}")
    return wrong


@pytest.mark.parametrize("name", FILES)
def test_the_sample_fits_the_json_schema(name):
    schema = json.loads(json.dumps(json_schema(name)))
    sample = yaml.safe_load((SAMPLE / FILES[name]).read_text())
    assert misfits(schema, sample) == []


@pytest.mark.parametrize("name", ["tariffs/a.yaml", "tariffs/b.yaml", "subscribers.yaml"])
def test_every_key_fits_the_json_schema(name, tmp_path):
    settings, found = loaded(tmp_path, RICH)
    assert settings is not None, lines(tmp_path, found)
    schema = json_schema("subscribers" if "sub" in name else "tariff")
    assert misfits(schema, yaml.load(RICH[name], Loader=TextTimes)) == []


def test_the_rich_example_has_every_key(tmp_path):
    written = set(re.findall(r"[\w-]+(?=:)", "".join(RICH.values())))
    keys = {
        key
        for name in ("tariff", "subscribers")
        for each in objects(json_schema(name))
        for key in each.get("properties", ())
    }
    tests = {
        key for each in objects(json_schema("tariff")["properties"]["tests"]) for key in each.get("properties", ())
    }
    assert keys - written - tests - {"imsi", "sip", "nai", "private", "status", "expires_at", "blocker"} == set()


def test_the_json_schema_refuses_what_does_not_fit():
    sample = yaml.safe_load((SAMPLE / "server.yaml").read_text())
    sample["identty"] = sample.pop("identity")
    sample["services"]["sms"]["kind"] = "smss"
    sample["listeners"][0]["port"] = [3868]
    assert sorted(misfits(json_schema("server"), sample)) == [
        ".listeners[0].port: array",
        ".services.sms.kind: smss",
        ": identity is missing",
        ": identty",
    ]


@pytest.mark.parametrize("name", FILES)
def test_the_manual_names_every_key_and_word(name):
    written = set(re.findall(r"`+([^`\n]+)`", MANUAL)) | set(
        re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`\n]+)`", MANUAL)))
    )
    keys = {key for each in objects(json_schema(name)) for key in each.get("properties", ())}
    assert keys - written == set()


def test_the_tariff_of_the_manual_loads(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    subscribers = SUBSCRIBERS.replace("50.00 AUD", "1 AUD")
    settings = sound(tmp_path, {"server.yaml": SERVER, "tariffs/a.yaml": text, "subscribers.yaml": subscribers})
    assert set(settings.tariff.plans) == {"standard"}


def test_the_manual_shows_a_problem_as_it_is_printed(tmp_path):
    shown = re.findall(r"```\nconfig/(tariffs.*?)```", MANUAL, re.DOTALL)
    old = "price: 0.22 AUD/min"
    files = {str(path.relative_to(SAMPLE)): path.read_text() for path in SAMPLE.rglob("*.yaml")}
    files["tariffs/standard.yaml"] = files["tariffs/standard.yaml"].replace(old, "price: 0.22")
    _, found = loaded(tmp_path, files)
    assert lines(tmp_path, found) == [" ".join(each.split()) for each in shown]


def test_unknown_files_have_no_schema():
    with pytest.raises(KeyError):
        json_schema("passwords")
