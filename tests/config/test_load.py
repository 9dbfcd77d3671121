"""A folder is read as a whole: all problems in one run, files joined to one tariff, its version a digest of meaning."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from ocs.balances.account import Balance, Status
from ocs.charging.policy import DirectDebitingFailureHandling, FailureHandling, GrantPolicy, ServicePolicy
from ocs.charging.requests import FinalAction, FinalUnit, UnknownSession
from ocs.config import Severity, load
from ocs.config.settings import Connect, Listener, PeerRule, Refusals, Subscriber, Tls, Transport
from ocs.rating.numbers import Numbering
from ocs.rating.prices import Rate, price
from ocs.rating.tariff import Found, find_rate
from ocs.rating.units import NS_PER_S, Kind, Measure
from tests.config.folder import FILES, SERVER, SUBSCRIBERS, TARIFF, edited, lines, loaded, sound, write


def rate_of(settings, plan, service, number="", rating_group=None):
    found = find_rate(settings.tariff, plan, service, rating_group, number)
    assert isinstance(found, Found)
    return found.rate


# --- values ----------------------------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_settings(tmp_path):
    settings = sound(tmp_path)
    assert settings.peers == (PeerRule("*.pgw.example.com", (ip_network("10.0.0.0/8"),)),)
    grant = GrantPolicy(10 * 2**20, 64 * 2**10, 100 * 2**20, 2**20)
    assert settings.services["data"] == ServicePolicy("data", Kind.DATA, ("32251",), grant)
    assert settings.tariff.numbering == Numbering()
    assert settings.subscription_order == ("msisdn", "imsi", "sip", "nai", "private")


def test_a_store_in_postgresql_has_months(tmp_path):
    settings = sound(tmp_path)
    assert (settings.store_partitions_ahead_months, settings.store_keep_months) == (3, None)
    url = "postgresql://ocs:x@a.example.com:5432,b.example.com/ocs?sslmode=require"
    store = f"url: '{url}', partitions_ahead_months: 6, keep_months: 24"
    settings = sound(tmp_path, edited("server.yaml", 'url: "memory:"', store))
    assert (settings.store_url, settings.store_partitions_ahead_months, settings.store_keep_months) == (url, 6, 24)


def test_months_without_postgresql_are_warned_about(tmp_path):
    settings, found = loaded(tmp_path, edited("server.yaml", 'url: "memory:"', "url: sqlite:x, keep_months: 24"))
    assert settings is not None
    assert [line.partition("store.")[2] for line in lines(tmp_path, found)] == [
        "keep_months: warning: keep_months has no meaning with this store: it keeps everything in one file"
    ]


def test_every_setting_of_the_server_arrives(tmp_path):
    server = SERVER.replace(
        'host: "*.pgw.example.com", from: [10.0.0.0/8], watchdog: 30s',
        'host: PGW.example.com, from: ["::1", 192.0.2.1], watchdog: 1 min, refusals: mscc, strict: true, '
        "connections: 4, grant_without_rsu: true",
    )
    server = server.replace(
        "contended_slice: 1 MiB}",
        "contended_slice: 1 MiB, validity_time: 2h, contended_validity_time: 30s, grace: 0s}\n"
        "    default_rating_group: 7\n"
        "    final_unit: {action: redirect, redirect_to: 'https://portal.example.com'}\n"
        "    idle_limit: 2 d\n"
        "    session_failover: false\n"
        "    failure_handling: retry_and_terminate\n"
        "    direct_debiting_failure_handling: continue\n"
        "    unknown_session: adopt",
    )
    server = server.replace("{action: terminate}", "{action: restrict, filter_ids: [a, b]}")
    server += (
        "subscription_order: [imsi]\n"
        "numbering: {international_prefix: 011, national_prefix: 0, country_code: 49}\n"
        "emergency_grant_validity: 10 min\n"
        "reauthorise_on_tariff_change: true\nreauthorise_per_s: 7\n"
        "overload_delay: 250 ms\n"
    )
    settings = sound(tmp_path, {**FILES, "server.yaml": server.replace("127.0.0.1:2080", '"[::1]:0"')})
    networks = (ip_network("::1"), ip_network("192.0.2.1"))
    assert settings.peers == (PeerRule("pgw.example.com", networks, Refusals.MSCC, True, 4, 60, True),)
    assert settings.services["data"] == ServicePolicy(
        "data",
        Kind.DATA,
        ("32251",),
        GrantPolicy(10 * 2**20, 64 * 2**10, 100 * 2**20, 2**20, 7_200, 30, 0),
        7,
        FinalUnit(FinalAction.REDIRECT, "https://portal.example.com"),
        172_800,
        False,
        FailureHandling.RETRY_AND_TERMINATE,
        DirectDebitingFailureHandling.CONTINUE,
        UnknownSession.ADOPT,
    )
    assert settings.services["voice"].final_unit == FinalUnit(FinalAction.RESTRICT_ACCESS, "", ("a", "b"))
    assert settings.tariff.numbering == Numbering("011", "0", "49")
    assert (settings.http_host, settings.http_port) == ("::1", 0)
    assert (settings.subscription_order, settings.emergency_grant_validity_s) == (("imsi",), 600)
    assert (settings.reauthorise_on_tariff_change, settings.reauthorise_per_s) == (True, 7)
    assert settings.overload_delay_ms == 250


def test_every_option_of_a_rate_arrives(tmp_path):
    written = (
        "{price: 0.22 AUD/min, increment: 30s, connect_fee: 0.10 AUD, fee_per: group, "
        "rounding: {decimals: 2, method: up}}"
    )
    rate = rate_of(
        sound(tmp_path, edited("tariffs/a.yaml", "{price: 0.22 AUD/min, increment: 1s}", written)),
        "standard",
        "voice",
        "6141",
    )
    assert rate == Rate(
        "standard/voice/au-mobile",
        Measure.TIME,
        price_nanos=220_000_000,
        unit_size=60 * NS_PER_S,
        increment=30 * NS_PER_S,
        connect_fee_nanos=100_000_000,
        fee_per_group=True,
        rounding_nanos=10_000_000,
        rounding="up",
    )
    assert price(rate, 1) == 110_000_000
    assert price(rate, 61 * NS_PER_S) == 330_000_000


def test_what_is_free_says_so(tmp_path):
    settings = sound(tmp_path, edited("tariffs/a.yaml", "{connect_fee: 0.20 AUD}", "{free: true}"))
    rate = rate_of(settings, "standard", "voice", "61212345")
    assert rate == Rate("standard/voice/au-fixed", Measure.TIME, free=True)
    assert price(rate, 10**15) == 0


def test_rating_groups_have_prices_of_their_own(tmp_path):
    written = """rating_groups:
        200: {"*any": {price: 0.05 AUD/MiB, increment: 1 KiB}}
        "300": {"*any": {free: true}}
      "*any": {price: 0.01"""
    settings = sound(tmp_path, edited("tariffs/a.yaml", '"*any": {price: 0.01', written))
    prices = {group: price(rate_of(settings, "standard", "data", "", group), 2**20) for group in (None, 100, 200, 300)}
    assert prices == {None: 10_000_000, 100: 10_000_000, 200: 50_000_000, 300: 0}


def test_the_rest_of_the_rating_groups_may_stand_among_them(tmp_path):
    old = '"*any": {price: 0.01 AUD/MiB, increment: 1 KiB}'
    groups = f'rating_groups: {{200: {{"*any": {{free: true}}}}, "*any": {{{old}}}}}'
    settings = sound(tmp_path, edited("tariffs/a.yaml", old, groups))
    assert rate_of(settings, "standard", "data", "", 5).id == "standard/data/*any/*any"
    assert rate_of(settings, "standard", "data", "", 200).price_nanos == 0


def test_free_destinations_are_free_prefixes(tmp_path):
    text = TARIFF.replace("[612, 613]}\n", "[612, 613]}\n  help: {prefixes: [61800, 612999], free: true}\n")
    tariff = sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tariff
    assert tariff.free_prefixes.find("61800123") == ("61800", "help")
    assert tariff.free_prefixes.find("612999") == ("612999", "help")
    assert tariff.free_prefixes.find("61212345") is None
    assert tariff.destinations["help"].free


def test_every_part_of_an_account_arrives(tmp_path):
    text = """\
accounts:
  acme.com:
    msisdn: ["+491700000001", 491700000002]
    imsi: 262010000000001
    sip: sip:Alice@IMS.example.com
    nai: alice@Example.com
    private: A/1
    plan: standard
    status: disabled
    expires_at: 2027-01-01T00:00:00+01:00
    balances:
      a: {kind: monetary, value: 0 AUD, weight: -5, blocker: true, expires_at: 1970-01-01T00:00:01Z}
      b: {kind: voice, value: 1 h 30 min, destinations: "*any"}
      c: {kind: sms, value: 20}
      d: {kind: generic, value: 7}
"""
    (subscriber,) = sound(tmp_path, {**FILES, "subscribers.yaml": text}).subscribers
    assert subscriber == Subscriber(
        "acme.com",
        (
            "msisdn:491700000001",
            "msisdn:491700000002",
            "imsi:262010000000001",
            "sip:Alice@ims.example.com",
            "nai:alice@example.com",
            "private:A/1",
        ),
        "standard",
        Status.DISABLED,
        (
            Balance("a", Kind.MONETARY, 0, weight=-5, expires_at_ns=NS_PER_S, blocker=True),
            Balance("b", Kind.VOICE, 5_400 * NS_PER_S, destinations=("*any",)),
            Balance("c", Kind.SMS, 20),
            Balance("d", Kind.GENERIC, 7),
        ),
        1_798_758_000 * NS_PER_S,
    )


def test_texts_that_yaml_would_change_stay_as_written(tmp_path):
    text = TARIFF.replace("614]", "044, 1e3]").replace("standard:", "NO:").replace("au-fixed", "0x10")
    files = {
        **FILES,
        "tariffs/a.yaml": text.replace("1e3", "1234"),
        "subscribers.yaml": "accounts: {1_000: {plan: NO}}\n",
    }
    settings = sound(tmp_path, files)
    assert settings.tariff.destinations["au-mobile"].prefixes == ("044", "1234")
    assert settings.tariff.destinations["0x10"].prefixes == ("612", "613")
    assert (settings.subscribers[0].id, settings.subscribers[0].plan) == ("1_000", "NO")


def test_anchors_and_aliases_may_be_used(tmp_path):
    text = TARIFF.replace("au-fixed: {connect_fee: 0.20 AUD}", "au-fixed: *mobile")
    text = text.replace("au-mobile: {price", "au-mobile: &mobile {price")
    settings = sound(tmp_path, {**FILES, "tariffs/a.yaml": text})
    assert rate_of(settings, "standard", "voice", "6121").price_nanos == 220_000_000


# --- the version -----------------------------------------------------------------------------------------------------

SAME = {
    "comments and blanks": TARIFF.replace("plans:", "# prices\n\nplans:").replace(
        "{connect_fee: ", "{ connect_fee:   "
    ),
    "order of keys": TARIFF.replace("price: 0.22 AUD/min, increment: 1s", "increment: 1s, price: 0.22 AUD/min"),
    "order of prefixes": TARIFF.replace("[612, 613]", "[613, 612]"),
    "writing of amounts": TARIFF.replace("0.22 AUD/min", "0.220 AUD/60 s").replace("1 KiB", "1024 B"),
    "quotes": TARIFF.replace("[614]", '["614"]'),
    "defaults spelled out": TARIFF.replace("{connect_fee: 0.20 AUD}", "{connect_fee: 0.20 AUD, fee_per: session}"),
}
OTHER = {
    "a price": TARIFF.replace("0.22", "0.23"),
    "an increment": TARIFF.replace("increment: 1s", "increment: 2s"),
    "a fee": TARIFF.replace("0.20", "0.21"),
    "rounding": TARIFF.replace("increment: 1s", "increment: 1s, rounding: {decimals: 9, method: up}"),
    "a prefix": TARIFF.replace("613", "617"),
    "an emergency number": TARIFF.replace("112", "911"),
    "a free destination": TARIFF.replace("destinations:\n", "destinations:\n  help: {prefixes: [61800], free: true}\n"),
    "a plan": TARIFF.replace("plans:\n", "plans:\n  other: {sms: {'*any': {price: 1 AUD}}}\n"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_the_version_stays_while_the_meaning_does(tmp_path, text):
    assert text != TARIFF
    assert sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tariff.version == sound(tmp_path).tariff.version


@pytest.mark.parametrize("text", OTHER.values(), ids=OTHER)
def test_the_version_changes_with_the_meaning(tmp_path, text):
    settings, _ = loaded(tmp_path, {**FILES, "tariffs/a.yaml": text})
    assert settings is not None
    version = settings.tariff.version
    assert version != sound(tmp_path).tariff.version
    assert len(version) == 12
    assert set(version) <= set("0123456789abcdef")


def test_how_a_tariff_is_split_into_files_does_not_change_it(tmp_path):
    head, plans = TARIFF.split("plans:\n")
    split = {**FILES, "tariffs/a.yaml": f"plans:\n{plans}", "tariffs/b.yaml": head}
    assert sound(tmp_path, split).tariff.version == sound(tmp_path).tariff.version


def test_the_numbering_is_part_of_the_version(tmp_path):
    other = sound(tmp_path, {**FILES, "server.yaml": SERVER + "numbering: {international_prefix: 011}\n"})
    assert other.tariff.version != sound(tmp_path).tariff.version


# --- several files ---------------------------------------------------------------------------------------------------


def test_several_tariff_files_are_one_tariff(tmp_path):
    more = """\
currency: AUD
destinations: {germany: {prefixes: [49]}}
emergency: {numbers: [110]}
plans:
  world:
    voice: {germany: {price: 0.10 AUD/min, increment: 60s}, au-mobile: {free: true}}
    sms: {"*any": {free: true}}
    data: {"*any": {free: true}}
"""
    settings = sound(tmp_path, {**FILES, "tariffs/b.yaml": more})
    assert set(settings.tariff.plans) == {"standard", "world"}
    assert set(settings.tariff.destinations) == {"au-mobile", "au-fixed", "germany"}
    assert settings.tariff.emergency_numbers == {"000", "112", "110"}
    assert rate_of(settings, "world", "voice", "6141").id == "world/voice/au-mobile"


def test_ids_and_currency_are_those_of_all_files(tmp_path):
    more = """\
currency: EUR
destinations: {au-fixed: {prefixes: [49]}}
plans: {standard: {sms: {"*any": {price: 0.05 AUD}}}}
"""
    settings, found = loaded(tmp_path, {**FILES, "tariffs/b.yaml": more})
    assert settings is None
    assert lines(tmp_path, found) == [
        (
            "tariffs/b.yaml:1:11 currency: the currency is EUR, but AUD in tariffs/a.yaml:1:11, "
            "expected one currency for all tariffs"
        ),
        (
            'tariffs/b.yaml:2:16 destinations.au-fixed: the destination "au-fixed" is given twice, '
            "first in tariffs/a.yaml:4:3"
        ),
        'tariffs/b.yaml:3:9 plans.standard: the plan "standard" is given twice, first in tariffs/a.yaml:7:3',
    ]


def test_the_subscribers_are_optional(tmp_path):
    files = {name: text for name, text in FILES.items() if name != "subscribers.yaml"}
    assert sound(tmp_path, files).subscribers == ()


def test_files_that_are_not_read_are_warned_about(tmp_path):
    files = {**FILES, "subscriber.yaml": "x", "tariffs/c.yml": "x", "notes.txt": "x", "tariffs/.b.yaml.swp": "x"}
    settings, found = loaded(tmp_path, files)
    assert settings is not None
    assert lines(tmp_path, found) == [
        "subscriber.yaml: warning: is not read, did you mean subscribers.yaml?",
        "tariffs/c.yml: warning: is not read, name it c.yaml",
    ]


# --- problems of the whole -------------------------------------------------------------------------------------------


def test_all_problems_come_in_one_run_by_file_and_line(tmp_path):
    files = {
        "server.yaml": SERVER.replace("identity", "identty")
        .replace("3868", "70000")
        .replace("kind: sms", "kind: smss"),
        "tariffs/a.yaml": TARIFF.replace("0.22 AUD/min", "0.22").replace("613", "x").replace("0.05 AUD", "0 AUD"),
        "tariffs/b.yaml": "currency: AUD\nplans: [\n",
        "subscribers.yaml": SUBSCRIBERS.replace("50.00", "50,00").replace("1 GiB", "1 Gib").replace("bob@", "bob"),
    }
    settings, found = loaded(tmp_path, files)
    assert settings is None
    assert [line.split(" ")[0] for line in lines(tmp_path, found)] == [
        "server.yaml:1:1",
        "server.yaml:1:1:",
        "server.yaml:4:45",
        "server.yaml:18:11",
        "subscribers.yaml:7:38",
        "subscribers.yaml:7:41",
        "subscribers.yaml:9:35",
        "subscribers.yaml:11:10",
        "tariffs/a.yaml:4:30",
        "tariffs/a.yaml:9:26",
        "tariffs/a.yaml:14:23",
        "tariffs/b.yaml:3:1:",
    ]


def test_a_decimal_comma_in_braces_is_recognised(tmp_path):
    _, found = loaded(tmp_path, edited("tariffs/a.yaml", "0.22 AUD/min", "0,22 AUD/min"))
    assert [(each.line, each.column) for each in found] == [(9, 26), (9, 28)]
    assert found[1].hint == "use a dot for decimals: after a comma a new entry begins"


def test_a_misspelt_required_key_is_missing_and_unknown(tmp_path):
    _, found = loaded(tmp_path, edited("server.yaml", "identity:", "identty:"))
    assert [(each.line, each.column, each.message, each.hint) for each in found] == [
        (1, 1, '"identty" is not known here', "did you mean identity?"),
        (1, 1, '"identity" is missing', ""),
    ]


def test_a_prefix_with_two_rates_names_both_places(tmp_path):
    settings, found = loaded(tmp_path, edited("tariffs/a.yaml", "[612, 613]", "[612, 614]"))
    assert settings is None
    assert lines(tmp_path, found) == [
        (
            "tariffs/a.yaml:10:7 plans.standard.voice.au-fixed: the prefix 614 has two rates in standard/voice: "
            '"au-fixed" (tariffs/a.yaml:4:30) and "au-mobile" (tariffs/a.yaml:3:26), '
            "expected each prefix in one of the destinations, or rates of different weight"
        )
    ]


def test_a_prefix_as_it_is_dialled_at_home_never_matches(tmp_path):
    server = SERVER + "numbering: {national_prefix: 0, country_code: 61}\n"
    _, found = loaded(tmp_path, {**edited("tariffs/a.yaml", "[614]", "[04]"), "server.yaml": server})
    assert [(each.path, each.hint) for each in found] == [("destinations.au-mobile.prefixes[0]", "write 614")]


def test_destinations_may_share_prefixes_where_no_plan_sells_both(tmp_path):
    text = TARIFF.replace("destinations:\n", "destinations:\n  australia: {prefixes: [61, 612, 614]}\n")
    settings, found = loaded(tmp_path, {**FILES, "tariffs/a.yaml": text})
    assert settings is not None
    assert "australia" in settings.tariff.destinations
    assert [each.severity for each in found] == [Severity.WARNING]


def test_a_rate_of_a_free_destination_is_an_error(tmp_path):
    settings, found = loaded(tmp_path, edited("tariffs/a.yaml", "[612, 613]}", "[612, 613], free: true}"))
    assert settings is None
    assert lines(tmp_path, found) == [
        (
            'tariffs/a.yaml:10:7 plans.standard.voice.au-fixed: the destination "au-fixed" is free for everybody: '
            "its rate is never used, expected no rate, or no free: true in tariffs/a.yaml:4:42"
        )
    ]


def test_a_short_free_prefix_cannot_give_priced_numbers_away(tmp_path):
    text = TARIFF.replace("destinations:\n", "destinations:\n  help: {prefixes: [61], free: true}\n")
    settings, found = loaded(tmp_path, {**FILES, "tariffs/a.yaml": text})
    assert settings is None
    said = 'is priced, but free through 61 of "help" in tariffs/a.yaml:3:21'
    assert lines(tmp_path, found) == [
        (
            "tariffs/a.yaml:3:21 destinations.help.prefixes[0]: warning: all numbers that begin with 61 are free for "
            "everybody"
        ),
        f"tariffs/a.yaml:4:26 destinations.au-mobile.prefixes[0]: the prefix 614 {said}",
        f"tariffs/a.yaml:5:25 destinations.au-fixed.prefixes[0]: the prefix 612 {said}",
        f"tariffs/a.yaml:5:30 destinations.au-fixed.prefixes[1]: the prefix 613 {said}",
    ]


WARNINGS = {
    "an increment above the unit": (
        edited("tariffs/a.yaml", "increment: 1s", "increment: 90s"),
        (
            "tariffs/a.yaml:9:51 plans.standard.voice.au-mobile.increment: warning: the increment 1 min 30 s is larger "
            "than the unit 1 min of the price"
        ),
    ),
    "a service that a plan does not sell": (
        edited("tariffs/a.yaml", '    sms:\n      "*any": {price: 0.05 AUD}\n', ""),
        'tariffs/a.yaml:7:3 plans.standard: warning: the plan "standard" does not sell the service "sms"',
    ),
    "a peer rule behind a wider one": (
        edited(
            "server.yaml",
            '  - {host: "*.pgw',
            '  - {host: "*", from: [127.0.0.0/8, 10.0.0.0/7]}\n  - {host: "*.pgw',
        ),
        (
            "server.yaml:7:5 peers[1]: warning: the rule is never used: the one in server.yaml:6:5 fits first, "
            "put it above"
        ),
    ),
    "no peer at all": (
        edited("server.yaml", '\n  - {host: "*.pgw.example.com", from: [10.0.0.0/8], watchdog: 30s}', " []"),
        "server.yaml:5:8 peers: warning: no peer is admitted, expected at least one rule",
    ),
}


@pytest.mark.parametrize(("files", "said"), WARNINGS.values(), ids=WARNINGS)
def test_a_warning_does_not_keep_the_configuration_from_use(tmp_path, files, said):
    settings, found = loaded(tmp_path, files)
    assert settings is not None
    assert lines(tmp_path, found) == [said]
    assert found[0].severity is Severity.WARNING


CERTIFICATES = "tls: {certificate: own.pem, key: /etc/own.key, ca: ca.pem}\n"


def test_peers_to_connect_to_and_certificates(tmp_path):
    server = SERVER.replace(
        "port: 3868}\n",
        "port: 3868}\n  - {transport: tcp, host: '::1', tls: true}\n  - {transport: tcp, host: '::1'}\n",
    )
    server = server.replace(
        "watchdog: 30s}",
        """release_on_restart: true}
  - {host: dra.example.com, realms: [Example.NET, example.org], connect: {host: [10.0.0.1, dra1], reconnect: 5s}}
  - {host: dra2.example.com, connect: {host: 10.0.0.2, tls: true}}
  - {host: dra3.example.com, connect: {host: 10.0.0.2, port: 7, tls: true}}""",
    )
    files = {**FILES, "server.yaml": server + CERTIFICATES, "own.pem": "", "ca.pem": ""}
    settings, found = loaded(tmp_path, files)
    assert [(each.port, each.tls) for each in settings.listeners] == [(3868, False), (5658, True), (3868, False)]
    first, dra, *others = settings.peers
    assert (first.connect, first.release_on_restart) == (None, True)
    assert dra == PeerRule(
        "dra.example.com",
        (),
        connect=Connect(("10.0.0.1", "dra1"), 3868, reconnect_s=5),
        realms=("example.net", "example.org"),
    )
    assert [(each.connect.port, each.connect.tls) for each in others] == [(5658, True), (7, True)]
    assert settings.tls == Tls(str(tmp_path / "own.pem"), "/etc/own.key", str(tmp_path / "ca.pem"))
    assert [line.partition(" ")[2] for line in lines(tmp_path, found)] == [
        "tls.key: warning: there is no file /etc/own.key, expected a PEM file, when the server starts"
    ]


def test_certificates_of_clients_may_be_left_to_them(tmp_path):
    server = SERVER + CERTIFICATES.replace("}", ", client_certificates: optional}")
    settings, _ = loaded(tmp_path, {**FILES, "server.yaml": server})
    assert not settings.tls.client_certificates


def test_sctp_has_no_tls(tmp_path):
    server = SERVER.replace("transport: tcp,", "transport: sctp, tls: true,") + CERTIFICATES
    _, found = loaded(tmp_path, {**FILES, "server.yaml": server})
    assert any("TLS is spoken on TCP; SCTP would need DTLS" in line for line in lines(tmp_path, found))


def test_peer_rules_of_other_networks_or_names_are_not_covered(tmp_path):
    server = SERVER.replace(
        '  - {host: "*.pgw',
        '  - {host: "*", from: [10.0.0.0/9, "::/0"]}\n  - {host: a, from: [10.0.0.0/8]}\n  - {host: "*.pgw',
    )
    assert len(sound(tmp_path, {**FILES, "server.yaml": server}).peers) == 3


# --- what is not there -----------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_one_problem(tmp_path):
    settings, found = load(tmp_path / "none")
    assert settings is None
    assert [str(each) for each in found] == [
        f"{tmp_path}/none: is no folder, expected a folder with server.yaml and tariffs/"
    ]


def test_an_empty_folder_lacks_its_files(tmp_path):
    settings, found = load(tmp_path)
    assert settings is None
    assert lines(tmp_path, found) == [
        "server.yaml: cannot be read: no such file or directory",
        "tariffs: has no tariff, expected at least one file *.yaml",
    ]


def test_empty_files_are_named(tmp_path):
    settings, found = loaded(tmp_path, {"server.yaml": "", "tariffs/a.yaml": "# none\n", "subscribers.yaml": "\n"})
    assert settings is None
    assert lines(tmp_path, found) == [
        f"{name}: is empty" for name in ("server.yaml", "subscribers.yaml", "tariffs/a.yaml")
    ]


def test_a_tariff_without_plans_is_an_error(tmp_path):
    _, found = loaded(tmp_path, {"server.yaml": SERVER, "tariffs/a.yaml": "currency: AUD\n"})
    assert lines(tmp_path, found) == [
        'tariffs/a.yaml:1:1: there is no plan in any tariff file, expected "plans" with at least one plan'
    ]


def test_a_server_file_that_cannot_be_read_does_not_hide_the_tariffs_problems(tmp_path):
    files = {**edited("tariffs/a.yaml", "0.22 AUD/min", "0 AUD/min"), "server.yaml": "identity: ["}
    _, found = loaded(tmp_path, files)
    assert [(Path(each.file).name, each.line) for each in found] == [("server.yaml", 1), ("a.yaml", 9)]


def test_what_stands_in_an_unreadable_tariff_file_is_not_complained_about(tmp_path):
    head, plans = TARIFF.split("plans:\n")
    files = {**FILES, "tariffs/a.yaml": f"plans:\n{plans}", "tariffs/b.yaml": head + "\t"}
    _, found = loaded(tmp_path, files)
    assert {Path(each.file).name for each in found} == {"b.yaml"}


def test_a_flood_of_problems_is_bounded(tmp_path):
    prefixes = ", ".join(["x"] * 2_000)
    _, found = loaded(tmp_path, edited("tariffs/a.yaml", "[614]", f"[{prefixes}]"))
    assert len(found) == 1_000


def test_a_folder_named_as_a_file_is_a_problem(tmp_path):
    write(tmp_path, {"server.yaml/x": "", "tariffs": ""})
    settings, found = load(tmp_path)
    assert settings is None
    assert lines(tmp_path, found) == [
        "server.yaml: cannot be read: is a directory",
        "tariffs: has no tariff, expected at least one file *.yaml",
    ]


def test_tests_are_kept_as_written_with_their_places(tmp_path):
    text = TARIFF + "tests:\n  - {event: x, cost: 044}\n"
    (kept,) = sound(tmp_path, {**FILES, "tariffs/a.yaml": text}).tests
    assert (kept.place.line, kept.place.column, kept.place.path) == (16, 5, "tests[0]")
    assert [(key.text, value.text) for key, value in kept.value.pairs] == [("event", "x"), ("cost", "044")]


def test_an_sctp_listener_has_several_addresses_and_may_be_optional(tmp_path):
    text = "listeners:\n  - {transport: sctp, host: [10.9.0.1, 10.9.1.1], port: 3868, optional: true}"
    settings = sound(tmp_path, edited("server.yaml", "listeners:", text))
    assert settings.listeners[0] == Listener(Transport.SCTP, "10.9.0.1", 3868, ("10.9.1.1",), optional=True)
    assert settings.listeners[0].hosts == ("10.9.0.1", "10.9.1.1")
