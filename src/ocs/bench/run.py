"""One whole run: a server, its load at the maximum and at a fixed rate, and what the machine gives without it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from ocs.bench.histogram import Histogram
from ocs.bench.house import write_folder
from ocs.bench.load import CannotRun, Load, Result, latency_figures
from ocs.bench.plan import Plan
from ocs.bench.processes import IN_MEMORY, cpu_us, family_cpu_us, file_system, machine, rss_octets
from ocs.bench.served import Batches, Child, Served, monotonic_ns, pauses_in
from ocs.bench.stores import Keeper, Made, made_store

Tell = Callable[[str], None]

_WARM_UP_S: Final = 2.0
_ECHO_SHARE: Final = 0.2
_BARE_S: Final = 1.0
_S_PER_MINUTE: Final = 60


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    store: "memory", "sqlite", "postgres" or a URL. seconds: of measured load, half of them at the maximum and half at
    a fixed rate. rate: that rate, per second; None = half of the maximum. connections, window: of the maximum, requests
    in flight on each. sessions: open at once. accounts; per_account: subscribers that use one account. groups: rating
    groups of sessions, in turn. updates: UPDATEs of a session. cold: each session is of an account that was not in
    use before. nodes: servers on one store. loop: "uvloop" or "asyncio". folder: where temporary folders are made.
    verify: prove the ledger afterwards. soak_minutes: go on at the fixed rate for that long. client: "auto", "c",
    "python". profile: a file for where the time of the (first) server goes, which is several times slower then.
    """

    store: str = "sqlite"
    seconds: float = 10
    rate: int | None = None
    connections: int = 10
    window: int = 32
    sessions: int = 2_000
    accounts: int = 10_000
    per_account: int = 1
    groups: tuple[int, ...] = (1,)
    updates: int = 20
    cold: bool = False
    nodes: int = 1
    loop: str = "uvloop"
    folder: Path | None = None
    verify: bool = False
    soak_minutes: float = 0
    client: str = "auto"
    profile: Path | None = None

    def check(self) -> None:
        """CannotRun where that makes no run."""
        if self.nodes > 1 and self.store in {"memory", "sqlite"}:
            raise CannotRun(f"several nodes need a store that they can share: postgres, not {self.store}")
        if self.store == "memory" and (self.verify or self.soak_minutes):
            raise CannotRun("what is in memory is gone with the server: --verify and --soak need sqlite or postgres")
        if self.sessions < self.connections:
            raise CannotRun(f"{self.sessions} sessions are too few for {self.connections} connections")

    def plan(self, addresses: Sequence[tuple[str, int]]) -> Plan:
        """For servers at these addresses."""
        return Plan(
            addresses=tuple(addresses),
            connections=self.connections,
            sessions=self.sessions,
            subscribers=self.accounts * self.per_account,
            run_id=int(time.time()),
            rotate=self.cold,
            updates=self.updates,
            groups=self.groups,
        )


class Phase(msgspec.Struct, frozen=True):
    """What a phase gave, and what it took: CPU time of the daemons and of PostgreSQL, their batches, their memory."""

    result: Result
    daemon_cpu_us: int
    postgres_cpu_us: int | None
    batches: Batches
    begin_ns: int
    end_ns: int

    @property
    def cpu_us_per_request(self) -> float:
        """Of the daemons."""
        return self.daemon_cpu_us / max(1, self.result.answered)

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        answered = max(1, self.result.answered)
        postgres = None if self.postgres_cpu_us is None else round(self.postgres_cpu_us / answered, 1)
        return {
            **self.result.figures(),
            "cpu_us_per_request": round(self.cpu_us_per_request, 1),
            "postgres_cpu_us_per_request": postgres,
            "batch_size": round(self.batches.size, 2),
            "commit_ms": round(1_000 * self.batches.seconds / max(1.0, self.batches.batches), 3),
        }


class Meter:
    """Measures a phase: CPU at its begin and end."""

    def __init__(self, pids: Sequence[int], postgres: int | None) -> None:
        self._pids, self._postgres = pids, postgres
        self.seen: dict[str, tuple[int, int, int]] = {}

    def __call__(self, event: str) -> None:
        """Note how it stands; event: "begin" or "end"."""
        postgres = 0 if self._postgres is None else family_cpu_us(self._postgres)
        self.seen[event] = (monotonic_ns(), cpu_us(self._pids), postgres)

    def phase(self, result: Result, batches: Batches) -> Phase:
        """The phase that ended."""
        (begin_ns, daemon_before, postgres_before), (end_ns, daemon, postgres) = self.seen["begin"], self.seen["end"]
        of_postgres = None if self._postgres is None else postgres - postgres_before
        return Phase(result, daemon - daemon_before, of_postgres, batches, begin_ns, end_ns)


