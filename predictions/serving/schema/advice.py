"""Advice about values that are valid, but lie outside the training data of the version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from predictions.serving.schema import wording
from predictions.serving.schema.kinds import Integer, Number, Value
from predictions.serving.schema.signature import Signature


@dataclass(frozen=True, slots=True)
class Advice:
    """A note on a value that is valid, but lies outside the training data. Advice is never an error."""

    feature: str
    code: Literal["below_training_range", "above_training_range", "unseen_category"]
    message: str


class Advisor:
    """Compares rows with the training data of one version. One advisor serves many rows.

    Args:
        profile: the profile in the version's manifest; empty if the version was registered without training data.

    Attributes:
        ranges: (position in the signature, smallest, largest training value) of each numeric feature; infinite where
            the value is unknown.
    """

    def __init__(self, signature: Signature, profile: Mapping[str, Any]) -> None:
        seen = profile.get("features", {})
        self._signature = signature
        self.ranges: list[tuple[int, float, float]] = []
        self._categories: list[tuple[int, list[Value]]] = []
        for place, feature in enumerate(signature.features):
            known = seen.get(feature.name, {})
            if isinstance(feature, Number | Integer):
                self.ranges.append((place, _limit(known.get("minimum"), -inf), _limit(known.get("maximum"), inf)))
            elif "categories" in known:
                self._categories.append((place, [category for category, _ in known["categories"]]))

    def advise(self, values: Sequence[Any]) -> list[Advice]:
        """One advice for each of these cleaned values that lies outside the training data, in signature order."""
        # A missing value is None, or NaN in an array of numbers. Every comparison with NaN is false.
        found = {
            place: self._beyond(place, low, high, value)
            for place, low, high in self.ranges
            if (value := values[place]) is not None and (value < low or value > high)
        }
        found |= {
            place: Advice(self._signature.names[place], "unseen_category", wording.UNSEEN_CATEGORY)
            for place, known in self._categories
            if values[place] is not None and values[place] not in known
        }
        return [found[place] for place in sorted(found)] if found else []

    def _beyond(self, place: int, low: float, high: float, value: float) -> Advice:
        feature = self._signature.features[place]
        if value < low:
            return Advice(feature.name, "below_training_range", wording.below_training(feature, low))
        return Advice(feature.name, "above_training_range", wording.above_training(feature, high))


def _limit(said: float | None, otherwise: float) -> float:
    return otherwise if said is None else said
