"""Histograms of the answers to a file: counts by label, or in bins of a number; one for each of several targets.

A histogram is `{"counts": {label: count}}` or `{"edges": […], "counts": […]}`. For several targets it is
`{"targets": {name: histogram}}`. The first chunk that is scored sets the edges for all others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Histogram: TypeAlias = Mapping[str, Any]
NOTHING: Histogram = {}


def merged(found: Sequence[Histogram]) -> dict[str, Any]:
    """The sum of the histograms of several chunks. If a histogram has other edges than the first, its counts are added
    at the middles of its bins."""
    if any("targets" in one for one in found):
        names = dict.fromkeys(name for one in found for name in one.get("targets", {}))
        return {
            "targets": {name: merged([one["targets"][name] for one in found if "targets" in one]) for name in names}
        }
    counted = [one for one in found if one.get("counts")]
    if not counted:
        return {}
    if isinstance(counted[0]["counts"], dict):
        return {
            "counts": {label: sum(one["counts"].get(label, 0) for one in counted) for label in counted[0]["counts"]}
        }
    return _merged_bins(counted)


def _merged_bins(found: Sequence[Histogram]) -> dict[str, Any]:
    edges = found[0]["edges"]
    counts = [0] * (len(edges) - 1)
    for one in found:
        for place, count in enumerate(one["counts"]):
            middle = (one["edges"][place] + one["edges"][place + 1]) / 2
            counts[_bin(middle, edges)] += count
    return {"edges": edges, "counts": counts}


def _bin(value: float, edges: Sequence[float]) -> int:
    inside = [place for place, edge in enumerate(edges[:-1]) if edge <= value]
    return inside[-1] if inside else 0