class Bench:
    """A run of `options`; `tell` hears how far it is."""

    def __init__(self, options: Options, tell: Tell = lambda _: None) -> None:
        self.options = options
        self._tell = tell
        self._client = ""
        self._why_not_c = ""

    def run(self) -> dict[str, Any]:
        """The figures; CannotRun where there are none."""
        self.options.check()
        parent = self.options.folder or _disk_folder()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="ocs-bench-", dir=parent) as folder,
                made_store(self.options.store, Path(folder), parent) as made,
            ):
                return self._run(Path(folder), made)
        except OSError as error:
            raise CannotRun(f"{error.filename or parent}: {error.strerror or error}") from error

    def _run(self, folder: Path, made: Made) -> dict[str, Any]:
        options = self.options
        keeper = Keeper(made, folder / "keeper", options.accounts, options.per_account)
        if made.kind != "memory":
            self._tell(f"opening {options.accounts:,} accounts in {made.kind}")
            keeper.fill(self._tell)
        self._tell("bare commits")
        bare = keeper.bare(options.groups[0], _BARE_S)
        figures: dict[str, Any] = {}
        with self._served(folder, made) as servers:
            pids = [server.pid for server in servers]
            before_octets = rss_octets(pids)
            with self._load([server.address for server in servers], folder) as load:
                maximum = self._phase("closed", options.window, options.seconds / 2, load, servers, made)
                rate = options.rate or max(1, int(maximum.result.per_s / 2))
                self._tell(f"{maximum.result.per_s:,.0f} requests/s at the most; now {rate:,} requests/s")
                samples: list[dict[str, Any]] = []
                seconds = options.soak_minutes * _S_PER_MINUTE or options.seconds / 2
                fixed = self._phase("open", rate, seconds, load, servers, made, samples)
            after_octets = rss_octets(pids)
            said = [server.stop() for server in servers]
        echo = self._echo(folder, rate)
        figures = {
            **self._headline(maximum, fixed, rate, echo, bare),
            "maximum": maximum.figures(),
            "fixed_rate": {"rate_per_s": rate, **fixed.figures()},
            "echo": echo,
            "bare_commit": {"count": bare.count, **latency_figures(bare)},
            "rss_start_octets": before_octets,
            "rss_end_octets": after_octets,
            "rss_growth_octets_per_session": round((after_octets - before_octets) / options.sessions),
            "gc_pauses": [pauses_in(each, fixed.begin_ns, fixed.end_ns) for each in said],
            "problems": [f"at the maximum: {one}" for one in maximum.result.problems()]
            + [f"at {rate} requests/s: {one}" for one in fixed.result.problems()],
            "client": self._client,
            "client_cpu_us_per_request": round(fixed.result.client_cpu_us / max(1, fixed.result.answered), 1),
            "store": {"kind": made.kind, **made.facts},
            "options": msgspec.to_builtins(options, enc_hook=str),
            "machine": machine(),
        }
        if self._why_not_c:
            figures["client_note"] = f"not the compiled client: {self._why_not_c}"
        if options.soak_minutes:
            figures["soak"] = _soak(samples)
        if options.verify or options.soak_minutes:
            self._verify(keeper, figures)
        return figures

    def _headline(
        self, maximum: Phase, fixed: Phase, rate: int, echo: dict[str, Any], bare: Histogram
    ) -> dict[str, Any]:
        latency = latency_figures(fixed.result.latency)
        floor_ms = echo["fixed_rate"]["p99_ms"] + bare.percentile_us(50) / 1_000
        return {
            "requests_per_s": round(maximum.result.per_s, 1),
            "cpu_us_per_request": round(maximum.cpu_us_per_request, 1),
            **latency,
            "rate_per_s": rate,
            "batch_size": round(maximum.batches.size, 2),
            "echo_p99_ms": echo["fixed_rate"]["p99_ms"],
            "bare_commit_p50_ms": bare.percentile_us(50) / 1_000,
            "p99_ratio": round(latency["p99_ms"] / floor_ms, 2) if floor_ms else None,
            "cpu_ratio": round(maximum.cpu_us_per_request / max(0.1, echo["maximum"]["cpu_us_per_request"]), 2),
        }

    @contextmanager
    def _served(self, folder: Path, made: Made) -> Iterator[list[Served]]:
        options = self.options
        arguments = ["--loop", options.loop]
        if made.kind == "memory":
            arguments += ["--accounts", str(options.accounts), "--per-account", str(options.per_account)]
        self._tell(f"starting {options.nodes} server{'s' if options.nodes > 1 else ''}")
        with ExitStack() as stack:
            servers = []
            for node in range(options.nodes):
                place = folder / f"node{node}"
                config = write_folder(place / "config", made.url, node, options.nodes)
                profile = ["--profile", str(options.profile)] if options.profile and node == 0 else []
                servers.append(stack.enter_context(Served(place, config, *arguments, *profile)))
            yield servers

    @contextmanager
    def _load(self, addresses: Sequence[tuple[str, int]], folder: Path) -> Iterator[Load]:
        with Load(self.options.plan(addresses), folder, self.options.client) as load:
            self._client, self._why_not_c = load.client, load.why_not_c
            yield load

    def _phase(
        self,
        mode: str,
        amount: int,
        seconds: float,
        load: Load,
        servers: Sequence[Served],
        made: Made,
        samples: list[dict[str, Any]] | None = None,
    ) -> Phase:
        pids = [server.pid for server in servers]
        meter = Meter(pids, made.postgres)
        before = [server.batches() for server in servers]
        began_s = sampled_s = time.monotonic()

        def tick(said: dict[str, Any]) -> None:
            nonlocal sampled_s
            if samples is not None and self.options.soak_minutes and time.monotonic() >= sampled_s:
                sampled_s += max(1.0, seconds / 120)
                samples.append(
                    {
                        "at_s": round(time.monotonic() - began_s),
                        "rss_octets": rss_octets(pids),
                        "in_flight": said["in_flight"],
                        "behind": said["behind"],
                    }
                )
                self._tell(", ".join(f"{name} {value:,}" for name, value in samples[-1].items()))

        warm_up_s = min(_WARM_UP_S, seconds)
        self._tell(f"{mode} loop for {seconds:g} s, after {warm_up_s:g} s and an INITIAL of each session")
        result = load.phase(mode, amount, warm_up_s, seconds, meter, tick)
        grown = [server.batches().since(old) for server, old in zip(servers, before, strict=True)]
        batches = Batches(*(sum(values) for values in zip(*map(msgspec.structs.astuple, grown), strict=True)))
        return meter.phase(result, batches)

    def _echo(self, folder: Path, rate: int) -> dict[str, Any]:
        options = self.options
        seconds = max(0.5, options.seconds * _ECHO_SHARE)
        self._tell(f"the transport alone, for {2 * seconds:g} s")
        arguments = ("--groups", str(options.groups[0]), "--loop", options.loop)
        with Child(folder, "echo", *arguments) as child, self._load([child.address], folder) as load:
            found = {}
            for name, mode, amount in (("maximum", "closed", options.window), ("fixed_rate", "open", rate)):
                meter = Meter([child.pid], None)
                result = load.phase(mode, amount, min(0.5, seconds), seconds, meter)
                phase = meter.phase(result, Batches())
                found[name] = {
                    "requests_per_s": round(result.per_s, 1),
                    "cpu_us_per_request": round(phase.cpu_us_per_request, 1),
                    **latency_figures(result.latency),
                }
        return found

    def _verify(self, keeper: Keeper, figures: dict[str, Any]) -> None:
        self._tell("verifying the ledger")
        accounts, wrong = keeper.verify(self._tell)
        figures["ledger"] = {"accounts": accounts, "wrong": len(wrong)}
        figures["problems"] += wrong[:20]


def _soak(samples: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    """How memory and queues stood over time; growth: of the last quarter over the second one, by their medians."""
    found: dict[str, Any] = {"samples": list(samples)}
    quarter = len(samples) // 4
    if quarter:
        for name in ("rss_octets", "in_flight", "behind"):
            values = [sample[name] for sample in samples]
            middle, last = median(values[quarter : 2 * quarter]), median(values[-quarter:])
            found[f"{name}_growth"] = round(last - middle)
    return found


def _disk_folder() -> Path:
    """The folder for temporary files, on a disk where there is one."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp")):  # noqa: S108 - a folder of our own is made in it
        if file_system(folder) not in IN_MEMORY:
            return folder
    return Path(tempfile.gettempdir())
