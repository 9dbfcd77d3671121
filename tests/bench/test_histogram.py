"""The histogram: what it keeps of values, and what it says of them."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from ocs.bench.histogram import Histogram, highest_of, index_of

VALUES = st.one_of(st.integers(0, 1_000), st.integers(0, 2**40))


@given(VALUES)
def test_a_bucket_holds_its_value_and_is_narrow(value):
    index = index_of(value)
    highest = highest_of(index)
    lowest = 0 if index == 0 else highest_of(index - 1) + 1
    assert lowest <= value <= highest
    assert highest - lowest <= value / 128


def test_buckets_follow_each_other_without_a_gap():
    indexes = [index_of(value) for value in range(5_000)]
    assert indexes == sorted(indexes)
    assert set(indexes) == set(range(max(indexes) + 1))


@given(st.lists(VALUES, min_size=1, max_size=200), st.sampled_from([1, 50, 99, Fraction(999, 10), 100]))
def test_a_percentile_is_that_of_the_sorted_values_within_a_bucket(values, percent):
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[max(1, -(-len(values) * Fraction(percent) // 100)) - 1]
    found = histogram.percentile_us(percent)
    assert exact <= found <= exact * 129 / 128
    assert found <= max(values)


def test_counts_and_sum_survive_the_way_through_a_client():
    histogram = Histogram()
    for value in (1, 1, 300, 70_000):
        histogram.record(value)
    again = Histogram(histogram.counts(), histogram.max_us, histogram.sum_us)
    assert (again.count, again.sum_us, again.max_us) == (4, 70_302, 70_000)
    assert [again.percentile_us(percent) for percent in (50, 75, 100)] == [1, 301, 70_000]


def test_nothing_has_no_percentile():
    assert Histogram().percentile_us(99) == 0
