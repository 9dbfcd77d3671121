"""Everything that can be wrong in a configuration is named by file, line, column and path, with what was expected.

Each case replaces one text of the small configuration. `¦` in the new text marks where the problem has to be reported;
it is taken out before the file is written.
"""

from typing import NamedTuple

import pytest

from tests.config.folder import edited, lines, loaded

STORES = "expected sqlite:PATH, postgresql://USER@HOST/DATABASE or memory:"

S, T, U = "server.yaml", "tariffs/a.yaml", "subscribers.yaml"

PRICE = "an amount with currency and unit such as 0.22 AUD/min, 0.01 AUD/MiB or 0.05 AUD"
MOBILE = "plans.standard.voice.au-mobile"
MINUTES = "{price: 0.22 AUD/min, increment: 1s}"


class Case(NamedTuple):
    file: str
    old: str
    new: str
    said: str


def price(written: str, said: str) -> Case:
    """Another price of au-mobile."""
    return Case(T, "{price: 0.22 AUD/min, ", f"{{price: ¦{written}, ", f"{MOBILE}.price: {said}")


def increment(written: str, said: str) -> Case:
    return Case(T, "increment: 1s", f"increment: ¦{written}", f"{MOBILE}.increment: {said}")


def rate(written: str, path: str, said: str) -> Case:
    """Another rate of au-mobile."""
    return Case(T, MINUTES, written, f"{MOBILE}{path}: {said}")


