"""Makes a version from a fitted estimator: measures it, proves that it can be served, and stores it."""

import hashlib
import importlib.machinery
import importlib.util
import io
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median
from typing import Any, Literal

import joblib
import numpy as np
from sklearn.base import is_classifier

from predictions.serving.artifacts import publication, repository
from predictions.serving.artifacts.repository import Description, Golden, Manifest
from predictions.serving.compile.convert import compile_estimator
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.base import Floats, RawPredictions
from predictions.serving.engines.loader import open_version
from predictions.serving.engines.sklearn import SklearnEngine, parts, use_one_job
from predictions.serving.engines.verify import installed
from predictions.serving.schema.errors import InvalidInput, ModelUnavailable
from predictions.serving.schema.signature import Boolean, Signature, Value
from predictions.serving.training import metrics, profile, sureness

TIMED_CALLS = 20
COMPUTES = {"numpy", "scipy", "joblib", "scikit-learn", "skl2onnx", "onnxruntime"}


class CannotRegister(ValueError):
    """The estimator, its data and its description do not fit together; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows and their true targets. `x` has a column per feature in signature order: an array, or a DataFrame."""

    x: Any
    y: Any


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a `train()` returns: an estimator fitted on `training` alone, never on a row of `held_out`."""

    estimator: Any
    training: Split
    held_out: Split


@dataclass(frozen=True, slots=True)
class _Rows:
    values: list[list[Value]]
    truth: Floats


def train_and_register(root: Path, name: str) -> Manifest:
    """Runs `train()` of a model's train.py and stores what it returns as the next version.

    Raises repository.NoSuchModel, repository.BrokenFile, CannotRegister, or what train.py raises.
    """
    description = repository.describe(root, name)
    data = _train_function(root / name / "train.py")()
    return register(root, description, data.estimator, data.training, data.held_out)


def register(
    root: Path,
    description: Description,
    estimator: Any,
    training: Split | None,
    held_out: Split | None,
) -> Manifest:
    """Stores a fitted estimator as the next version of a described model.

    The profile comes from `training`. Metrics and the conformal quantile come from `held_out`, which the estimator
    must not have seen. Both may use all of it, since no metric depends on the quantile; the coverage that is
    reported as measured never judges a row by a quantile which that row helped to choose.
    Without data there are no metrics and no calibration, and the examples of the description are the golden rows.
    Raises CannotRegister.
    """
    use_one_job(estimator)
    oracle = _oracle(description, estimator, training or held_out)
    seen = _rows("training", training, oracle) if training else None
    unseen = _rows("held-out", held_out, oracle) if held_out else None
    proving = _proving_rows(description, unseen or seen)
    content = _dump(estimator)
    answers = _ask(oracle, unseen.values) if unseen else None
    learned = sureness.learn(_facts(description, oracle, training, seen, unseen, answers))
    manifest = Manifest(
        model=description.name,
        version=1,  # write_version knows the true one
        created_at=datetime.now(UTC),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        task=description.task,
        target=description.target,
        classes=oracle.classes,
        labels=[description.target.label(class_) for class_ in oracle.classes],
        signature=description.signature,
        input=oracle.input,
        libraries=_libraries(estimator),
        metrics=_measure(oracle, answers, seen, unseen),
        rows={"training": len(seen.values) if seen else 0, "held_out": len(unseen.values) if unseen else 0},
        profile=profile.profile(seen.values, oracle.signature) if seen else {},
        golden=_golden(oracle, proving),
        sureness=learned.record,
        predict_ms=_predict_ms(oracle, proving[0]),
    )
    # A version is stored only if it would be served: the stored bytes, opened anew, give the golden answers.
    open_version(manifest, lambda: content, None, learned.content)
    manifest, compiled = _compiled(manifest, oracle, proving, content)
    return publication.write_version(root, manifest, content, compiled, learned.content)


def _compiled(
    manifest: Manifest, oracle: SklearnEngine, rows: list[list[Value]], content: bytes
) -> tuple[Manifest, bytes | None]:
    """The manifest that says how the version was compiled, and what came of it; or why it was not."""
    try:
        made = compile_estimator(oracle, rows)
        manifest_with = manifest.model_copy(update={"compiled": made.record})
        open_version(manifest_with, lambda: content, made.content)
    except (NotCompiled, ModelUnavailable) as error:
        return manifest.model_copy(update={"not_compiled": str(error)}), None
    return manifest_with, made.content


def _oracle(description: Description, estimator: Any, data: Split | None) -> SklearnEngine:
    if (description.task == "classification") != is_classifier(estimator):
        raise CannotRegister(f"model.toml says {description.task}, and {type(estimator).__name__} is not made for it.")
    _check_columns(description.signature, estimator)
    frame = hasattr(estimator, "feature_names_in_") or (data is not None and hasattr(data.x, "columns"))
    input_: Literal["array", "frame"] = "frame" if frame else "array"
    classes = np.asarray(estimator.classes_).tolist() if description.task == "classification" else []
    labels = [description.target.label(class_) for class_ in classes]
    strangers = [class_ for class_, _ in description.target.labels if class_ not in classes]
    if classes and strangers:
        raise CannotRegister(f"target.labels names {strangers}, but the estimator knows only {classes}.")
    if len(set(labels)) < len(labels):
        raise CannotRegister(f"target.labels gives one label to several classes: {labels}.")
    return SklearnEngine(estimator, description.signature, classes, input_)


def _check_columns(signature: Signature, estimator: Any) -> None:
    count = getattr(estimator, "n_features_in_", len(signature.names))
    if count != len(signature.names):
        raise CannotRegister(f"The estimator takes {count} features, model.toml describes {len(signature.names)}.")
    names = tuple(getattr(estimator, "feature_names_in_", signature.names))
    if names != signature.names:
        raise CannotRegister(f"Features must be described in the estimator's order: {', '.join(names)}.")


def _rows(which: str, split: Split, oracle: SklearnEngine) -> _Rows:
    values = [
        _clean(f"Row {number} of the {which} data", row, oracle.signature)
        for number, row in enumerate(_listed(split.x, oracle.signature), start=1)
    ]
    truth = np.asarray(split.y).tolist()
    if not values or len(truth) != len(values):
        raise CannotRegister(f"The {which} data has {len(values)} rows and {len(truth)} targets.")
    if oracle.classes:
        truth = [_position(class_, oracle.classes, which) for class_ in truth]
    return _Rows(values, np.array(truth, dtype=np.float64))


def _listed(x: Any, signature: Signature) -> list[list[Any]]:
    """A table as rows of plain Python values: NaN becomes None, and 0.0 and 1.0 become booleans where one is due."""
    table = x[list(signature.names)].to_numpy(dtype=object) if hasattr(x, "columns") else np.asarray(x)
    rows: list[list[Any]] = table.tolist()
    flags = [isinstance(feature, Boolean) for feature in signature.features]
    return [
        [_plain(value, flag) for value, flag in zip(row, flags, strict=True)] if len(row) == len(flags) else row
        for row in rows
    ]


def _plain(value: Any, flag: bool) -> Any:
    if value != value:  # only NaN differs from itself
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return bool(value) if flag and value in (0, 1) else value


def _clean(place: str, row: list[Any], signature: Signature) -> list[Value]:
    try:
        return signature.clean(row)
    except InvalidInput as error:
        wrong = "; ".join(f"{p.feature or 'row'}: {p.message}" for p in error.problems)
        raise CannotRegister(f"{place} does not fit model.toml: {wrong}") from None


def _position(class_: Any, classes: Sequence[Any], which: str) -> int:
    if class_ not in classes:
        raise CannotRegister(f"The {which} data has class {class_!r}, which the estimator does not know.")
    return classes.index(class_)


def _ask(oracle: SklearnEngine, rows: list[list[Value]]) -> RawPredictions:
    try:
        return oracle.ask(rows)
    except ImportError as error:
        raise CannotRegister(f"The estimator was trained on a DataFrame; install pandas ({error}).") from error


def _proving_rows(description: Description, data: _Rows | None) -> list[list[Value]]:
    if data:
        return data.values
    if not description.examples:
        raise CannotRegister("Give data, or examples in model.toml: a version proves itself on rows.")
    return [description.signature.clean(example.values) for example in description.examples]


def _golden(oracle: SklearnEngine, rows: list[list[Value]]) -> Golden:
    chosen = [rows[place] for place in profile.golden_positions(_ask(oracle, rows))]
    answers = _ask(oracle, chosen)
    shares = answers.probabilities
    if not np.isfinite(answers.outputs).all() or (shares is not None and not np.isfinite(shares).all()):
        raise CannotRegister("The estimator's answers to its own data are not all finite numbers.")
    return Golden(
        rows=chosen,
        outputs=answers.outputs.tolist(),
        probabilities=None if shares is None else shares.tolist(),
    )


def _facts(
    description: Description,
    oracle: SklearnEngine,
    training: Split | None,
    seen: _Rows | None,
    unseen: _Rows | None,
    answers: RawPredictions | None,
) -> sureness.Facts:
    return sureness.Facts(
        signature=description.signature,
        target=description.target,
        labels=[description.target.label(class_) for class_ in oracle.classes],
        training=seen.values if seen else [],
        training_truth=seen.truth if seen else None,
        training_data=(training.x, training.y) if training else None,
        held_out=unseen.values if unseen else [],
        truth=unseen.truth if unseen else None,
        answers=answers,
        estimator=oracle.estimator,
    )


def _measure(
    oracle: SklearnEngine, answers: RawPredictions | None, seen: _Rows | None, unseen: _Rows | None
) -> dict[str, float]:
    if answers is None or unseen is None:
        return {}
    return metrics.measure(answers, unseen.truth, seen.truth if seen else None, len(oracle.classes))


def _predict_ms(oracle: SklearnEngine, row: list[Value]) -> float:
    spent = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        oracle.ask([row])
        spent.append(time.perf_counter() - started)
    return median(spent) * 1000


def _dump(estimator: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        joblib.dump(estimator, buffer)
    except Exception as error:  # an estimator's own pickling may raise anything
        raise CannotRegister(
            f"The estimator cannot be stored ({error}). A class or function that it uses must be importable, "
            f"so it cannot be defined in train.py."
        ) from error
    return buffer.getvalue()


def _libraries(estimator: Any) -> dict[str, str]:
    """Versions of Python, of what computes, and of each package that a part of the estimator comes from."""
    known = packages_distributions()
    modules = {type(part).__module__.partition(".")[0] for part in parts(estimator)}
    names = COMPUTES | {known[m][0] for m in modules if m in known}
    versions = {name: found for name in sorted(names) if (found := installed(name))}
    return {"python": platform.python_version(), **versions}


def _train_function(path: Path) -> Callable[[], TrainingData]:
    if not path.is_file():
        raise CannotRegister(f"{path} is missing: write one that defines train(), or use manage.py register_model.")
    name = f"_train_{path.parent.name.replace('-', '_')}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(path)))
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    finally:
        # What a worker could not import must not be found here either, or it would only fail there.
        del sys.modules[name]
    if not callable(getattr(module, "train", None)):
        raise CannotRegister(f"{path} defines no function train().")
    train: Callable[[], TrainingData] = module.train
    return train
