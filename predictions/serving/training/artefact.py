"""Serializes an estimator, and lists the versions of the libraries that it was made with."""

import io
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from typing import Any

import cloudpickle
import joblib

from predictions.serving.engines.sklearn import parts
from predictions.serving.engines.verify import installed
from predictions.serving.registration import CannotRegister
from predictions.serving.training.proof import said

COMPUTES = {"numpy", "scipy", "joblib", "scikit-learn", "pandas", "skl2onnx", "onnxruntime"}


def dump(estimator: Any, *, by_value: bool = False) -> bytes:
    """The pickled estimator. Raises CannotRegister if it cannot be pickled.

    With `by_value`, classes and functions that no module defines are pickled by value (cloudpickle).
    """
    buffer = io.BytesIO()
    try:
        joblib.dump(estimator, buffer)
    except Exception as error:  # an estimator's own pickling may raise anything
        if by_value and (content := _by_value(estimator)) is not None:
            return content
        raise CannotRegister(
            f"The estimator cannot be stored ({said(error)}). A class or function that it uses must be importable: "
            f"define it in a module beside train.py, not in train.py, or give the module with --code."
        ) from error
    return buffer.getvalue()


def _by_value(estimator: Any) -> bytes | None:
    try:
        content: bytes = cloudpickle.dumps(estimator)
    except Exception:  # noqa: BLE001  # the first error tells more
        return None
    return content


def libraries(estimator: Any) -> dict[str, str]:
    """The versions of Python, of the numerical libraries, and of each package that defines a part of the estimator."""
    known = packages()
    modules = {type(part).__module__.partition(".")[0] for part in parts(estimator)}
    names = COMPUTES | {known[m][0] for m in modules if m in known}
    versions = {name: found for name in sorted(names) if (found := installed(name))}
    return {"python": platform.python_version(), **versions}


@cache
def packages() -> Mapping[str, list[str]]:
    """The installed packages of each module. Cached, since the search takes a fifth of a second."""
    return packages_distributions()