RATES = [
    price('"0,22 AUD/min"', f'"0,22 AUD/min" is not a price, expected {PRICE}, use a dot for decimals: 0.22 AUD/min'),
    price("0.22", f'"0.22" is not a price, expected {PRICE}, the currency is missing'),
    price("0.22 aud/min", f'"0.22 aud/min" is not a price, expected {PRICE}, did you mean 0.22 AUD/min?'),
    price("044 AUD/min", f'"044 AUD/min" is not a price, expected {PRICE}, drop the leading zeros'),
    price("1_000 AUD/min", f'"1_000 AUD/min" is not a price, expected {PRICE}, write the digits without separators'),
    price("0x10 AUD/min", f'"0x10 AUD/min" is not a price, expected {PRICE}'),
    price("1e3 AUD/min", f'"1e3 AUD/min" is not a price, expected {PRICE}'),
    price("20:00", f'"20:00" is not a price, expected {PRICE}'),
    price("NO", f'"NO" is not a price, expected {PRICE}'),
    price("0.22 AUD/m", f'"0.22 AUD/m" has no known unit after the slash, expected {PRICE}, did you mean min?'),
    price("0.0000000001 AUD/min", f"0.0000000001 has more than 9 decimals, expected {PRICE}"),
    price("[1]", f"is a list, expected {PRICE}"),
    price("{amount: 1}", f"is a mapping, expected {PRICE}"),
    price('""', f'"" is not a price, expected {PRICE}'),
    price("-0.22 AUD/min", "the price is negative, expected an amount above 0"),
    price("0 AUD/min", "the price is 0, expected an amount above 0, or free: true where it costs nothing"),
    price("0.000 AUD/min", "the price is 0, expected an amount above 0, or free: true where it costs nothing"),
    price("0.22 EUR/min", "the price is in EUR, expected AUD, the currency of the tariff"),
    price(
        "0.22 AUD/MiB",
        "is a price per volume, but the service counts time, expected a price per time such as 0.22 AUD/min",
    ),
    price(
        "0.22 AUD",
        "is a price per event, but the service counts time, expected a price per time such as 0.22 AUD/min, "
        "a price per session is a connect_fee",
    ),
    Case(
        T,
        "0.01 AUD/MiB",
        "¦0.01 AUD/min",
        "plans.standard.data.*any.price: is a price per time, but the service counts octets, "
        "expected a price per volume such as 0.01 AUD/MiB",
    ),
    Case(
        T,
        "price: 0.05 AUD",
        "price: ¦0.05 AUD/s",
        "plans.standard.sms.*any.price: is a price per time, but the service counts events, "
        "expected a price per event such as 0.05 AUD",
    ),
    increment("1 KiB", "the increment is a volume, but the price is per time, expected a duration such as 1s"),
    increment("1", "the increment is a count, but the price is per time, expected a duration such as 1s"),
    increment("0s", "the increment is 0, expected a duration such as 1s"),
    increment(
        "20:00",
        '"20:00" is not a whole number, expected a duration such as 60s, a volume such as 10 MiB, or a whole number',
    ),
    rate("¦{price: 0.22 AUD/min}", "", '"increment" is missing, expected a duration such as 1s'),
    rate("¦{}", "", "the rate has no price, expected price, connect_fee or free: true"),
    rate("¦{free: false}", "", "the rate has no price, expected price, connect_fee or free: true"),
    rate("¦0.22 AUD/min", "", '"0.22 AUD/min" is a text, expected a mapping (key: value)'),
    rate("[¦0.22 AUD/min]", "[0]", '"0.22 AUD/min" is a text, expected a mapping (key: value)'),
    rate("¦[]", "", "the list is empty, expected at least one entry"),
    rate("{free: ¦yes}", ".free", '"yes" is no truth value, expected true or false, did you mean true?'),
    rate("{free: ¦NO}", ".free", '"NO" is no truth value, expected true or false, did you mean false?'),
    rate("{free: ¦1}", ".free", '"1" is no truth value, expected true or false'),
    rate(
        "{free: true, price: ¦0.22 AUD/min}",
        ".price",
        "free: true and price exclude each other, expected one of them",
    ),
    rate(
        "{free: true, rounding: ¦{decimals: 2}}",
        ".rounding",
        "free: true and rounding exclude each other, expected one of them",
    ),
    rate(
        "{connect_fee: ¦0.00 AUD}",
        ".connect_fee",
        "the connect fee is 0, expected an amount above 0, or no connect_fee at all",
    ),
    rate("{connect_fee: ¦-1 AUD}", ".connect_fee", "the connect fee is negative, expected an amount above 0"),
    rate(
        "{connect_fee: ¦1 EUR}", ".connect_fee", "the connect fee is in EUR, expected AUD, the currency of the tariff"
    ),
    rate(
        "{connect_fee: ¦0.20 AUD/min}",
        ".connect_fee",
        '"0.20 AUD/min" is not an amount of money, expected an amount with currency such as 50.00 AUD',
    ),
    rate(
        "{connect_fee: 1 AUD, increment: ¦1s}",
        ".increment",
        "an increment without a price has no meaning, expected a price, or no increment",
    ),
    rate(
        "{connect_fee: 1 AUD, fee_per: ¦sesion}",
        ".fee_per",
        '"sesion" is not known here, expected session or group, did you mean session?',
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, fee_per: ¦group}",
        ".fee_per",
        "there is no connect_fee that fee_per could speak of",
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, rounding: ¦{decimals: 0, method: down}}",
        ".rounding",
        "rounding makes 1 min cost nothing, expected more decimals, or the method up",
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, rounding: {decimals: ¦10}}",
        ".rounding.decimals",
        "10 is out of range, expected a whole number from 0 to 9",
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, rounding: {decimals: 2, method: ¦upp}}",
        ".rounding.method",
        '"upp" is not known here, expected up, down or middle, did you mean up?',
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, ¦increment: 2s}",
        ".increment",
        '"increment" is given twice, first in line 9',
    ),
    rate(
        "{price: 0.22 AUD/min, increment: 1s, ¦prize: 2}",
        ".prize",
        '"prize" is not known here, expected one of conditions, when, weight, price, increment, connect_fee, '
        "fee_per, rounding, tiers, max_cost, max_cost_strategy or free, did you mean price?",
    ),
]

