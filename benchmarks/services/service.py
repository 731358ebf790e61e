"""What a measured service is: processes behind a port, and the ways to ask it."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from benchmarks.load import Way
from benchmarks.processes import Processes, free_port
from benchmarks.workloads import Numbers


class Service:
    """`page` is a cheap one, asked for while the service is saturated; `keeps` says what of a prediction is durable."""

    name: ClassVar[str]
    text: ClassVar[str]
    keeps: ClassVar[str]
    page: ClassVar[str]
    packages: ClassVar[Sequence[str]]

    def __init__(self, folder: Path, artefacts: Path) -> None:
        """`folder` is the service's own; `artefacts` holds `<workload>.joblib`."""
        self.folder = folder
        self.artefacts = artefacts
        self.port = free_port()
        folder.mkdir(parents=True)
        self.processes = Processes(folder, self.environment())

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def ways(self) -> Sequence[Way]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Once, before the first start; not part of the cold start."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.processes.stop()

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Of the packages of the service, as installed where it runs."""
        return {name: version(name) for name in cls.packages}


def numbers(*values: object) -> Numbers:
    """Values of a JSON answer as numbers; raises ValueError or TypeError for what is none."""
    return tuple(float(value) for value in values)  # type: ignore[arg-type]
