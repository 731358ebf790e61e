"""Reads the folder of an MLflow model by its MLmodel file; mlflow itself is not needed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from predictions.serving.registration import CannotRegister

MLMODEL = "MLmodel"
_WRITTEN_BY = {"cloudpickle": ".pkl", "pickle": ".pkl", "skops": ".skops"}
# Flavors, and the format in which each stores its own file.
_FLAVORS = {"sklearn": ".pkl", "xgboost": ".ubj", "lightgbm": ".txt", "catboost": ".cbm", "onnx": ".onnx"}


@dataclass(frozen=True, slots=True)
class MLflowModel:
    """`suffix` is the format of the file; `types` and `example` describe the inputs."""

    file: Path
    suffix: str
    code: Path | None
    types: dict[str, str]
    example: pd.DataFrame | None


def read_mlflow(folder: Path) -> MLflowModel:
    """The model in the folder. Raises CannotRegister if MLmodel is missing or damaged, or has no known flavor."""
    path = folder / MLMODEL
    if not path.is_file():
        raise CannotRegister(f"{folder} is a folder without an MLmodel file: give the file of the estimator itself.")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        flavors: dict[str, dict[str, Any]] = said["flavors"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CannotRegister(f"{path} cannot be read: it is no YAML with `flavors`.") from error
    name = next((flavor for flavor in _FLAVORS if flavor in flavors), None)
    if name is None:
        raise CannotRegister(f"{path} has the flavors {', '.join(flavors)}; one of {', '.join(_FLAVORS)} is read.")
    file = _inside(folder, path, flavors[name].get("pickled_model") or flavors[name].get("data") or "model.pkl")
    code = (flavors.get("python_function") or {}).get("code") or flavors[name].get("code")
    brought = _inside(folder, path, code) if code else None
    return MLflowModel(file, _suffix(name, flavors[name], file), brought, _types(said), _example(folder, said))


def _suffix(name: str, flavor: dict[str, Any], file: Path) -> str:
    if name == "sklearn":
        return _WRITTEN_BY.get(str(flavor.get("serialization_format", "pickle")), file.suffix)
    return file.suffix if file.suffix in (".pkl", ".joblib", ".json") else _FLAVORS[name]


def _types(said: dict[str, Any]) -> dict[str, str]:
    """The type of each named input by the model's signature; empty if it has none."""
    inputs = (said.get("signature") or {}).get("inputs") or "[]"
    try:
        columns = json.loads(inputs) if isinstance(inputs, str) else inputs
        return {str(column["name"]): str(column["type"]) for column in columns if "name" in column}
    except (ValueError, TypeError, KeyError):
        return {}


def _example(folder: Path, said: dict[str, Any]) -> pd.DataFrame | None:
    """The rows that were stored as an example, as pandas writes a table with orient="split"."""
    known = said.get("saved_input_example_info") or {}
    path = folder / str(known.get("artifact_path", ""))
    if known.get("type") != "dataframe" or not path.is_file():
        return None
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return pd.DataFrame(held["data"], columns=[str(name) for name in held["columns"]])
    except (ValueError, KeyError, TypeError):
        return None


def _inside(folder: Path, path: Path, relative: str) -> Path:
    found = (folder / relative).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.exists():
        raise CannotRegister(f"{path} names {relative}, which is not in the folder: bring the whole folder.")
    return found
