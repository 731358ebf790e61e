"""The questions of an import to the person who brings the estimator: what was assumed, and where to correct it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from predictions.serving.importing.columns import Decision
from predictions.serving.importing.draft import Draft
from predictions.serving.importing.inputs import Columns
from predictions.serving.importing.request import Request
from predictions.serving.importing.wording import listed


@dataclass(frozen=True, slots=True)
class Doubt:
    """A question to a person, and where its answer is written."""

    text: str
    place: str


def of_decisions(toml: Path, decisions: Sequence[Decision], draft: Draft) -> Iterator[Doubt]:
    for decision in decisions:
        at = f"{toml}, line {draft.lines[decision.feature.name]}"
        yield from (Doubt(f"`{decision.feature.name}` {doubt}", at) for doubt in decision.doubts)


def of_class_names(toml: Path, draft: Draft, *, by_answers: bool) -> Iterator[Doubt]:
    if "\nlabels = [" in draft.text:
        how = "as the answers fit best" if by_answers else "as a LabelEncoder sorts them"
        text = f"the classes, which are numbers, are named {how}: right?"
        yield Doubt(text, f"{toml}, line {draft.target_line}")


def of_data(request: Request, columns: Columns) -> Iterator[Doubt]:
    if columns.unused:
        yield Doubt(f"the estimator does not read {', '.join(columns.unused)}: left out", str(request.data))
    if request.target is None and columns.targets:
        text = f"{columns.targets[0]!r} is taken for the target, since it is the only other column"
        yield Doubt(text, "--target")


def of_order(names: Sequence[str], file: Path) -> Iterator[Doubt]:
    """The question for an estimator without names of columns, which are taken in the order of a file."""
    if len(names) > 1:
        text = f"the estimator keeps no names of its columns, so they are taken in the order of {file.name}"
        yield Doubt(f"{text}: {listed(names)}. Is this the order in which it was fitted?", str(file))
