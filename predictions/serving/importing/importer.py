"""Registers a fitted estimator from a file: reads it, decides on its columns, describes, proves and stores it."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.description import Description, Target, Task, together
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.importing import class_names, doubts, inputs, next_version, readers, readings
from predictions.serving.importing.card import card
from predictions.serving.importing.class_names import Answers
from predictions.serving.importing.code import Code, brought_along, read_code
from predictions.serving.importing.columns import Decision, decide, label_of
from predictions.serving.importing.data_file import place, read_table
from predictions.serving.importing.doubts import Doubt
from predictions.serving.importing.draft import Draft, draft_description
from predictions.serving.importing.examples import examples
from predictions.serving.importing.inputs import Columns
from predictions.serving.importing.mlflow_folder import MLflowModel, read_mlflow
from predictions.serving.importing.readers import Brought
from predictions.serving.importing.request import Request, check_request
from predictions.serving.importing.targets import target_classes, target_values
from predictions.serving.registration import CannotRegister, Split
from predictions.serving.training.fresh_process import prove_in_fresh_process
from predictions.serving.training.register import Prove, register
from predictions.serving.training.targets import task_of

VERBS = {"outliers": "Finds what is", "clusters": "Finds the", "classification": "Predicts", "regression": "Predicts"}
Say = Callable[[str], None]
_ROW = re.compile(r"\b([Rr])ow (\d+) of the (training|held-out) data")


@dataclass(frozen=True, slots=True)
class Imported:
    """`decisions` is empty if the model had a description already."""

    manifest: Manifest
    folder: Path
    decisions: list[Decision]
    doubts: list[Doubt]


@dataclass(frozen=True, slots=True)
class _Data:
    columns: Columns
    frame: pd.DataFrame
    table: pd.DataFrame

    def answers_of(self, estimator: Any) -> Answers:
        return Answers(estimator, inputs.handed_over(self.table[list(self.columns.names)], self.columns.container))


def import_model(root: Path, request: Request, say: Say, prove: Prove = prove_in_fresh_process) -> Imported:
    """Registers a fitted estimator as the next version of a model. For a new model it drafts model.toml and CARD.md.

    If it fails, it leaves no files behind. Raises CannotRegister, repository.BrokenFile or OSError.
    """
    check_request(request)
    if not request.path.exists():
        raise CannotRegister(f"{request.path} is not there: check the path of the estimator's file.")
    folder = read_mlflow(request.path) if request.path.is_dir() else None
    file = folder.file if folder else request.path
    code = _code(request, folder)
    with brought_along(code):
        say(f"Reading {file}")
        brought = readers.read(file, folder.suffix if folder else file.suffix.lower(), code)
        try:
            return _Import(root, request, brought, code, folder, say, prove).run()
        except CannotRegister as error:
            raise CannotRegister(_with_lines(str(error), request)) from error


class _Import:
    def __init__(
        self,
        root: Path,
        request: Request,
        brought: Brought,
        code: Code,
        folder: MLflowModel | None,
        say: Say,
        prove: Prove,
    ) -> None:
        self._root = root
        self._request = request
        self._code = code
        self._types = folder.types if folder else {}
        self._example = folder.example if folder else None
        self._estimator = brought.estimator
        self._say = say
        self._prove = prove
        self._task: Task = task_of(brought.estimator)
        self._home = root / request.name
        self._doubts: list[Doubt] = [Doubt(remark, "") for remark in brought.remarks]
        self._is_named_by_answers = False

    def run(self) -> Imported:
        data = self._read_data()
        if (self._home / repository.DESCRIPTION).is_file():
            return self._next_version(data)
        if self._home.exists():
            raise CannotRegister(f"{self._home} is there without a model.toml: remove it, or choose another --name.")
        return self._first_version(data)

    # --- The data -----------------------------------------------------------------------------------------------------
    def _read_data(self) -> _Data | None:
        request = self._request
        if request.data is None:
            return None
        self._say(f"Reading {request.data}")
        first = read_table(request.data)
        columns = inputs.columns_of_data(request.data, first, self._estimator, self._task, request.target)
        frame = inputs.read_rows(request.data, columns, self._estimator)
        settled = readings.settle(request.data, frame, columns, self._estimator)
        self._doubts += [Doubt(f"`{name}` {doubt}", str(request.data)) for name, doubt in settled.doubts.items()]
        table = inputs.as_input(request.data, settled.frame, settled.columns)
        return _Data(settled.columns, settled.frame, table)

    def _splits(self, data: _Data | None, description: Description) -> tuple[Split | None, Split | None]:
        request = self._request
        if data is None or request.data is None:
            return None, None
        training = self._split(request.data, data.frame, data.table, data.columns, description)
        if request.held_out is None:
            return training, None
        self._say(f"Reading {request.held_out}")
        frame = inputs.read_rows(request.held_out, data.columns, self._estimator, like=data.table)
        for name in data.columns.targets:
            if name not in frame.columns:
                raise CannotRegister(f"{request.held_out} has no column {name!r}, the target.")
        table = inputs.as_input(request.held_out, frame, data.columns, like=data.table)
        return training, self._split(request.held_out, frame, table, data.columns, description)

    def _split(
        self, path: Path, frame: pd.DataFrame, table: pd.DataFrame, columns: Columns, description: Description
    ) -> Split:
        x = inputs.handed_over(table[list(columns.names)], columns.container)
        if not columns.targets:
            return Split(x)
        truth = [
            target_values(path, frame[name], classes, target.labels)
            for name, classes, target in zip(
                columns.targets, target_classes(self._estimator, len(columns.targets)),
                description.targets or [description.target], strict=True,
            )
        ]  # fmt: skip
        return Split(x, truth[0] if len(truth) == 1 else np.column_stack([column.astype(object) for column in truth]))

    # --- Versions -----------------------------------------------------------------------------------------------------
    def _first_version(self, data: _Data | None) -> Imported:
        columns, table = (data.columns, data.table) if data else self._without_data()
        decisions = [
            decide(name, columns.witnesses.get(at), None if table is None else table[name], self._type_said(data, name))
            for at, name in enumerate(columns.names)
        ]
        draft = self._draft(columns, data, table, decisions)
        with _staging(self._root, self._request.dry_run) as staging:
            home = staging / self._request.name
            home.mkdir()
            (home / repository.DESCRIPTION).write_text(draft.text, encoding="utf-8")
            manifest = self._register(staging, data)
            title = repository.describe(staging, self._request.name).title
            kind = type(self._estimator).__name__
            text = card(title, self._request.path, self._request.data, manifest, kind)
            (home / repository.CARD).write_text(text, encoding="utf-8")
            if not self._request.dry_run:
                home.rename(self._home)
        self._doubt(columns, decisions, draft, manifest)
        return Imported(manifest, self._home, decisions, self._doubts)

    def _type_said(self, data: _Data | None, name: str) -> str:
        """The type of a column by an MLflow signature; bools of the data, which are numbers to some estimators."""
        return "boolean" if data is not None and inputs.holds_yes_no(data.frame[name]) else self._types.get(name, "")

    def _next_version(self, data: _Data | None) -> Imported:
        toml = self._home / repository.DESCRIPTION
        self._say(f"{toml} describes the model already; it is kept as it is")
        self._compare(toml, data)
        if not self._request.dry_run:
            return Imported(self._register(self._root, data), self._home, [], self._doubts)
        with _staging(self._root, dry_run=True) as staging:
            (staging / self._request.name).mkdir()
            shutil.copy(toml, staging / self._request.name)
            return Imported(self._register(staging, data), self._home, [], self._doubts)

    def _compare(self, toml: Path, data: _Data | None) -> None:
        """Raises CannotRegister if model.toml describes other columns, targets or classes."""
        description = repository.describe(self._root, self._request.name)
        if data is None or self._request.data is None:
            self._doubts += next_version.compare_without_data(toml, description, self._estimator)
            return
        self._doubts += next_version.compare(toml, description, data.columns, self._request.data)
        if data.columns.targets:
            truth = [data.frame[name] for name in data.columns.targets]
            class_names.check_names(toml, description, data.answers_of(self._estimator), truth)

    def _register(self, root: Path, data: _Data | None) -> Manifest:
        description = repository.describe(root, self._request.name)
        training, held_out = self._splits(data, description)
        return register(
            root, description, self._estimator, training, held_out, self._prove,
            code=self._code.sources, by_value=True, say=self._say,
            source=self._request.digest(root / self._request.name / repository.DESCRIPTION),
        )  # fmt: skip

    # --- Description and doubts ---------------------------------------------------------------------------------------
    def _without_data(self) -> tuple[Columns, pd.DataFrame | None]:
        """The columns by the estimator alone, or by the example in the MLflow folder."""
        if self._example is None:
            return inputs.columns_without_data(self._request.path, self._estimator), None
        columns = inputs.columns_of_example(self._request.path, self._example, self._estimator)
        return columns, inputs.as_input(self._request.path, self._example, columns)

    def _draft(
        self, columns: Columns, data: _Data | None, table: pd.DataFrame | None, decisions: list[Decision]
    ) -> Draft:
        targets = self._targets(columns, data)
        single = columns.targets[0] if len(columns.targets) == 1 else None
        truth = data.frame[single] if data is not None and single else None
        return draft_description(
            self._request.title or label_of(self._request.name.replace("-", " ")),
            f"{VERBS[self._task]} {together([target.name for target in targets])} "
            f"from {_counted(len(columns.names), 'value')}.",
            self._task,
            targets,
            decisions,
            examples(decisions, table, truth, self._task),
        )

    def _targets(self, columns: Columns, data: _Data | None) -> list[Target]:
        if data is None or not columns.targets:
            return [Target(name=columns.targets[0] if columns.targets else _target_name(self._task))]
        known, answers = target_classes(self._estimator, len(columns.targets)), data.answers_of(self._estimator)
        namings = [
            class_names.naming(answers, place, data.frame[name], classes)
            for place, (name, classes) in enumerate(zip(columns.targets, known, strict=True))
        ]
        self._is_named_by_answers = any(naming.is_by_answers for naming in namings)
        return [Target(name=name, labels=one.labels) for name, one in zip(columns.targets, namings, strict=True)]

    def _doubt(self, columns: Columns, decisions: list[Decision], draft: Draft, manifest: Manifest) -> None:
        toml = self._home / repository.DESCRIPTION
        self._doubts += doubts.of_decisions(toml, decisions, draft)
        self._doubts += doubts.of_class_names(toml, draft, by_answers=self._is_named_by_answers)
        self._doubts += doubts.of_data(self._request, columns)
        if columns.is_order_assumed:
            self._doubts += doubts.of_order(columns.names, self._request.data or self._request.path)
        if manifest.rows["held_out"] == 0 and self._task in ("classification", "regression"):
            self._doubts.append(
                Doubt("how good it is was not measured, and no answer says how sure it is", "--held-out FILE")
            )
        self._doubts.append(
            Doubt("what it is for, and its limits, are for a person to write", str(self._home / repository.CARD))
        )


def _code(request: Request, folder: MLflowModel | None) -> Code:
    path = request.code or (folder.code if folder else None)
    return read_code(path) if path else Code()


@contextmanager
def _staging(root: Path, dry_run: bool) -> Iterator[Path]:
    """A temporary folder beside the models, so that a rename publishes a new model whole; elsewhere for a dry run."""
    if not dry_run:
        root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=None if dry_run else root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _target_name(task: Task) -> str:
    return {"outliers": "unusual", "clusters": "cluster"}.get(task, "prediction")


def _with_lines(message: str, request: Request) -> str:
    """The message, with the line in the file added to each row number."""

    def located(found: re.Match[str]) -> str:
        path = request.data if found[3] == "training" else request.held_out
        return f"{found[0]} ({place(path, int(found[2]) - 1)})" if path else found[0]

    return _ROW.sub(located, message)
