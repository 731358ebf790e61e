"""Reads a fitted estimator from the file of an import. Reading a pickle runs the code in it."""

import pickle
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from predictions.serving.engines.sklearn import parts
from predictions.serving.importing.code import Code, in_main
from predictions.serving.importing.own_formats import READERS
from predictions.serving.registration import CannotRegister
from predictions.serving.training.proof import said
from predictions.serving.training.targets import final_step

PICKLES = (".joblib", ".pkl", ".pickle", ".cloudpickle", ".gz", ".z", ".bz2", ".xz", ".lzma", ".sav", "")
# Their fitted estimators have attributes that end in an underscore.
_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost")
_NOT_IN_MAIN = re.compile(r"Can't get attribute '(\w+)' on <module '(?:[\w.]+\.)?__main__'")
_NOT_IN_MODULE = re.compile(r"Can't get attribute '(\w+)' on <module '([\w.]+)'")


@dataclass(frozen=True, slots=True)
class Brought:
    """The estimator in a file. `remarks` are for the person who imports it."""

    estimator: Any
    remarks: tuple[str, ...] = ()


def read(path: Path, suffix: str, code: Code) -> Brought:
    """The estimator in a file of the format `suffix`. Raises CannotRegister, with the remedy."""
    if suffix in PICKLES:
        brought = Brought(read_pickle(path, code))
        _check_texts(path, brought.estimator)
    elif suffix in READERS:
        brought = Brought(*READERS[suffix](path))
    else:
        known = ", ".join([*PICKLES[:4], *READERS])
        raise CannotRegister(f"{path}: a file of this kind is not read. Bring {known}, or a folder of MLflow.")
    _check_estimator(path, brought.estimator)
    return brought


def read_pickle(path: Path, code: Code) -> Any:
    """Reads a file of joblib, pickle or cloudpickle, which have one format. Raises CannotRegister."""
    lent: dict[str, Any] = {}
    while True:
        try:
            with in_main(lent):
                return _loaded(path)
        except AttributeError as error:
            name = found[1] if (found := _NOT_IN_MAIN.search(str(error))) else ""
            if not name or name in lent:
                raise CannotRegister(_missing_name(path, error)) from error
            lent[name] = _from_code(path, code, name)


def _loaded(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", InconsistentVersionWarning)
            return joblib.load(path)
    except (AttributeError, MemoryError, CannotRegister):
        raise
    except InconsistentVersionWarning as error:
        raise CannotRegister(
            f"{path} was fitted with scikit-learn {error.original_sklearn_version}, and "
            f"{error.current_sklearn_version} is installed here: fit it again with this version."
        ) from error
    except ModuleNotFoundError as error:
        raise CannotRegister(_missing_module(path, error)) from error
    except (EOFError, pickle.UnpicklingError, KeyError, IndexError, ValueError, UnicodeDecodeError, OSError) as error:
        raise CannotRegister(
            f"{path} cannot be read as a file of joblib, pickle or cloudpickle ({said(error)}): write it again, for "
            f"example with joblib.dump(estimator, {path.name!r})."
        ) from error
    except Exception as error:  # a pickle may raise anything
        raise CannotRegister(f"{path} cannot be opened: {said(error)}.") from error


def _from_code(path: Path, code: Code, name: str) -> Any:
    try:
        return code.definition(name)
    except KeyError:
        raise CannotRegister(
            f"{path} needs {name}, which was defined in the script or notebook that fitted it: put it into a module, "
            f"for example steps.py, and give that with --code steps.py."
        ) from None


def _missing_module(path: Path, error: ModuleNotFoundError) -> str:
    top = str(error.name).partition(".")[0]
    return (
        f"{path} needs the module {error.name}, which is not installed here: give your own with --code {top}.py (or "
        f"the folder {top}), or install the package."
    )


def _missing_name(path: Path, error: AttributeError) -> str:
    found = _NOT_IN_MODULE.search(str(error))
    if not found:
        return f"{path} cannot be opened: {said(error)}."
    name, module = found.groups()
    return f"{path} needs {name} of the module {module}, which has no such name here: give the right one with --code."


def _check_texts(path: Path, estimator: Any) -> None:
    """CatBoost writes a file that it cannot open again if a model with text features comes from a pickle."""
    for part in parts(estimator):
        is_catboost = type(part).__module__.partition(".")[0] == "catboost"
        if is_catboost and part.is_fitted() and part.get_text_feature_indices():
            raise CannotRegister(
                f"{path} holds a {type(part).__name__} with text features, which CatBoost cannot store again: write it "
                f"with save_model('model.cbm') where it was fitted, and bring that file."
            )


def _check_estimator(path: Path, estimator: Any) -> None:
    kind = type(estimator)
    if isinstance(estimator, dict | list | tuple):
        raise CannotRegister(
            f"{path} holds a {kind.__name__}, not an estimator: store the fitted estimator alone, preprocessing and "
            f"all, as one Pipeline."
        )
    if kind.__name__ == "Booster" and not hasattr(estimator, "fit"):
        raise CannotRegister(
            f"{path} holds a bare {kind.__module__.partition('.')[0]} Booster: store the scikit-learn class, or save "
            f"the booster in its own format with save_model()."
        )
    if not hasattr(estimator, "predict"):
        raise CannotRegister(f"{path} holds a {kind.__module__}.{kind.__name__}, which has no predict().")
    _check_fitted(path, estimator)


def _check_fitted(path: Path, estimator: Any) -> None:
    """scikit-learn tells by names of attributes, which other people may not follow: their first prediction shows."""
    last = final_step(estimator)
    try:
        check_is_fitted(estimator)
    except (NotFittedError, AttributeError, TypeError) as error:
        if isinstance(error, NotFittedError) and type(last).__module__.partition(".")[0] in _LIBRARIES:
            raise CannotRegister(
                f"{path} holds a {type(estimator).__name__} that is not fitted: call fit() before storing it."
            ) from None
        if last is not estimator:  # a Pipeline asks scikit-learn before it predicts
            raise CannotRegister(
                f"{path} holds a Pipeline whose last step, {type(last).__name__}, is not fitted, or not so that "
                f"scikit-learn can tell: let its class inherit from BaseEstimator, and its fit() set an attribute "
                f"that ends in an underscore, such as model_."
            ) from None
