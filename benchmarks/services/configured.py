"""Foretell with other variables, on PostgreSQL, and with many registered models."""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import ClassVar

from benchmarks.load import RequestStyle
from benchmarks.services.ours import Foretell, Waiting
from tests.support import postgres

# Durability as in a default installation of PostgreSQL: a commit is on the disk before it is confirmed.
POSTGRES = {"listen_addresses": "", "max_connections": "300", "log_min_messages": "warning", "shared_buffers": "512MB"}


class ConfiguredForetell(Foretell):
    """Foretell that prepares its own database instead of copying a prepared one. It is measured with one style."""

    connections = (32,)
    crowded = None

    @classmethod
    def with_variables(cls, **variables: str) -> type["ConfiguredForetell"]:
        return type("ConfiguredForetell", (cls,), {"variables": variables})

    @property
    def database(self) -> str | Path:
        return self.folder / "var" / "foretell.sqlite3"

    @property
    def names(self) -> Sequence[str]:
        """The registered models."""
        return [path.name for path in sorted(self.models.iterdir())]

    def prepare(self) -> None:
        self._manage_prepare(self.folder / "var")

    def styles(self) -> Sequence[RequestStyle]:
        return [Waiting()]


class OnPostgres(ConfiguredForetell):
    """Foretell with a PostgreSQL server of its own, which runs from the creation of this object to `stop`."""

    name = "foretell-postgresql"
    text = "as foretell, with a PostgreSQL that waits for the disk as its defaults do; its memory is not counted"
    keeps = "a row in PostgreSQL, committed before the 202, and again with its result"

    def __init__(self, folder: Path, artefacts: Path) -> None:
        self._server = ExitStack()
        self._url = self._server.enter_context(postgres.cluster(POSTGRES))
        super().__init__(folder, artefacts)

    @property
    def database(self) -> str | Path:
        return self._url

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "DATABASE_URL": self._url}

    def stop(self) -> None:
        super().stop()
        self._server.close()

    @classmethod
    def is_installed(cls) -> bool:
        try:
            postgres.binaries()
        except postgres.NotInstalledError:
            return False
        return True


class ManyModels(ConfiguredForetell):
    """Foretell with `count` copies of one registered model. Requests go to all of them in turn."""

    name = "foretell-50-models"
    text = "as foretell, with 50 copies of a model, which are requested in turn"
    workloads = ("hgb",)
    count: ClassVar[int] = 50
    warm_up_requests = 8 * 50

    @classmethod
    def of(cls, count: int, kind: type[ConfiguredForetell]) -> type["ManyModels"]:
        """A class like `kind`, with `count` models."""
        return type("ManyModels", (cls, kind), {"count": count, "warm_up_requests": max(200, 8 * count)})

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def names(self) -> Sequence[str]:
        return [f"{self.workloads[0]}-{number}" for number in range(1, self.count + 1)]

    def prepare(self) -> None:
        for name in self.names:
            copy_model(self.artefacts / "models" / self.workloads[0], self.models / name)
        super().prepare()

    def styles(self) -> Sequence[RequestStyle]:
        return [InTurn(self.names)]

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.models, ignore_errors=True)


class InTurn(Waiting):
    """Requests that wait. Each goes to the next of the models instead of the one that `workload` names."""

    def __init__(self, models: Sequence[str]) -> None:
        self._models = cycle(models)

    def request(self, workload: str, row: Sequence[float]) -> bytes:
        return super().request(next(self._models), row)


def copy_model(source: Path, target: Path) -> None:
    """Copy a registered model under the name of the target folder."""
    shutil.copytree(source, target)
    for path in target.rglob("version.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model": target.name}))