TARIFFS = [
    Case(T, "AUD\nd", "¦aud\nd", 'currency: "aud" is not a currency, expected an ISO 4217 code such as AUD'),
    Case(T, "currency: AUD\nd", "¦d", ': "currency" is missing, expected an ISO 4217 code such as AUD'),
    Case(
        T,
        "[614]",
        "[614, ¦614]",
        "destinations.au-mobile.prefixes[1]: the prefix 614 is given twice, first in tariffs/a.yaml:3:26",
    ),
    Case(
        T,
        "[614]",
        "[614, ¦+62]",
        'destinations.au-mobile.prefixes[1]: "+62" is not a prefix, expected 1 to 15 digits, country code first, '
        "write 62",
    ),
    Case(
        T,
        "[614]",
        "[614, ¦0062]",
        "destinations.au-mobile.prefixes[1]: the prefix 0062 never matches: numbers that begin so become 62..., "
        "expected the country code first, write 62",
    ),
    Case(
        T,
        "[614]",
        "[614, ¦1_000]",
        'destinations.au-mobile.prefixes[1]: "1_000" is not a prefix, expected 1 to 15 digits, country code first',
    ),
    Case(
        T,
        "[614]",
        "[614, ¦0x10]",
        'destinations.au-mobile.prefixes[1]: "0x10" is not a prefix, expected 1 to 15 digits, country code first',
    ),
    Case(T, "[614]", "¦[]", "destinations.au-mobile.prefixes: the list is empty, expected at least one entry"),
    Case(T, "[614]", "¦614", 'destinations.au-mobile.prefixes: "614" is a text, expected a list'),
    Case(T, "{prefixes: [614]}", "¦{}", 'destinations.au-mobile: "prefixes" is missing, expected a list'),
    Case(T, "{prefixes: [614]}", "¦[614]", "destinations.au-mobile: is a list, expected a mapping (key: value)"),
    Case(
        T,
        "au-mobile: {price",
        "¦au-mobil: {price",
        'plans.standard.voice.au-mobil: there is no destination "au-mobil", expected a destination or "*any", '
        "did you mean au-mobile?",
    ),
    Case(
        T,
        "  au-fixed: {prefixes: [612, 613]}",
        "  ¦au fixed: {prefixes: [612, 613]}\n  au-fixed: {prefixes: [61]}",
        'destinations.au fixed: "au fixed" is not an id, expected letters, digits, and - _ . inside, at most 64',
    ),
    Case(
        T,
        "{connect_fee: 0.20 AUD}\n",
        "{connect_fee: 0.20 AUD}\n      ¦au-fixed: {free: true}\n",
        'plans.standard.voice.au-fixed: "au-fixed" is given twice, first in line 10',
    ),
    Case(
        T,
        "    sms:\n",
        '    ¦smss: {"*any": {price: 0.05 AUD}}\n    sms:\n',
        'plans.standard.smss: server.yaml has no service "smss", expected one of its services, did you mean sms?',
    ),
    Case(
        T,
        '    sms:\n      "*any": {price: 0.05 AUD}\n',
        "    ¦sms: {}\n",
        'plans.standard.sms: "standard/sms" has no rates, expected at least one, such as "*any": {price: ...}',
    ),
    Case(
        T,
        '"*any": {price: 0.05 AUD}',
        "¦price: 0.05 AUD",
        'plans.standard.sms.price: "price" is an option of a rate, not a destination, '
        'expected the id of a destination, or "*any", did you mean "*any": {price: ...}?',
    ),
    Case(
        T,
        '"*any": {price: 0.01',
        "¦au-mobile: {price: 0.01",
        'plans.standard.data.au-mobile: data has no destinations, expected "*any"',
    ),
    Case(
        T,
        "plans:\n",
        "plans:\n  ¦empty: {}\n",
        'plans.empty: the plan "empty" has no rates, expected at least one service with a rate',
    ),
    Case(
        T,
        '"*any": {price: 0.05',
        'rating_groups: {¦"*any": {"*any": {free: true}}}\n      "*any": {price: 0.05',
        "plans.standard.sms.rating_groups.*any: rates for all rating groups stand twice: here, and beside "
        '"rating_groups", expected one of them',
    ),
    Case(
        T,
        '"*any": {price: 0.05',
        'rating_groups: {¦4294967296: {"*any": {free: true}}}\n      "*any": {price: 0.05',
        'plans.standard.sms.rating_groups.4294967296: "4294967296" is not a rating group, '
        'expected a number such as 100, or "*any"',
    ),
    Case(
        T,
        '"*any": {price: 0.05',
        'rating_groups: {¦1: {}}\n      "*any": {price: 0.05',
        "plans.standard.sms.rating_groups.1: the rating group 1 has no rates",
    ),
    Case(T, "112]", "¦1]", 'emergency.numbers[1]: "1" is not an emergency number, expected 2 to 15 digits'),
]

