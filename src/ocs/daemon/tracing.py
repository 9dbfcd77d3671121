"""Traces as the HTTP interface shows them: `ocs.api.traces.Tracer` on the running node."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from ocs.api.problems import Problem
from ocs.api.views import Json
from ocs.diameter.applications.subscription import Order
from ocs.diameter.applications.traced import subscribers_of
from ocs.diameter.node import Node
from ocs.diameter.node_trace import TooManyTraces, Tracing
from ocs.diameter.trace import Decision, Kind, Trace, Traced
from ocs.limits import TRACES_MAX
from ocs.units import format_money, format_rfc3339


class NodeTracer:
    """The traces of `node`; order: how names of subscribers are read now."""

    def __init__(self, node: Node, order: Callable[[], Order]) -> None:
        self._tracing = Tracing(node, lambda message: subscribers_of(message, order()))

    def begin(self, kind: str, value: str, seconds: int, by: str, sessions: tuple[str, ...]) -> Json:
        try:
            return _view(self._tracing.begin(Kind(kind), value, seconds, by, sessions))
        except TooManyTraces:
            others = ", ".join(f"{trace.id} (by {trace.by})" for trace in self._tracing.traces.values())
            raise Problem(409, f"{TRACES_MAX} traces run already: {others}; end one first") from None

    def all(self) -> list[Json]:
        return [_view(trace) for trace in self._tracing.traces.values()]

    def read(self, trace_id: str, after: int, limit: int) -> Json | None:
        trace = self._tracing.traces.get(trace_id)
        if trace is None:
            return None
        messages = trace.after(after, limit)
        read = messages[-1].number if messages else after
        more = trace.running or read < trace.count
        return {**_view(trace), "items": [_message(traced) for traced in messages], "next": str(read) if more else None}

    def end(self, trace_id: str, by: str) -> bool:
        return self._tracing.end(trace_id, by)

    def stop(self) -> None:
        """The node stops."""
        self._tracing.stop()


def _view(trace: Trace) -> Json:
    return {
        "id": trace.id,
        "kind": trace.kind.value,
        "value": trace.value,
        "by": trace.by,
        "began_at": format_rfc3339(trace.began_ns),
        "ends_at": format_rfc3339(trace.ends_ns),
        "running": trace.running,
        "messages": trace.count,
        "lost": trace.lost,
    }


def _message(traced: Traced) -> Json:
    return {
        "number": traced.number,
        "at": format_rfc3339(traced.at_ns),
        "direction": "in" if traced.received else "out",
        "peer": traced.peer,
        "transport": traced.transport,
        "remote": traced.remote,
        "local": traced.local,
        "answers": traced.answers,
        "decision": None if traced.decision is None else _decision(traced.decision),
        "octets": b64encode(traced.octets).decode(),
    }


def _decision(decision: Decision) -> Json:
    return {
        "result": decision.result,
        "why": decision.why,
        "repeat": decision.repeat,
        "costs": [{"cost": format_money(nanos, currency), "currency": currency} for currency, nanos in decision.costs],
        "groups": [
            {
                "rating_group": group.rating_group,
                "result": group.result,
                "unit": group.measure,
                "granted": group.granted,
                "why": group.why,
            }
            for group in decision.groups
        ],
    }
