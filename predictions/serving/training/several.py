"""The metrics, the sureness and the figures of each target, for a version with several targets."""

from collections.abc import Sequence
from dataclasses import dataclass

from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.figures import Figures
from predictions.serving.artifacts.manifest import TargetOutput
from predictions.serving.artifacts.sureness import Sureness
from predictions.serving.engines.base import Floats, RawPredictions
from predictions.serving.engines.predictor import by_target
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Value
from predictions.serving.training import figures, metrics, sureness
from predictions.serving.training.repeats import KnownRows, all_repeated
from predictions.serving.training.targets import labels_of


@dataclass(frozen=True, slots=True)
class Data:
    """Rows and their true answers, a column for each target. `answers` are given for held-out rows."""

    values: list[list[Value]]
    truth: Floats | None
    answers: RawPredictions | None = None

    @property
    def known(self) -> KnownRows:
        return KnownRows(self.values, self.truth)

    def of(self, place: int, targets: Sequence[TargetOutput]) -> "Data":
        answers = None if self.answers is None else by_target(self.answers, targets)[place]
        return Data(self.values, None if self.truth is None else self.truth[:, place], answers)


def learn_targets(
    description: Description, engine: SklearnEngine, seen: Data | None, unseen: Data | None
) -> list[TargetOutput]:
    """An entry for each target, in the estimator's order; empty if there is one target. Raises CannotRegister."""
    named = [
        TargetOutput(target=target, classes=list(classes), labels=labels_of(description.task, target, classes))
        for target, classes in zip(description.targets, engine.targets, strict=True)
    ]
    return [
        _learned(description, one, seen and seen.of(place, named), unseen and unseen.of(place, named))
        for place, one in enumerate(named)
    ]


def _learned(description: Description, one: TargetOutput, seen: Data | None, unseen: Data | None) -> TargetOutput:
    record = _sureness(description, one, seen, unseen)
    new = None if seen and unseen and all_repeated(seen.known, unseen.known) else unseen
    return one.model_copy(
        update={
            "metrics": _metrics(one, record, seen, new),
            "sureness": record,
            "figures": _figures(one, record, seen, new),
        }
    )


def _sureness(description: Description, one: TargetOutput, seen: Data | None, unseen: Data | None) -> Sureness:
    """Sets, or an interval of one width: the difficulty of a row and the gate are not learned for each target."""
    found = sureness.learn(
        sureness.Facts(
            signature=description.signature,
            target=one.target,
            labels=one.labels,
            task=description.task,
            training=seen.values if seen else [],
            training_truth=seen.truth if seen else None,
            held_out=unseen.values if unseen else [],
            truth=unseen.truth if unseen else None,
            answers=unseen.answers if unseen else None,
        )
    ).record
    notes = {part: note for part, note in found.notes.items() if part not in ("gate", "difficulty")}
    return found.model_copy(update={"sha256": None, "bytes": 0, "gate": None, "notes": notes})


def _metrics(one: TargetOutput, record: Sureness, seen: Data | None, unseen: Data | None) -> dict[str, float]:
    if unseen is None or unseen.truth is None or unseen.answers is None:
        return {}
    training = seen.truth if seen else None
    return metrics.measure(unseen.answers, unseen.truth, training, len(one.classes), record.calibration)


def _figures(one: TargetOutput, record: Sureness, seen: Data | None, unseen: Data | None) -> Figures:
    found, count = Figures(), len(one.classes)
    if unseen is not None and unseen.truth is not None and unseen.answers is not None:
        found = figures.counted(count, record.calibration, figures.HeldOut(unseen.values, unseen.truth, unseen.answers))
    if count or seen is None or seen.truth is None:
        return found
    return found.model_copy(update={"target": figures.distribution(seen.truth)})
