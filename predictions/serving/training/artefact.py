"""An estimator as bytes, and the libraries that it was made with."""

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
    """Raises CannotRegister. With `by_value`, what no module defines is stored by its code, as cloudpickle does."""
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
    """Versions of Python, of what computes, and of each package that a part of the estimator comes from."""
    known = packages()
    modules = {type(part).__module__.partition(".")[0] for part in parts(estimator)}
    names = COMPUTES | {known[m][0] for m in modules if m in known}
    versions = {name: found for name in sorted(names) if (found := installed(name))}
    return {"python": platform.python_version(), **versions}


@cache
def packages() -> Mapping[str, list[str]]:
    """The installed packages of each module. To find them takes a fifth of a second."""
    return packages_distributions()
