"""Reads the folders of registered models: files say what exists.

    <root>/<name>/model.toml, CARD.md, train.py            written by hand
    <root>/<name>/versions/<n>/                            written once by `publication`, then immutable
    <root>/<name>/versions/<n>/estimator.joblib            the fitted estimator
    <root>/<name>/versions/<n>/estimator.onnx              its compiled form, if there is one
    <root>/<name>/versions/<n>/sureness.npz                arrays that tell how sure an answer is
    <root>/<name>/versions/<n>/code/                       modules from beside train.py, or from --code
    <root>/<name>/versions/<n>/version.json                the manifest

Nothing here opens an estimator, so the web process may import it.
"""

import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import ESTIMATOR, MANIFEST, Manifest
from predictions.serving.schema.wording import is_storable, printable

logger = logging.getLogger(__name__)

DESCRIPTION = "model.toml"
CARD = "CARD.md"
VERSIONS = "versions"

# Names come from URLs too: a name that does not match must never reach the file system.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class NoSuchModel(LookupError):
    """No folder with a model.toml has this name."""


class NoSuchVersion(LookupError):
    """The model has no version of this number."""


class BrokenFile(ValueError):
    """A file of a registered model has invalid content; the message names the file and the places."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(f"{path}: {'; '.join(problems)}")
        self.path = path
        self.problems = problems


class OutdatedVersion(BrokenFile):
    """The version was made before versions kept the types of their training data."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, [f"it was made by an earlier Foretell: run manage.py train {name}"])


def is_name(name: str) -> bool:
    """Whether a registered model may have this name. Any other name must never reach the file system."""
    return _NAME.fullmatch(name) is not None


def describe(root: Path, name: str) -> Description:
    """The description of one model. Raises NoSuchModel, or BrokenFile naming each place."""
    home = folder(root, name)
    path, card = home / DESCRIPTION, home / CARD
    text = _text(path)
    about = _text(card) if card.is_file() else ""
    if not is_storable(about):
        raise BrokenFile(card, ["has a character that cannot be stored"])
    try:
        found = _description(name, text, about)
    except tomllib.TOMLDecodeError as error:
        raise BrokenFile(path, [str(error)]) from error
    except ValidationError as error:
        raise BrokenFile(path, _places(error)) from error
    _check_storable(path, found)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BrokenFile(path, [str(error)]) from error


@lru_cache(maxsize=256)
def _description(name: str, text: str, card: str) -> Description:
    """The validated description. Cached, because validation is slow and the same text always gives the same result."""
    return Description.model_validate({**tomllib.loads(text), "name": name, "card": card})


def descriptions(root: Path, on_broken: Callable[[BrokenFile], None] | None = None) -> list[Description]:
    """All models that can be read, by name. A broken folder does not affect the others: its error goes to `on_broken`,
    or to the log."""
    report = on_broken or _log
    found = []
    for folder in _folders(root):
        if not is_name(folder.name):
            report(BrokenFile(folder, ["rename the folder: a-z, 0-9, - and _ only, at most 64"]))
            continue
        try:
            found.append(describe(root, folder.name))
        except BrokenFile as error:
            report(error)
    return found


def manifest(root: Path, name: str, number: int) -> Manifest:
    """One version's manifest. Raises NoSuchModel, NoSuchVersion or BrokenFile."""
    path = folder(root, name) / VERSIONS / str(int(number)) / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchVersion(f"{name} has no version {number}") from None
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        if {("input", "extra_forbidden"), ("input_schema", "missing")} <= _kinds(error):
            raise OutdatedVersion(path, name) from None
        raise BrokenFile(path, _places(error)) from error
    if (found.model, found.version) != (name, number):
        raise BrokenFile(path, [f"says it is version {found.version} of {found.model}"])
    _check_storable(path, found)
    return found


def manifests(root: Path, name: str, on_broken: Callable[[BrokenFile], None] | None = None) -> list[Manifest]:
    """All versions of a model that can be read, oldest first; broken ones go to `on_broken` or the log."""
    report = on_broken or _log
    found = []
    for number in numbers(folder(root, name) / VERSIONS):
        try:
            found.append(manifest(root, name, number))
        except NoSuchVersion:
            report(BrokenFile(root / name / VERSIONS / str(number), [f"holds no {MANIFEST}"]))
        except BrokenFile as error:
            report(error)
    return found


def artefact(root: Path, name: str, number: int, file: str = ESTIMATOR) -> Path:
    """The path of a version's estimator, or of another of its files; the file need not exist. Raises NoSuchModel."""
    return folder(root, name) / VERSIONS / str(int(number)) / file


def folder(root: Path, name: str) -> Path:
    """The folder of a model. Raises NoSuchModel."""
    if not is_name(name) or not (root / name / DESCRIPTION).is_file():
        raise NoSuchModel(f"no model is called {name!r}")
    return root / name


def _folders(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(path.parent for path in root.glob(f"[!._]*/{DESCRIPTION}"))


def numbers(versions: Path) -> list[int]:
    """The numbers of the versions in this folder, lowest first."""
    if not versions.is_dir():
        return []
    return sorted(int(path.name) for path in versions.iterdir() if re.fullmatch(r"[1-9][0-9]{0,8}", path.name))


def _check_storable(path: Path, found: Description | Manifest) -> None:
    """Raises BrokenFile with the places of texts with NUL. The parsers of TOML and JSON refuse half of a surrogate pair
    themselves.
    """
    if "\\u0000" not in found.model_dump_json():
        return
    if places := list(_unstorable(found.model_dump(mode="json", by_alias=True))):
        raise BrokenFile(path, [f"{place}: has a character that cannot be stored" for place in places])


def _unstorable(said: Any, place: str = "") -> Iterator[str]:
    if isinstance(said, str) and not is_storable(said):
        yield place
    parts = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for name, part in parts:
        at = f"{place}.{printable(name)}".lstrip(".")
        yield from _unstorable(str(name), at)
        yield from _unstorable(part, at)


def _kinds(error: ValidationError) -> set[tuple[str, str]]:
    return {(str(detail["loc"][0]), detail["type"]) for detail in error.errors() if detail["loc"]}


def _places(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(step) for step in detail['loc']) or 'as a whole'}: {detail['msg']}"
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _log(error: BrokenFile) -> None:
    logger.error("Skipped a registered model's file that cannot be read: %s", error)
