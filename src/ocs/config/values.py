"""Parsers of the texts in a configuration that are not plain quantities: ids, numbers, names of hosts, networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from ocs import units
from ocs.charging.circumstances import RATS
from ocs.config.diagnostics import did_you_mean, one_of
from ocs.config.schema import Text
from ocs.rating.units import NS_PER_S
from ocs.units import MalformedError

_NS_PER_MS: Final = 1_000_000

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_ACCOUNT_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}"
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*"


def matching(pattern: str, noun: str, expected: str, types: tuple[str, ...] = ("string",)) -> Text[str]:
    """A text that fits a pattern as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise MalformedError(f'"{text}" is not {noun}', expected)
        return text

    return Text(parse, expected, f"^(?:{pattern})$", types)


def integer(low: int, high: int) -> Text[int]:
    """A whole number within limits, both included; negative ones where `low` is."""
    expected = f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text) is None:
            raise MalformedError(f'"{text}" is not a whole number', expected)
        if not low <= int(text) <= high:
            raise MalformedError(f"{text} is out of range", expected)
        return int(text)

    return Text(parse, expected, types=("integer", "string"))


def seconds(low: int, high: int) -> Text[int]:
    """A duration of whole seconds within limits, both included."""

    def parse(text: str) -> int:
        whole, rest = divmod(units.parse_duration(text), NS_PER_S)
        if rest or not low <= whole <= high:
            limits = f"{units.format_duration_ns(low * NS_PER_S)} to {units.format_duration_ns(high * NS_PER_S)}"
            raise MalformedError(f'"{text}" is out of range', f"whole seconds, {limits}")
        return whole

    return Text(parse, units.DURATION_EXPECTED)


def milliseconds(low: int, high: int) -> Text[int]:
    """A duration of whole milliseconds within limits, both included."""

    def parse(text: str) -> int:
        whole, rest = divmod(units.parse_duration(text), _NS_PER_MS)
        if rest or not low <= whole <= high:
            limits = f"{units.format_duration_ns(low * _NS_PER_MS)} to {units.format_duration_ns(high * _NS_PER_MS)}"
            raise MalformedError(f'"{text}" is out of range', f"whole milliseconds, {limits}")
        return whole

    return Text(parse, units.DURATION_EXPECTED)


def _prefix(text: str) -> str:
    if re.fullmatch(r"[0-9]{1,15}", text):
        return text
    digits = re.sub(r"[^0-9]", "", text)
    hint = f"write {digits}" if text.startswith("+") and digits else ""
    raise MalformedError(f'"{text}" is not a prefix', "1 to 15 digits, country code first", hint)


