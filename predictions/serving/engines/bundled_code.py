"""Imports the modules that are stored with a version: those beside its train.py, or given with --code.

Two versions may have different modules of the same name. So a version's modules are in `sys.modules` only while its
estimator is unpickled. The estimator's classes keep the modules alive afterwards.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from typing import Any

_lock = threading.RLock()


@contextmanager
def importable(sources: Mapping[str, bytes], folder: Path) -> Iterator[None]:
    """Within the context, `import` finds these sources first, by their paths relative to `folder`."""
    if not sources:
        yield
        return
    finder = _Sources(sources, folder)
    with _lock:
        others = {name: sys.modules.pop(name) for name in finder.paths if name in sys.modules}
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            for name in finder.paths:
                sys.modules.pop(name, None)
            sys.modules.update(others)


def module_name(path: str) -> str:
    """The name by which `import` finds the module at this relative path."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Sources(MetaPathFinder, SourceLoader):  # type: ignore[misc]  # typeshed's two bases disagree
    def __init__(self, sources: Mapping[str, bytes], folder: Path) -> None:
        self.paths = {module_name(path): str(folder / path) for path in sources}
        self._content = {str(folder / path): content for path, content in sources.items()}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in self.paths else None

    def get_filename(self, fullname: str) -> str:
        return self.paths[fullname]

    def get_data(self, path: Any) -> bytes:
        """Raises OSError for every other path. So Python neither reads nor writes byte code of these modules."""
        if path not in self._content:
            raise FileNotFoundError(path)
        return self._content[path]
