"""The interface of a measured service: processes behind a port, and the styles of its requests."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from benchmarks.load import RequestStyle
from benchmarks.processes import Processes
from benchmarks.workloads import Numbers
from tests.support.product import free_port


class Service:
    """`page` is the path of a cheap page, timed under load. `keeps` names the durable part of a prediction.

    `gives` says in sentences how a request is answered, and what happens to it when a process ends.
    """

    name: ClassVar[str]
    text: ClassVar[str]
    keeps: ClassVar[str]
    gives: ClassVar[str]
    page: ClassVar[str]
    packages: ClassVar[Sequence[str]]
    # The workloads that are measured, and the numbers of connections beside 1.
    workloads: ClassVar[Sequence[str]] = ("lr", "rf", "hgb")
    connections: ClassVar[Sequence[int]] = (32, 256)
    # Enough for each process of a pool to load each estimator.
    warm_up_requests: ClassVar[int] = 100

    def __init__(self, folder: Path, artefacts: Path) -> None:
        """`folder` holds the files of this service; `artefacts` holds `<workload>.joblib`."""
        self.folder = folder
        self.artefacts = artefacts
        self.port = free_port()
        folder.mkdir(parents=True)
        self.processes = Processes(folder, self.environment())

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def styles(self) -> Sequence[RequestStyle]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Runs once before the start. The cold start does not include it."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self.processes.stop()

    @classmethod
    def is_installed(cls) -> bool:
        return True

    @classmethod
    def versions(cls) -> dict[str, str]:
        """The versions of the packages in the environment of the service."""
        return {name: version(name) for name in cls.packages}


def numbers(*values: object) -> Numbers:
    """Values of a JSON answer as floats. Raises ValueError or TypeError for other values."""
    return tuple(float(value) for value in values)  # type: ignore[arg-type]
