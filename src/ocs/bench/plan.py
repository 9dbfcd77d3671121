"""What a load client is told before it starts: a file of text, a line each, that C and Python read alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ocs.bench.templates import Hello, Patch, Template, hello, make_templates

STRIDE_RATIO = 618_033_989  # of 10^9: neighbours in time are far from each other in the store


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for what.

    addresses: IP addresses and ports, one for each connection in turn. connections, sessions: so many at once.
    subscribers: how many there are, from number 0. rotate: each new session is of the next subscriber; otherwise a
    session is followed by one of the same subscriber. updates: UPDATEs of a session. groups: rating groups of sessions,
    in turn. usage_octets: reported per rating group, and up to usage_spread_octets more.
    """

    addresses: tuple[tuple[str, int], ...]
    connections: int
    sessions: int
    subscribers: int
    run_id: int
    rotate: bool = False
    updates: int = 20
    groups: tuple[int, ...] = (1,)
    usage_octets: int = 300_000
    usage_spread_octets: int = 16_384
    answer_timeout_ms: int = 5_000

    def lines(self) -> Iterator[str]:
        """The file."""
        for host, port in self.addresses:
            yield f"address {host} {port}"
        for number in range(self.connections):
            said = hello(number)
            yield f"connection {number} {said.cer.hex()} {said.dwa.hex()} {said.dpa.hex()} {said.dpr.hex()}"
        for each in make_templates(self.run_id, self.groups):
            yield f"template {each.type} {each.variant} {each.groups} {each.message.hex()}"
            for patch in each.patches:
                yield f"patch {patch.field} {patch.offset} {patch.octets} {patch.group}"
        yield f"sessions {self.sessions}"
        yield f"subscribers 0 {self.subscribers} {stride_of(self.subscribers)}"
        yield f"rotate {int(self.rotate)}"
        yield f"updates {self.updates}"
        yield f"usage {self.usage_octets} {self.usage_spread_octets}"
        yield f"answer_timeout_ms {self.answer_timeout_ms}"
        yield f"end_to_end {self.run_id & 0xFFF_FFFF}"

    def write(self, path: Path) -> None:
        """To a file."""
        path.write_text("\n".join([*self.lines(), ""]))


def stride_of(count: int) -> int:
    """A step that reaches all of `count` before it comes back."""
    stride = max(1, count * STRIDE_RATIO // 10**9)
    while math.gcd(stride, count) != 1:
        stride += 1
    return stride


class Read(msgspec.Struct, kw_only=True):
    """A plan as a client reads it."""

    addresses: list[tuple[str, int]] = []
    connections: dict[int, Hello] = {}
    templates: dict[tuple[int, int], Template] = {}
    numbers: dict[str, tuple[int, ...]] = {}


def read_plan(path: Path) -> Read:
    """The plan in a file of `Plan.write`."""
    plan = Read()
    last: tuple[int, int] = (0, 0)
    for line in path.read_text().splitlines():
        key, *words = line.split()
        match key:
            case "address":
                plan.addresses.append((words[0], int(words[1])))
            case "connection":
                plan.connections[int(words[0])] = Hello(*map(bytes.fromhex, words[1:]))
            case "template":
                kind, variant, groups = map(int, words[:3])
                last = (kind, variant)
                plan.templates[last] = Template(kind, variant, groups, bytes.fromhex(words[3]), ())
            case "patch":
                patch = Patch(words[0], *map(int, words[1:]))
                before = plan.templates[last]
                plan.templates[last] = msgspec.structs.replace(before, patches=(*before.patches, patch))
            case _:
                plan.numbers[key] = tuple(map(int, words))
    return plan