SERVERS = [
    Case(
        S,
        "ocs.example.com",
        "¦ocs example",
        'identity: "ocs example" is not a host name, expected a name such as ocs.example.com',
    ),
    Case(S, "identity: ocs.example.com\nr", "¦r", ': "identity" is missing, expected a name such as ocs.example.com'),
    Case(S, "[example.com]", "¦[]", "realms: the list is empty, expected at least one entry"),
    Case(
        S,
        "[example.com]",
        "[example.com, ¦example.com]",
        'realms[1]: the realm "example.com" is given twice, first in server.yaml:2:10',
    ),
    Case(S, "[example.com]", "¦example.com", 'realms: "example.com" is a text, expected a list'),
    Case(
        S,
        "transport: tcp",
        "transport: ¦tpc",
        'listeners[0].transport: "tpc" is not known here, expected tcp or sctp, did you mean tcp?',
    ),
    Case(
        S,
        "host: 127.0.0.1,",
        "host: ¦127.0.0.1.1,",
        'listeners[0].host: "127.0.0.1.1" is not an address, expected an IPv4 or IPv6 address, or a name',
    ),
    Case(S, "3868", "¦65536", "listeners[0].port: 65536 is out of range, expected a whole number from 0 to 65535"),
    Case(
        S,
        "3868",
        "¦0xf1c",
        'listeners[0].port: "0xf1c" is not a whole number, expected a whole number from 0 to 65535',
    ),
    Case(
        S,
        "port: 3868}\n",
        "port: 3868}\n  - ¦{transport: tcp, host: 127.0.0.1, port: 3868}\n",
        "listeners[1]: the same listener stands in server.yaml:4:5",
    ),
    Case(
        S,
        "host: 127.0.0.1",
        "host: [127.0.0.1, ¦127.0.0.1]",
        'listeners[0].host[1]: the address "127.0.0.1" is given twice, first in server.yaml:4:29',
    ),
    Case(
        S,
        "port: 3868",
        "port: 3868, optional: ¦true",
        "listeners[0].optional: TCP is always there, expected no such key, or transport: sctp",
    ),
    Case(
        S,
        "10.0.0.0/8",
        "¦10.0.0.1/8",
        'peers[0].from[0]: "10.0.0.1/8" is not a network, '
        "expected an address with prefix length such as 10.0.0.0/8, did you mean 10.0.0.0/8?",
    ),
    Case(
        S,
        "[10.0.0.0/8]",
        "['::1/128', ¦ten]",
        'peers[0].from[1]: "ten" is not a network, expected an address with prefix length such as 10.0.0.0/8',
    ),
    Case(
        S,
        '"*.pgw.example.com"',
        "¦pgw example",
        'peers[0].host: "pgw example" is not a pattern of host names, '
        'expected a name, "*" for any run of characters, such as "*.pgw.example.com"',
    ),
    Case(
        S,
        "watchdog: 30s",
        "watchdog: ¦5s",
        'peers[0].watchdog: "5s" is out of range, expected whole seconds, 6 s to 10 min',
    ),
    Case(
        S,
        "watchdog: 30s",
        "watchdog: ¦30",
        'peers[0].watchdog: "30" is not a duration, expected a duration with unit such as 1s, 5 min, 1h or 100 ms',
    ),
    Case(
        S,
        "watchdog: 30s",
        "refusals: ¦mscs",
        'peers[0].refusals: "mscs" is not known here, expected mscc or command, did you mean mscc?',
    ),
    Case(
        S,
        "watchdog: 30s",
        "¦watchdgo: 30s",
        'peers[0].watchdgo: "watchdgo" is not known here, expected one of host, from, refusals, strict, connections, '
        "watchdog, grant_without_rsu, connect, realms or release_on_restart, did you mean watchdog?",
    ),
    Case(
        S,
        '- {host: "*.pgw.example.com", from: [10.0.0.0/8], watchdog: 30s}',
        "- ¦{host: pgw.example.com}",
        'peers[0]: "from" is missing, expected a list of networks that it connects from, '
        "or connect: with an address to connect to",
    ),
    Case(
        S,
        "watchdog: 30s",
        "connect: {host: [10.0.0.1, ¦10.0.0.1]}",
        'peers[0].connect.host[1]: the address "10.0.0.1" is given twice, first in server.yaml:6:70',
    ),
    Case(
        S,
        "watchdog: 30s",
        "connect: {host: ¦[10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5]}",
        "peers[0].connect.host: 5 addresses of one peer, expected 4 at most",
    ),
    Case(
        S,
        "watchdog: 30s",
        "connect: {host: 10.0.0.1, port: ¦0}",
        "peers[0].connect.port: 0 is out of range, expected a whole number from 1 to 65535",
    ),
    Case(
        S,
        "watchdog: 30s",
        "connect: {host: 10.0.0.1, tls: ¦true}",
        "peers[0].connect.tls: there are no certificates, expected tls: with certificate, key and ca, in server.yaml",
    ),
    Case(
        S,
        "transport: tcp, host: 127.0.0.1, port: 3868",
        "transport: tcp, host: 127.0.0.1, tls: ¦true",
        "listeners[0].tls: there are no certificates, expected tls: with certificate, key and ca, in server.yaml",
    ),
    Case(
        S,
        "watchdog: 30s}",
        "connect: {host: a}}\n  - ¦{host: '*.PGW.example.com', connect: {host: b}}",
        "peers[1]: we connect to *.pgw.example.com already, by server.yaml:6:5",
    ),
    Case(
        S,
        "watchdog: 30s",
        "connections: ¦0",
        "peers[0].connections: 0 is out of range, expected a whole number from 1 to 1024",
    ),
    Case(
        S,
        '"32251"',
        "¦32251@3gpp.org",
        'services.data.contexts: "32251@3gpp.org" is more than the number, expected the document number alone, '
        "did you mean 32251?",
    ),
    Case(
        S,
        "contexts: 32274",
        "contexts: ¦32251",
        'services.sms.contexts: the context "32251" is given twice, first in server.yaml:10:15',
    ),
    Case(
        S,
        "kind: sms",
        "kind: ¦monetary",
        'services.sms.kind: "monetary" is not known here, expected voice, data, sms, mms or generic',
    ),
    Case(
        S,
        "slice: 10 MiB",
        "slice: ¦60s",
        "services.data.grant.slice: the service counts octets, expected a volume such as 10 MiB",
    ),
    Case(
        S,
        "minimum: 64 KiB",
        "minimum: ¦0 B",
        "services.data.grant.minimum: the minimum is 0, expected an amount above 0",
    ),
    Case(
        S,
        "slice: 10 MiB, minimum: 64 KiB, maximum: 100 MiB",
        "slice: 10 MiB, minimum: 64 KiB, maximum: ¦1 MiB",
        "services.data.grant.maximum: the maximum 1 MiB is below the slice 10 MiB, "
        "expected minimum, contended_slice, slice, maximum in rising order",
    ),
    Case(
        S,
        "validity_time: 1h",
        "validity_time: ¦10 min",
        "services.voice.grant.validity_time: the validity_time does not exceed the maximum 10 min, "
        "expected more than 10 min",
    ),
    Case(
        S,
        "validity_time: 1h",
        "validity_time: ¦1500 ms",
        'services.voice.grant.validity_time: "1500 ms" is out of range, expected whole seconds, 1 s to 30 d',
    ),
    Case(
        S,
        "{action: terminate}",
        "¦{action: redirect}",
        'services.voice.final_unit: "redirect_to" is missing, expected redirect_to, as the action needs it',
    ),
    Case(
        S,
        "{action: terminate}",
        "{action: terminate, filter_ids: ¦[a]}",
        "services.voice.final_unit.filter_ids: filter_ids has no meaning with this action, "
        "expected another action, or no such key",
    ),
    Case(S, '"memory:"', "¦postgres://x", 'store.url: "postgres://x" names no store, ' + STORES),
    Case(S, '"memory:"', '¦"sqlite:"', 'store.url: "sqlite:" names no store, ' + STORES),
    Case(S, '"memory:"', "¦postgresql://h/", 'store.url: "postgresql://h/" names no store, ' + STORES),
    Case(
        S,
        'url: "memory:"',
        "url: postgresql://h/ocs, keep_months: ¦0",
        "store.keep_months: 0 is out of range, expected a whole number from 1 to 1200",
    ),
    Case(
        S,
        'url: "memory:"',
        "url: postgresql://h/ocs, partitions_ahead_months: ¦25",
        "store.partitions_ahead_months: 25 is out of range, expected a whole number from 1 to 24",
    ),
    Case(
        S,
        "127.0.0.1:2080",
        '¦"::1:2080"',
        'http.bind: "::1:2080" is not address and port, expected address and port such as 127.0.0.1:2080 or [::1]:2080',
    ),
    Case(
        S,
        "store:",
        "subscription_order: [imsi, ¦msidn]\nstore:",
        'subscription_order[1]: "msidn" is not known here, expected msisdn, imsi, sip, nai or private, '
        "did you mean msisdn?",
    ),
    Case(
        S,
        "store:",
        "subscription_order: [imsi, ¦imsi]\nstore:",
        'subscription_order[1]: the identity "imsi" is given twice, first in server.yaml:21:22',
    ),
    Case(
        S,
        "store:",
        "numbering: {national_prefix: ¦+0}\nstore:",
        'numbering.national_prefix: "+0" is not a dialling prefix, expected 0 to 5 digits',
    ),
    Case(
        S,
        "store:",
        "numbering: ¦{national_prefix: 0}\nstore:",
        "numbering: national_prefix and country_code have a meaning only together, expected both",
    ),
    Case(
        S,
        "http: {",
        "¦stroe: {}\nhttp: {",
        'stroe: "stroe" is not known here, expected one of identity, realms, cluster, listeners, peers, numbering, '
        "home_networks, subscription_order, services, store, http, tls, reauthorise_on_tariff_change, "
        "reauthorise_per_s, emergency_grant_validity or overload_delay, did you mean store?",
    ),
]

