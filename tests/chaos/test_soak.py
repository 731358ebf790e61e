"""The soak reports what grows after the warm-up, and only that."""

from tests.chaos.soak import MEASURES, Samples, Series, slope, table

STEADY: Series = [(minute / 10, 5.0) for minute in range(100)]
GROWING: Series = [(minute / 10, 100.0 + minute / 10) for minute in range(100)]
WARMING_UP: Series = [(minute / 10, min(100.0 + minute, 120.0)) for minute in range(100)]


def test_slope_is_the_growth_per_minute_after_the_warm_up() -> None:
    assert [round(slope(series), 6) for series in (STEADY, GROWING, WARMING_UP)] == [0.0, 1.0, 0.0]


def test_process_that_lived_a_moment_has_no_slope() -> None:
    assert slope(GROWING[:2]) == 0.0


def test_table_names_the_process_that_grows() -> None:
    flat = dict.fromkeys(MEASURES, STEADY)
    text, growing = table(Samples({"web": {**flat, "MB": GROWING}, "keeper": flat}))

    assert growing == ["web: MB +1.00/min"]
    assert "| web | 100.0 | 109.9 | +1.00 | +0.00 | +0.00 |" in text
    assert "| keeper | 5.0 | 5.0 | +0.00 | +0.00 | +0.00 |" in text
