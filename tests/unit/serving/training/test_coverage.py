"""Promised and counted coverage on the demo data over random splits; `python -m benchmarks.coverage` has all of it."""

import pytest

from benchmarks.coverage import mean_figures

SPLITS = 30
# About three standard errors of the mean over so few splits.
TOLERANCE = 0.03


@pytest.mark.parametrize("name", ["breast-cancer", "iris"])
def test_sets_cover_each_class_as_stated_and_the_gate_tells_usual_from_strange(name: str) -> None:
    found = mean_figures(name, SPLITS)

    counted = {what: share for what, share in found.items() if what.startswith("class") and "at most" not in what}
    assert len(counted) == {"breast-cancer": 2, "iris": 3}[name]
    for what, share in counted.items():
        assert share >= found["stated"] - TOLERANCE
        # Probabilities of setosa are 1 to within rounding: rows that tie with the threshold are covered as well.
        assert share <= found[f"{what} at most"] + TOLERANCE or (name, what) == ("iris", "class 0")
    assert found["new outside"] <= 0.02
    for strange in ("zeros", "tenfold", "noise"):
        assert found[f"{strange} outside"] >= 0.99