SUBSCRIBERS = [
    Case(
        U,
        "sip: bob@ims.example.com",
        "msisdn: ¦+491700000001",
        "accounts.bob.msisdn: msisdn 491700000001 is given twice, first in subscribers.yaml:3:13",
    ),
    Case(U, "49170", "¦49-170", 'accounts.alice.msisdn: "49-1700000001" is not an MSISDN, expected 5 to 15 digits'),
    Case(
        U,
        "[262010000000001]",
        "[¦26201]",
        'accounts.alice.imsi[0]: "26201" is not an IMSI, expected 6 to 15 digits',
    ),
    Case(
        U,
        "bob@ims.example.com",
        "¦bob",
        'accounts.bob.sip: "bob" is not a SIP identity, expected user@host',
    ),
    Case(
        U,
        "plan: standard\n    balances",
        "plan: ¦standart\n    balances",
        'accounts.alice.plan: there is no plan or profile "standart", '
        "expected a plan or profile of the tariff files, did you mean standard?",
    ),
    Case(
        U,
        "  bob:\n    sip: bob@ims.example.com\n    plan: standard",
        "  bob: ¦{}",
        'accounts.bob: "plan" is missing, expected an id, TENANT:ID, or "*any"',
    ),
    Case(
        U,
        "50.00 AUD",
        "¦50.00 EUR",
        "accounts.alice.balances.money.value: the value is in EUR, expected AUD, the currency of the tariff",
    ),
    Case(
        U,
        "50.00 AUD",
        '¦"50,00 AUD"',
        'accounts.alice.balances.money.value: "50,00 AUD" is not an amount of money, '
        "expected an amount with currency such as 50.00 AUD, use a dot for decimals: 50.00 AUD",
    ),
    Case(
        U,
        "50.00 AUD",
        "¦-1 AUD",
        "accounts.alice.balances.money.value: the value is negative, expected an amount of 0 or more",
    ),
    Case(
        U,
        "value: 100 min",
        "value: ¦100 MiB",
        'accounts.alice.balances.minutes.value: "100 MiB" is not a duration: there is no unit "MiB", '
        "expected a duration with unit such as 1s, 5 min, 1h or 100 ms",
    ),
    Case(
        U,
        "1 GiB",
        "¦1",
        'accounts.alice.balances.volume.value: "1" is not a volume, '
        "expected a volume with unit such as 1 KiB, 100 MiB or 1 GB",
    ),
    Case(
        U,
        "[au-fixed, ",
        "[¦au-fxed, ",
        'accounts.alice.balances.minutes.destinations[0]: there is no destination "au-fxed", '
        "expected a destination of the tariff files, did you mean au-fixed?",
    ),
    Case(
        U,
        '"!au-mobile"',
        '¦"!au-mobil"',
        'accounts.alice.balances.minutes.destinations[1]: there is no destination "au-mobil", '
        "expected a destination of the tariff files, did you mean au-mobile?",
    ),
    Case(
        U,
        "1 GiB",
        "1 GiB, destinations: ¦au-fixed",
        "accounts.alice.balances.volume.destinations: data has no destinations, expected no such key",
    ),
    Case(
        U,
        "kind: data",
        "kind: ¦dta",
        'accounts.alice.balances.volume.kind: "dta" is not known here, '
        "expected voice, data, sms, mms, generic or monetary, did you mean data?",
    ),
    Case(
        U,
        "1 GiB",
        "1 GiB, expires_at: ¦2027-01-01T00:00:00",
        'accounts.alice.balances.volume.expires_at: "2027-01-01T00:00:00" is not a point in time, '
        "expected a point in time with zone such as 2026-11-21T20:05:00Z, add the zone, Z for UTC",
    ),
    Case(
        U,
        "1 GiB",
        "1 GiB, weight: ¦1.5",
        'accounts.alice.balances.volume.weight: "1.5" is not a whole number, '
        "expected a whole number from -1000000 to 1000000",
    ),
    Case(
        U,
        "plan: standard\n    balances",
        "plan: standard\n    status: ¦off\n    balances",
        'accounts.alice.status: "off" is not known here, expected active or disabled',
    ),
    Case(
        U,
        "  bob:",
        "  ¦alice:",
        'accounts.alice: "alice" is given twice, first in line 2',
    ),
]


def place_of(case: Case) -> tuple[str, int, int]:
    """Where the mark stands in the edited file."""
    before, _, _ = edited(case.file, case.old, case.new)[case.file].partition("¦")
    return case.file, before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.mark.parametrize("case", [*RATES, *TARIFFS, *SERVERS, *SUBSCRIBERS], ids=lambda case: case.new.strip()[:40])
def test_a_problem_is_named_with_its_place(case, tmp_path):
    file, line, column = place_of(case)
    settings, found = loaded(tmp_path, edited(case.file, case.old, case.new.replace("¦", "")))
    path = "" if case.said.startswith(":") else " "
    assert lines(tmp_path, found) == [f"{file}:{line}:{column}{path}{case.said}"]
    assert settings is None
