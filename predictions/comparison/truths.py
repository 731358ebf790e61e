"""Reads feedback on answers: it gives the true answer, or says only that an answer was wrong."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, takewhile
from typing import Any

from predictions.models import Feedback, ModelVersion, Prediction
from predictions.models.feedback import by_target, classes_of, contradicts


@dataclass(frozen=True, slots=True)
class Told:
    """What feedback tells about one answer.

    `truths` are the true answers by target; the name of an only target is empty. If `was_right` is False, the answer
    was wrong. The true answer of a target that `truths` lacks is unknown.
    """

    truths: Mapping[str, Any] = field(default_factory=dict)
    was_right: bool | None = None
    given_at: datetime | None = None


NOTHING = Told()


def told_of(rows: Sequence[Prediction], other: ModelVersion) -> dict[uuid.UUID, Told]:
    """What is told about predictions, by id. Their answers are compared with those of the version `other`."""
    given = Feedback.objects.filter(prediction__in=[row.pk for row in rows]).order_by("prediction_id", "-given_at")
    by_id = {row.pk: row for row in rows}
    found = {
        key: latest(several, by_id[key].output or {}, classes(by_id[key].version, other))
        for key, several in groupby(given, lambda one: one.prediction_id)
    }
    return {key: told for key, told in found.items() if told is not None}


def classes(*versions: ModelVersion) -> set[str]:
    """All classes that one of the versions can give as its answer. Empty for several targets, and for numbers."""
    return {label for version in versions if not version.views for label in version.manifest["labels"]}


def latest(given: Iterable[Feedback], output: Mapping[str, Any], known: Collection[str]) -> Told | None:
    """What the feedback on one answer tells, the newest first; None if it tells nothing.

    The newest counts. If it only says that the answer was wrong, an earlier truth that agrees with it counts too.
    `known` are the classes of an only target.
    """
    told = [found for one in given if (found := _told(one, output, known)) is not None]
    agreeing = takewhile(lambda one: not one.was_right, told)
    return next((one for one in agreeing if one.truths), told[0] if told else None)


def _told(given: Feedback, output: Mapping[str, Any], known: Collection[str]) -> Told | None:
    """None if the feedback contradicts itself, or does not speak of what was true."""
    if contradicts(given.was_right, given.actual, output):
        return None
    answered, truths, was_right = classes_of(output), by_target(given.actual), given.was_right
    if was_right:
        truths = answered | truths
    elif was_right is False and not truths:
        truths = _only_other(answered, known)
    elif truths and truths == answered:
        was_right = True
    return Told(truths, was_right, given.given_at) if truths or was_right is False else None


def _only_other(answered: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """The truth of an only target whose answer was wrong, if there are two classes."""
    others = set(known) - set(answered.values())
    return {"": others.pop()} if len(others) == 1 and "" in answered else {}
