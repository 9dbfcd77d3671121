"""The plain counters show what those of prometheus_client would."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from ocs.nms.tally import Spread, Tally

BUCKETS = (0.5, 1.0, 2.0)


def shown(counter, histogram):
    registry = CollectorRegistry()
    counted = counter("made", "Things made.", ["kind"], registry=registry)
    took = histogram("took", "Time.", ["kind"], registry=registry, buckets=BUCKETS)
    for kind in ("one", "other"):
        counted.labels(kind).inc()
        counted.labels(kind).inc(2.5)
        for seconds in (0.0, 0.5, 0.75, 1.0, 2.0, 7.0):
            took.labels(kind).observe(seconds)
    counted.labels("never")
    took.labels("never")
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_they_are_shown_alike():
    assert shown(Tally, Spread) == shown(Counter, Histogram)


def test_the_whole_metric_is_not_counted_where_it_has_labels():
    with pytest.raises(AttributeError):
        Tally("made", "Things made.", ["kind"], registry=None).inc()
