"""The geometry of charts is in proportion to their numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.web import charts

numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=2, max_size=20), numbers)
def test_value_is_drawn_within_the_axis_in_its_proportion(ends: list[float], value: float) -> None:
    axis = charts.axis_over(ends)

    if axis is None:
        assert max(ends) == min(ends)
        return
    assert 0 <= axis.x(value) <= charts.WIDTH
    assert (axis.x(axis.low), axis.x(axis.high)) == (0, charts.WIDTH)
    assert (axis.y(axis.low), axis.y(axis.high)) == (charts.HEIGHT, 0)


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0], [-1.7e308, 1.7e308]])
def test_axis_needs_two_different_numbers_whose_distance_is_a_float(values: list[float]) -> None:
    assert charts.axis_over(values) is None


def test_histogram_gives_each_bin_its_ends_and_count() -> None:
    distribution = {"minimum": 0.0, "maximum": 10.0, "counts": [1, 4]}

    bars = charts.histogram(distribution, charts.Axis(0.0, 20.0))

    assert [(bar.x, bar.width, bar.height, bar.low_text, bar.high_text, bar.count) for bar in bars] == [
        (0.0, 25.0, 10.0, "0", "5", 1),
        (25.0, 25.0, 40.0, "5", "10", 4),
    ]


def test_outline_is_closed_and_as_high_as_the_counts() -> None:
    assert charts.outline([1, 2]) == "M0 40V20.0H50.0V0.0H100.0V40Z"
    assert charts.outline([]) == "M0 40V40Z"


def test_equal_numbers_lie_on_the_diagonal() -> None:
    drawn = charts.scatter([(0.0, 0.0), (5.0, 5.0), (10.0, 0.0)])

    assert drawn
    assert [(point.x, point.y) for point in drawn[1]] == [(0.0, 40.0), (50.0, 20.0), (100.0, 40.0)]
    assert charts.scatter([(1.0, 1.0)]) is None


def test_strip_shades_the_usual_part_of_the_range() -> None:
    assert charts.strip(0.0, 2.0, 7.0, 10.0) == charts.Strip(0.0, 10.0, 20.0, 50.0)
    assert charts.strip(1.0, 1.0, 1.0, 1.0) is None
