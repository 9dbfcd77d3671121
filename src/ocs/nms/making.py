"""How metrics are made: one prefix, one registry, children at 0 before they count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ocs.nms.labels import OTHER
from ocs.nms.tally import Spread, Tally

DURATION_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Maker:
    """Makes metrics named `ocs_...` in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def counter(self, name: str, documentation: str, *label_names: str) -> Counter:
        """`ocs_NAME_total`."""
        return Tally(f"ocs_{name}", documentation, label_names, registry=self.registry)

    def gauge(self, name: str, documentation: str, *label_names: str) -> Gauge:
        """`ocs_NAME`."""
        return Gauge(f"ocs_{name}", documentation, label_names, registry=self.registry)

    def histogram(
        self, name: str, documentation: str, *label_names: str, buckets: Iterable[float] = DURATION_BUCKETS_S
    ) -> Histogram:
        """`ocs_NAME` with `buckets`."""
        return Spread(f"ocs_{name}", documentation, label_names, registry=self.registry, buckets=tuple(buckets))


class Bound:
    """A counter whose children are found by a dict, not by label names: a fifth of the time on the hot path.

    Whoever calls keeps the label values to a bounded set.
    """

    def __init__(self, metric: Counter) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], Counter] = {}

    def child(self, *values: str) -> Counter:
        """The child with these label values, made at 0 where there is none."""
        found = self._children.get(values)
        if found is None:
            found = self._children[values] = self._metric.labels(*values)
        return found


def children(metric: Counter, values: Iterable[str]) -> dict[str, Counter]:
    """The children of a metric with one label, at 0; `values` holds OTHER."""
    return {value: metric.labels(value) for value in values}


def count(made: Mapping[str, Counter], value: str, amount: float = 1) -> None:
    """Count under `value`, or under OTHER where it is not one of those made."""
    (made.get(value) or made[OTHER]).inc(amount)
