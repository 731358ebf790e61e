"""The services that can be measured, in the order of a round."""

from collections.abc import Collection

from benchmarks.services.configured import ManyModels, OnPostgres
from benchmarks.services.in_process import FastApi, FastApiOnnx
from benchmarks.services.model_servers import BentoML, LitServe, LitServeTwoServers, MLServer
from benchmarks.services.ours import Foretell
from benchmarks.services.peer import Peer
from benchmarks.services.reference import Reference
from benchmarks.services.service import Service
from benchmarks.services.sketch import Sketch

MODEL_SERVERS: tuple[type[Peer], ...] = (LitServe, LitServeTwoServers, MLServer, BentoML)
PEERS: tuple[type[Peer], ...] = (Sketch, *MODEL_SERVERS, FastApi, FastApiOnnx)
OURS: tuple[type[Foretell], ...] = (Foretell, OnPostgres, ManyModels)
SERVICES: tuple[type[Service], ...] = (*OURS, *PEERS, Reference)
ALWAYS = (Foretell, Reference)
# All of these are measured unless the option `--peers` chooses some of them.
OPTIONAL = [kind.name for kind in SERVICES if kind not in ALWAYS]


def chosen(names: Collection[str], workloads: Collection[str]) -> tuple[list[type[Service]], list[str]]:
    """The services to measure with these workloads, and the names of those that are not installed or not asked for."""
    asked = [kind for kind in SERVICES if kind in ALWAYS or kind.name in names]
    present = [kind for kind in asked if kind.is_installed() and set(kind.workloads) & set(workloads)]
    return present, [kind.name for kind in SERVICES if kind not in present]
