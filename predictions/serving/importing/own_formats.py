"""Reads the formats that are not pickles: skops, ONNX, and the boosters' own files."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from predictions.serving.engines.file_estimators import (
    DTYPES,
    LightGBMClassifier,
    LightGBMRegressor,
    OnnxClassifier,
    OnnxClusterer,
    OnnxOutlierDetector,
    OnnxRegressor,
)
from predictions.serving.registration import CannotRegister
from predictions.serving.training.proof import said

Read = Callable[[Path], tuple[Any, tuple[str, ...]]]

_CLASS_NAMES = "The file keeps no names of its classes, which are 0, 1, …: name them in target.labels."
# The attribute in which XGBoost's scikit-learn classes keep what they are.
_OF_CLASS = "scikit_learn"
_SCORES = "scores"
_MARGINS = "binary:logitraw"
_CATBOOST_CLASSES = {
    "CrossEntropy", "Focal", "Logloss", "MultiClass", "MultiClassOneVsAll", "MultiCrossEntropy", "MultiLogloss",
}  # fmt: skip


def read_skops(path: Path) -> tuple[Any, tuple[str, ...]]:
    with _needs("skops", path):
        import skops.io  # noqa: PLC0415  # only for such files

    with _readable(path, "skops"):
        types = skops.io.get_untrusted_types(file=path)
        estimator = skops.io.load(path, trusted=types)
    remark = (
        f"It holds {len(types)} types that skops does not trust: {', '.join(types)}. They were loaded." if types else ""
    )
    return estimator, (remark,) if remark else ()


def read_xgboost(path: Path) -> tuple[Any, tuple[str, ...]]:
    with _needs("xgboost", path):
        import xgboost  # noqa: PLC0415  # only for such files

    with _readable(path, "XGBoost"):
        booster = xgboost.Booster(model_file=path)
        objective = json.loads(booster.save_config())["learner"]["learner_train_param"]["objective"]
        kind = _xgboost_type(booster, objective)
        estimators = {"classifier": xgboost.XGBClassifier, "ranker": xgboost.XGBRanker}
        estimator = estimators.get(kind, xgboost.XGBRegressor)()
        estimator.load_model(path)
        if booster.attr(_OF_CLASS) is None:
            # `Booster.predict` uses all rounds, and the class would stop at the best one.
            estimator.get_booster().set_attr(best_iteration=None)
    if kind == "classifier" and objective == _MARGINS:
        raise CannotRegister(f"{path} has the objective {_MARGINS}, which gives no probabilities: use binary:logistic.")
    return estimator, (_CLASS_NAMES,) if kind == "classifier" else ()


def _xgboost_type(booster: Any, objective: str) -> str:
    """The type of the scikit-learn class that saved the booster; by its objective if it was saved without a class."""
    kept = json.loads(booster.attr(_OF_CLASS) or "{}").get("_estimator_type")
    return str(kept or ("classifier" if objective.startswith(("binary:", "multi:")) else "regressor"))


def read_lightgbm(path: Path) -> tuple[Any, tuple[str, ...]]:
    with _needs("lightgbm", path):
        import lightgbm  # noqa: F401, PLC0415  # only for such files

    with _readable(path, "LightGBM"):
        text = path.read_text(encoding="utf-8")
        objective = next((line for line in text.splitlines() if line.startswith("objective=")), "").partition("=")[2]
        if not text.startswith("tree"):
            raise ValueError("it does not begin with 'tree'")
        is_classifier = objective.startswith(("binary", "multiclass", "cross_entropy"))
        estimator = (LightGBMClassifier if is_classifier else LightGBMRegressor)(text).read()
    return estimator, (_CLASS_NAMES,) if is_classifier else ()


def read_catboost(path: Path) -> tuple[Any, tuple[str, ...]]:
    with _needs("catboost", path):
        import catboost  # noqa: PLC0415  # only for such files

    with _readable(path, "CatBoost"):
        loss = catboost.CatBoost().load_model(str(path)).get_all_params().get("loss_function", "")
        is_classifier = loss.partition(":")[0] in _CATBOOST_CLASSES
        estimator = catboost.CatBoostClassifier() if is_classifier else catboost.CatBoostRegressor()
        estimator.load_model(str(path))
    return estimator, ()


def read_onnx(path: Path) -> tuple[Any, tuple[str, ...]]:
    """A graph whose first output is a number, or a label with the probabilities or with scores beside it."""
    with _readable(path, "ONNX"):
        graph = OnnxRegressor(path.read_bytes())
        inputs, outputs = graph.session.get_inputs(), graph.session.get_outputs()
    unknown = [one for one in inputs if one.type not in DTYPES]
    if unknown:
        raise CannotRegister(
            f"{path}: input {unknown[0].name!r} is a {unknown[0].type}; numbers, texts and bools are read."
        )
    if len(inputs) == 1 and not isinstance(inputs[0].shape[-1], int):
        raise CannotRegister(
            f"{path}: input {inputs[0].name!r} does not say how many columns it has: fix that dimension."
        )
    if len(outputs) == 1:
        return graph.read(), ()
    if outputs[1].name == _SCORES:
        return _without_classes(path, outputs[1].shape[-1]), ()
    classes = _onnx_classes(path)
    estimator = OnnxClassifier(path.read_bytes()).read()
    estimator.classes_ = np.array(classes)
    return estimator, ()


def _without_classes(path: Path, scores: int) -> Any:
    """skl2onnx writes one score beside the label of an outlier detector, and the distance of each cluster."""
    if scores == 1:
        return OnnxOutlierDetector(path.read_bytes()).read()
    estimator = OnnxClusterer(path.read_bytes()).read()
    estimator.n_clusters = scores
    return estimator


def _onnx_classes(path: Path) -> list[Any]:
    with _needs("onnx", path):
        from predictions.serving.importing.onnx_classes import classes_of  # noqa: PLC0415  # only for such files

    found = classes_of(path)
    if not found:
        raise CannotRegister(f"{path} names no classes: bring a graph that ends in labels and probabilities.")
    return found


READERS: dict[str, Read] = {
    ".skops": read_skops,
    ".onnx": read_onnx,
    ".json": read_xgboost,
    ".ubj": read_xgboost,
    ".txt": read_lightgbm,
    ".cbm": read_catboost,
}


@contextmanager
def _needs(package: str, path: Path) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        remedy = (
            "make boosters" if package in ("xgboost", "lightgbm", "catboost", "skops") else f"pip install {package}"
        )
        raise CannotRegister(f"{path} needs {package}, which is not installed: {remedy}.") from error


@contextmanager
def _readable(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # a library may raise anything on a damaged file
        raise CannotRegister(f"{path} cannot be read as a file of {what}: {said(error)}.") from error
