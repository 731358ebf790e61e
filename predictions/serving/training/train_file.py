"""Runs a train.py, and finds the modules beside it that its estimator needs."""

import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sklearn import config_context

from predictions.serving.artifacts.repository import VERSIONS
from predictions.serving.engines.bundled_code import module_name
from predictions.serving.registration import CannotRegister, TrainingData
from predictions.serving.training.proof import said

_RETURN = "train() must return TrainingData(estimator, Split(x, y), Split(x, y))"


@contextmanager
def own_imports(folder: Path) -> Iterator[None]:
    """Within the context, `import` finds modules of the folder first. Afterwards these are unloaded.

    Two models may have modules of the same name. And this process must not keep modules that a worker cannot import.
    """
    path, known = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        with config_context():  # a train.py may set scikit-learn's configuration
            yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            if _is_inside(sys.modules[name], folder):
                del sys.modules[name]


def run(path: Path) -> TrainingData:
    """Calls the `train()` of a train.py. Raises CannotRegister, with the line of the file where it failed."""
    if not path.is_file():
        raise CannotRegister(f"{path} is missing: write one that defines train(), or use manage.py register_model.")
    try:
        data = _train_function(path)()
    except CannotRegister:
        raise
    except (Exception, SystemExit) as error:  # train.py may raise anything
        raise CannotRegister(f"{path} failed{_line(path, error)}: {said(error)}.") from error
    if not isinstance(data, TrainingData):
        raise CannotRegister(f"{path}: {_RETURN}; it returned a {type(data).__name__}.")
    return data


def modules_beside(folder: Path) -> dict[str, bytes]:
    """The sources to store with the version, by relative path: all modules of the folder, if any was imported.

    Names that begin with `.` or `_` are left out.
    """
    sources = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.py")) if _is_source(path, folder)}
    found = [sys.modules.get(module_name(path)) for path in sources]
    if not any(module is not None and _is_inside(module, folder) for module in found):
        return {}
    return {path: file.read_bytes() for path, file in sources.items()}


def _train_function(path: Path) -> Any:
    name = f"_train_{path.parent.name.replace('-', '_')}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    finally:
        # A worker cannot import this module. If it stayed importable here, its classes would fail only in the worker.
        del sys.modules[name]
    if not callable(getattr(module, "train", None)):
        raise CannotRegister(f"{path} defines no function train().")
    return module.train


def _line(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f" in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" in line {lines[-1]}" if lines else ""


def _is_source(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith((".", "_")) and part != "__init__.py" for part in parts)
    return not hidden and parts[0] not in (VERSIONS, "train.py")


def _is_inside(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).resolve().is_relative_to(folder.resolve())