def _digits(noun: str, low: int, high: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if re.fullmatch(rf"[0-9]{{{low},{high}}}", text) is None:
            raise MalformedError(f'"{text}" is not {noun}', f"{low} to {high} digits")
        return text

    return parse


def _msisdn(text: str) -> str:
    return _digits("an MSISDN", 5, 15)(text.removeprefix("+"))


def _user_at_host(text: str, noun: str, expected: str) -> str:
    user, at, host = text.rpartition("@")
    if not (user and at and re.fullmatch(_NAME, host)) or re.search(r"\s", user):
        raise MalformedError(f'"{text}" is not {noun}', expected)
    return f"{user}@{host.lower()}"


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        hint = ""
    with suppress(ValueError):
        hint = f"did you mean {ip_network(text, strict=False)}?"
    raise MalformedError(f'"{text}" is not a network', "an address with prefix length such as 10.0.0.0/8", hint)


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if re.fullmatch(_NAME, text) is None or re.fullmatch(r"[0-9.]+", text):
        raise MalformedError(f'"{text}" is not an address', "an IPv4 or IPv6 address, or a name")
    return text


def _bind(text: str) -> tuple[str, int]:
    expected = "address and port such as 127.0.0.1:2080 or [::1]:2080"
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535 or (":" in host and not bracketed):
        raise MalformedError(f'"{text}" is not address and port', expected)
    return _host(host[1:-1] if bracketed else host), int(port)


def _host_pattern(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.*-]+", text) is None:
        raise MalformedError(f'"{text}" is not a pattern of host names')
    return text.lower()


def _context(text: str) -> str:
    if "@" in text:
        number = text.partition("@")[0].rpartition(".")[2]
        raise MalformedError(
            f'"{text}" is more than the number', "the document number alone", f"did you mean {number}?"
        )
    if re.fullmatch(r"[0-9A-Za-z-]+", text) is None:
        raise MalformedError(f'"{text}" is not the number of a document')
    return text


_STORE = r"sqlite:.+|postgres(ql)?://[^/\s]*/[^/\s]+|memory:"


def _store(text: str) -> str:
    if re.fullmatch(_STORE, text) is None:
        raise MalformedError(f'"{text}" names no store')
    return text


def _subject(text: str) -> str:
    if re.fullmatch(rf"(?:{_ID}:)?{_ID}", text, re.ASCII) is None:
        raise MalformedError(f'"{text}" is not an id')
    return text


def _path(text: str) -> str:
    if text.startswith("/") or "\\" in text or not text.strip() or text.endswith("/"):
        raise MalformedError(f'"{text}" is not a path', "a path below the folder of this file, such as rates/intl.csv")
    return text


def _or_any(parse: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: text if text == "*any" else parse(text)


def _subject_or_any(text: str) -> str:
    tenant, colon, subject = text.rpartition(":")
    if subject == "*any":
        return ID.parse(tenant) + colon + subject if colon else text
    return _subject(text)


def _rating_group(text: str) -> str:
    if text != "*any" and (re.fullmatch(r"0|[1-9][0-9]{0,9}", text) is None or int(text) >= 2**32):
        raise MalformedError(f'"{text}" is not a rating group')
    return text


def _furnish(text: str) -> bytes:
    if not text.lower().startswith("0x"):
        octets = text.encode()
    elif re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text[2:]):
        octets = bytes.fromhex(text[2:])
    else:
        raise MalformedError(f'"{text}" is not hexadecimal', "0x and an even number of hexadecimal digits")
    if len(octets) > FURNISH_OCTETS_MAX:
        raise MalformedError(f"it is {len(octets)} octets long", f"at most {FURNISH_OCTETS_MAX} octets")
    return octets


def _filter_rule(text: str) -> str:
    if re.fullmatch(r"(?:permit|deny) (?:in|out) \S+ from \S.* to \S.*", text) is None or not text.isascii():
        raise MalformedError(f'"{text}" is not a rule')
    return text


FURNISH_OCTETS_MAX: Final = 160
"""PS-Free-Format-Data has as many (TS 32.299)."""

ID = matching(_ID, "an id", "letters, digits, and - _ . inside, at most 64", ("string", "integer"))
ACCOUNT_ID = matching(_ACCOUNT_ID, "an account id", "letters, digits, and - _ . @ inside, at most 128")
SUBJECT = Text(_subject, "an id, or TENANT:ID", rf"^({_ID}:)?{_ID}$", ("string", "integer"))
SUBJECT_OR_ANY = Text(_subject_or_any, 'an id, TENANT:ID, or "*any"', rf"^({_ID}:)?({_ID}|\*any)$")
SERVICE_OR_ANY = Text(_or_any(ID.parse), 'a service of server.yaml, or "*any"', rf"^({_ID}|\*any)$")
PATH = Text(_path, "a path such as rates/intl.csv")
RATING_GROUP = Text(
    _rating_group,
    'a number such as 100, or "*any"',
    r"^(\*any|[0-9]+)$",
)
FQDN = matching(_NAME, "a host name", "a name such as ocs.example.com")
REALM = matching(_NAME, "a realm", "a name such as example.com")
HOST = Text(_host, "an IPv4 or IPv6 address, or a name")
HOST_PATTERN = Text(_host_pattern, 'a name, "*" for any run of characters, such as "*.pgw.example.com"')
NETWORK = Text(_network, "a network such as 10.0.0.0/8")
BIND = Text(_bind, "address and port such as 127.0.0.1:2080")
STORE = Text(_store, "sqlite:PATH, postgresql://USER@HOST/DATABASE or memory:", f"^({_STORE})$")
CONTEXT = Text(_context, "the number of a document such as 32251", "^[0-9A-Za-z-]+$", ("string", "integer"))
CURRENCY = matching(r"[A-Z]{3}", "a currency", "an ISO 4217 code such as AUD")
PREFIX = Text(_prefix, "1 to 15 digits, country code first", "^[0-9]{1,15}$", ("string", "integer"))
EMERGENCY = Text(_digits("an emergency number", 2, 15), "2 to 15 digits", "^[0-9]{2,15}$", ("string", "integer"))
DIALLED = Text(_digits("a dialling prefix", 0, 5), "at most 5 digits", "^[0-9]{0,5}$", ("string", "integer"))
COUNTRY_CODE = Text(_digits("a country code", 0, 4), "at most 4 digits", "^[0-9]{0,4}$", ("string", "integer"))
MSISDN = Text(_msisdn, "5 to 15 digits, country code first", r"^\+?[0-9]{5,15}$", ("string", "integer"))
IMSI = Text(_digits("an IMSI", 6, 15), "6 to 15 digits", "^[0-9]{6,15}$", ("string", "integer"))
SIP = Text(
    lambda text: _user_at_host(text.removeprefix("sip:"), "a SIP identity", "user@host"), "user@host such as a@b.org"
)
NAI = Text(lambda text: _user_at_host(text, "a network access identifier", "user@realm"), "user@realm")
PRIVATE = matching(r"\S{1,128}", "a private identity", "1 to 128 characters without blanks")
MONEY = Text(units.parse_money, units.MONEY_EXPECTED)
PRICE = Text(units.parse_price, units.PRICE_EXPECTED)
QUANTITY = Text(units.parse_quantity, units.QUANTITY_EXPECTED, types=("string", "integer"))
TIME = Text(units.parse_rfc3339, units.TIME_EXPECTED)


def _rat(text: str) -> str:
    if text in RATS.values() or (text.isascii() and text.isdigit() and int(text) < 256 and text not in RATS):
        return text
    hint = f"write {RATS[text]}" if text in RATS else did_you_mean(text, RATS.values())
    raise MalformedError(f'"{text}" is no access technology', hint=hint)


RAT = Text(_rat, f"{one_of(sorted(set(RATS.values())))}, or another number of 3GPP-RAT-Type")
PLMN = matching(r"[0-9]{5,6}|[0-9]{1,5}\*", "a network", "MCC and MNC such as 26201, or 262*", ("string", "integer"))
HOME_NETWORK = matching(r"[0-9]{5,6}", "a network", "MCC and MNC such as 26201", ("string", "integer"))
APN = matching(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:\.?\*)?", "an access point", "lower case, such as internet, or iot.*")
QCI = matching(r"[1-9][0-9]{0,2}", "a QoS class", "a number such as 9", ("string", "integer"))
NUMBER = matching(r"0|[1-9][0-9]{0,8}", "a rating group", "a number such as 100", ("string", "integer"))
FURNISH = Text(_furnish, "a text, or 0x and hexadecimal digits")
FILTER_RULE = Text(_filter_rule, "a rule such as permit out ip from 192.0.2.0/24 to any")
TEXT_KEY = Text(str, "a text", types=("string", "integer"))
ANY_TEXT = Text(str, "a text", types=("string", "integer"))
