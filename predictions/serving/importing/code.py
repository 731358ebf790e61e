"""Reads the modules that an estimator needs (`--code`). They also supply what a pickle expects in `__main__`."""

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predictions.serving.engines.bundled_code import importable, module_name
from predictions.serving.registration import CannotRegister
from predictions.serving.training.artefact import packages
from predictions.serving.training.proof import said

_OURS = {"predictions", "project", "manage"}


@dataclass(frozen=True, slots=True)
class Code:
    """The sources of modules by path, relative to `folder`, from which `import` finds them."""

    folder: Path = Path()
    sources: Mapping[str, bytes] = field(default_factory=dict)

    def definition(self, name: str) -> Any:
        """The class or function of this name. Raises KeyError if there is none, CannotRegister for a broken module."""
        for path, source in self.sources.items():
            if name in _defined(path, source):
                return getattr(_imported(path), name)
        raise KeyError(name)


def read_code(path: Path) -> Code:
    """Reads a module, a package, or a folder of modules. Raises CannotRegister."""
    if path.is_file() and path.suffix == ".py":
        folder, files = path.parent, [path]
    elif path.is_dir():
        folder = path.parent if (path / "__init__.py").is_file() else path
        files = [file for file in sorted(path.rglob("*.py")) if not _is_hidden(file.relative_to(path))]
    else:
        raise CannotRegister(f"--code {path}: there is no such module (.py) or folder of modules.")
    if not files:
        raise CannotRegister(f"--code {path}: the folder holds no module (.py).")
    sources = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    _check_names(path, sources)
    return Code(folder.resolve(), sources)


@contextmanager
def brought_along(code: Code) -> Iterator[None]:
    """Within the context, the modules can be imported as a worker imports them."""
    with importable(code.sources, code.folder):
        yield


@contextmanager
def in_main(definitions: Mapping[str, Any]) -> Iterator[None]:
    """Within the context, `__main__` has these names too, unless it has them already."""
    main = sys.modules["__main__"]
    lent = {name: value for name, value in definitions.items() if not hasattr(main, name)}
    vars(main).update(lent)
    try:
        yield
    finally:
        for name in lent:
            delattr(main, name)


def _imported(path: str) -> Any:
    try:
        return importlib.import_module(module_name(path))
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise CannotRegister(f"--code: {path} cannot be imported: {said(error)}.") from error


def _defined(path: str, source: bytes) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise CannotRegister(f"--code: {path}{line} is no Python: {said(error)}.") from error
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _check_names(path: Path, sources: Mapping[str, bytes]) -> None:
    """Raises CannotRegister for a module that would hide an installed one, and so break what imports the latter."""
    tops = {module_name(source).partition(".")[0] for source in sources}
    taken = sorted(tops & (set(sys.stdlib_module_names) | packages().keys() | _OURS))
    if taken:
        raise CannotRegister(f"--code {path}: a module {taken[0]} is installed already: give yours another name.")
