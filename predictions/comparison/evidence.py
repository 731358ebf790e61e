"""Reads the answers that shadows and replays have stored, beside those that callers got. The web uses this module."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from predictions.comparison.agreement import Agreement, Pair, agreements
from predictions.comparison.truths import NOTHING, told_of
from predictions.lifecycle import registry
from predictions.models import ComparedAnswer, ModelVersion
from predictions.serving.schema.errors import InvalidInput

# One page shows at most this many answers, the newest.
MOST = 2000


@dataclass(frozen=True, slots=True)
class Other:
    """A version whose answers were compared, and how many."""

    version: ModelVersion
    answers: int


@dataclass(frozen=True)
class Evidence:
    """The newest answers of `version` to inputs that `other` had answered.

    `times` are the milliseconds of one row alone by `other` and by `version`, measured one after the other.
    """

    version: ModelVersion
    other: ModelVersion
    pairs: Sequence[Pair]
    times: Sequence[tuple[float, float]]

    @property
    def agreements(self) -> list[Agreement]:
        return agreements(self.pairs, self.version.target_names)

    @property
    def unfit(self) -> int:
        return sum(not pair.fits for pair in self.pairs)

    @property
    def failed(self) -> int:
        return sum(pair.fits and pair.after is None for pair in self.pairs)


def others(version: ModelVersion) -> list[Other]:
    """The versions that `version` was compared with; the one that serves first, then by the number of answers."""
    counted = ComparedAnswer.objects.filter(version=version).values_list("original__version").annotate(Count("id"))
    found = [Other(registry.version(pk), count) for pk, count in counted]
    champion = version.registered_model.champion_id
    return sorted(found, key=lambda other: (other.version.pk != champion, -other.answers))


def evidence(version: ModelVersion, other: ModelVersion) -> Evidence:
    kept = (
        ComparedAnswer.objects.filter(version=version, original__version=other)
        .select_related("original")
        .order_by("-original_id")[:MOST]
    )
    answers = list(kept)
    told = told_of(registry.attach_versions(answer.original for answer in answers), version)
    names = other.signature.names
    pairs = [
        Pair(
            prediction=answer.original_id,
            values=dict(zip(names, answer.original.values, strict=True)),
            before=answer.original.output or {},
            after=answer.output,
            fits=answer.error_code != InvalidInput.code,
            told=told.get(answer.original_id, NOTHING),
        )
        for answer in answers
    ]
    times = [(one.before_ms, one.after_ms) for one in answers if one.before_ms is not None and one.after_ms is not None]
    return Evidence(version, other, pairs, times)
