"""Learns how sure a version's answers are. A part that cannot be learned gets a note instead of an error."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from predictions.serving.artifacts.description import Target, Task
from predictions.serving.artifacts.sureness import Calibration, Evidence, Gate, Interval, Part, Sets, Sureness
from predictions.serving.engines.base import Floats, RawPredictions
from predictions.serving.engines.encoding import Encoding
from predictions.serving.engines.sureness import pack
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training import conformal, intervals
from predictions.serving.training.calibrate import Mask, Unsupported, calibrate
from predictions.serving.training.difficulty import Difficulty, fit_difficulty, out_of_fold_errors
from predictions.serving.training.experience import Fitting, fit_encoding
from predictions.serving.training.repeats import KnownRows, all_repeated

logger = logging.getLogger(__name__)

T = TypeVar("T")
NOT_HELD_OUT = english("No held-out data was given.")
NOT_TRAINING = english("No training data was given.")
REPEATED = english(
    "Each held-out row also stands in the training data with the same answer, so they show nothing of new rows."
)
NO_TRUTH = english("There are no true answers to compare with.")
OWN_GATE = english("The estimator itself tells which rows are unusual.")
NO_PROBABILITIES = english("The estimator gives no probabilities.")


@dataclass(frozen=True, slots=True)
class Facts:
    """The data and answers from which sureness is learned. Rows are cleaned; truths are class positions or numbers.

    `training_data` holds the training rows and targets as the estimator takes them.
    """

    signature: Signature
    target: Target
    labels: list[str]
    task: Task = "classification"
    training: list[list[Value]] = field(default_factory=list)
    training_truth: Floats | None = None
    training_data: tuple[Any, Any] | None = None
    held_out: list[list[Value]] = field(default_factory=list)
    truth: Floats | None = None
    answers: RawPredictions | None = None
    estimator: Any = None


@dataclass(frozen=True, slots=True)
class Learned:
    """The record for version.json, and the content of `sureness.npz`; None if that file is not needed."""

    record: Sureness
    content: bytes | None


def learn(facts: Facts) -> Learned:
    """Learns each part that the data supports. Never raises, except for MemoryError."""
    return _Learning(facts).learn()


def learn_gate(signature: Signature, training: list[list[Value]], held_out: list[list[Value]]) -> Learned:
    """Learns the gate alone, which depends on rows and not on answers. Never raises, except for MemoryError."""
    target = Target(name="")
    found = learn(Facts(signature=signature, target=target, labels=[], training=training, held_out=held_out))
    notes = {part: note for part, note in found.record.notes.items() if part == "gate"}
    return Learned(found.record.model_copy(update={"notes": notes}), found.content)


class _Learning:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._notes: dict[Part, str] = {}
        self._encoding: Encoding | None = None
        self._gate: Fitting | None = None
        self._difficulty: Difficulty | None = None
        self._points = self._held_out_points = np.zeros((0, 0))

    def learn(self) -> Learned:
        gate = self._tried("gate", self._learn_gate)
        parts = self._learn_classes() if self._facts.labels else self._learn_interval()
        content = self._content()
        record = Sureness(
            rows=len(self._facts.held_out),
            sha256=None if content is None else hashlib.sha256(content).hexdigest(),
            bytes=len(content or b""),
            gate=gate,
            notes=self._notes,
            **parts,
        )
        return Learned(record, content)

    def _tried(self, part: Part, learn: Callable[[], T]) -> T | None:
        try:
            return learn()
        except Unsupported as reason:
            self._notes[part] = str(reason)
        except MemoryError:
            raise
        except Exception as error:  # registration goes on without this part, whatever failed
            logger.warning("The part %s of sureness could not be computed", part, exc_info=error)
            self._notes[part] = english(
                "It could not be computed ({error}); the log says more.", error=type(error).__name__
            )
        return None

    def _learn_gate(self) -> Gate:
        facts = self._facts
        if facts.task == "outliers":
            raise Unsupported(OWN_GATE)
        if not facts.training:
            raise Unsupported(NOT_TRAINING)
        encoding = fit_encoding(facts.training, facts.signature)
        self._points = encoding.encode(facts.training)
        self._held_out_points = encoding.encode(facts.held_out) if facts.held_out else self._points[:0]
        fitting = Fitting(encoding, self._points, self._held_out_points)
        experience = fitting.experience()
        self._encoding, self._gate = encoding, fitting
        return Gate(
            rows=len(experience.points),
            distance=experience.distance,
            beyond=experience.beyond,
            held_out=len(facts.held_out),
            held_out_outside=int(experience.is_outside(self._held_out_points).sum()),
        )

    def _content(self) -> bytes | None:
        if self._encoding is None or self._gate is None:
            return None
        difficulty = self._difficulty
        if difficulty is None:
            return pack(self._encoding, self._gate.experience())
        return pack(self._encoding, self._gate.experience(), difficulty.content, difficulty.mean)

    def _learn_classes(self) -> dict[str, Any]:
        calibration = self._tried("calibration", self._learn_calibration)
        sets = self._tried("sets", self._learn_sets)
        found = self._tried("sets", lambda: self._class_evidence(sets)) if sets else None
        evidence = {"class_evidence": found.by_grade, "never_clear": found.never_clear} if found else {}
        return {"calibration": calibration, "sets": sets, **evidence}

    def _learn_calibration(self) -> Calibration:
        return calibrate(*self._shares())

    def _learn_sets(self) -> Sets:
        return conformal.class_sets(*self._shares(), self._facts.labels)

    def _class_evidence(self, sets: Sets) -> conformal.ClassEvidence:
        shares, truth = self._shares()
        return conformal.class_evidence(shares, self._answers().outputs, truth, sets.coverage, self._outside)

    def _outside(self, fold: Mask) -> Mask:
        return self._gate.outside(fold) if self._gate else np.zeros(int(fold.sum()), dtype=bool)

    def _answers(self) -> RawPredictions:
        if self._facts.answers is None:
            raise Unsupported(NOT_HELD_OUT)
        if self._facts.truth is None:
            raise Unsupported(NO_TRUTH)
        facts = self._facts
        if all_repeated(KnownRows(facts.training, facts.training_truth), KnownRows(facts.held_out, facts.truth)):
            raise Unsupported(REPEATED)
        return self._facts.answers

    def _shares(self) -> tuple[Floats, Floats]:
        answers, truth = self._answers(), self._facts.truth
        if answers.probabilities is None or truth is None:
            raise Unsupported(NO_PROBABILITIES)
        return answers.probabilities, truth

    def _learn_interval(self) -> dict[str, Any]:
        found = self._tried("interval", self._interval)
        interval, evidence = found or (None, None)
        return {"interval": interval, "evidence": {"interval": evidence} if evidence else {}}

    def _interval(self) -> tuple[Interval, Evidence]:
        answers, facts = self._answers(), self._facts
        truth = np.zeros(0) if facts.truth is None else facts.truth
        errors, target = np.abs(answers.outputs - truth), facts.target
        limits = intervals.bounds(target.minimum, target.maximum, facts.training_truth, truth)
        found = self._tried("difficulty", lambda: self._learn_difficulty(errors))
        # All errors calibrate the interval, unless the difficulty was learned from half of them.
        self._difficulty, rows = found or (None, np.arange(len(errors)))
        sizes = self._difficulty.of(self._held_out_points[rows]) if self._difficulty else None
        interval = intervals.interval(errors[rows], sizes, limits)
        scales = np.ones(len(rows)) if sizes is None else sizes
        return interval, intervals.interval_evidence(errors[rows], scales, interval.coverage)

    def _learn_difficulty(self, errors: Floats) -> tuple[Difficulty, Any]:
        """The difficulty, and the positions of the held-out rows from which it was not learned."""
        if self._encoding is None or self._facts.training_data is None:
            raise Unsupported(NOT_TRAINING)
        try:
            chosen, theirs = out_of_fold_errors(self._facts.estimator, *self._facts.training_data)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a clone of an estimator may raise anything
            self._notes["difficulty"] = english(
                "The difficulty was learned from half of the held-out rows, since the estimator can't be fitted again:"
                " {error}.",
                error=type(error).__name__,
            )
        else:
            return fit_difficulty(self._points[chosen], theirs), np.arange(len(errors))
        half = np.random.default_rng(0).permutation(len(errors))
        learn, rest = np.sort(half[::2]), np.sort(half[1::2])
        return fit_difficulty(self._held_out_points[learn], errors[learn]), rest
