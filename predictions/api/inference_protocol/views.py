"""The paths of the protocol. Health is open to every probe. The others need the same permissions as the JSON API."""

import tomllib
from functools import cache

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions.api.inference_protocol import inputs, messages, outputs
from predictions.api.inference_protocol.triton import configuration, statistics
from predictions.api.threads import caller_of, request_of
from predictions.models import ModelVersion, RegisteredModel
from predictions.use_cases import lookup

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "statistics"]


class ProtocolView(APIView):
    """`messages` reads the bodies, not a parser of the framework."""

    schema = None  # the OpenAPI page describes the JSON API


class Live(ProtocolView):
    """`predictions.api.routes` answers this path."""

    def get(self, request: Request) -> Response:
        raise NotImplementedError


class Ready(ProtocolView):
    """Whether the database answers. `models/<name>/ready` says whether a model serves."""

    def get(self, request: Request) -> Response:
        RegisteredModel.objects.exists()
        return Response({"ready": True})


class Server(ProtocolView):
    def get(self, request: Request) -> Response:
        return Response({"name": "foretell", "version": product_version(), "extensions": EXTENSIONS})


class Model(ProtocolView):
    def get(self, request: Request, name: str, number: str | None = None) -> Response:
        version = lookup.find_version(name, number)
        numbers = version.registered_model.versions.order_by("number").values_list("number", flat=True)
        return Response(
            {
                "name": name,
                "versions": [str(one) for one in numbers],
                "platform": "sklearn_joblib",  # <project>_<format>, as the protocol spells it
                "inputs": inputs.metadata(version.signature),
                "outputs": outputs.metadata(version),
            }
        )


class ModelReady(ProtocolView):
    def get(self, request: Request, name: str, number: str | None = None) -> Response:
        version = lookup.find_version(name, number)
        lookup.check_not_paused(lookup.find_model(name))
        return Response({"name": name, "ready": True}) if version.is_available else _not_ready(name)


class Config(ProtocolView):
    """Triton's model configuration extension: what its tools need to make requests."""

    def get(self, request: Request, name: str, number: str | None = None) -> Response:
        return Response(configuration(lookup.find_version(name, number)))


class Statistics(ProtocolView):
    """Triton's statistics extension, of one model or of all."""

    def get(self, request: Request, name: str | None = None, number: str | None = None) -> Response:
        versions = ModelVersion.objects.champions() if name is None else [lookup.find_version(name, number)]
        return Response({"model_stats": [statistics(version) for version in versions]})


class RepositoryIndex(ProtocolView):
    """Triton's model repository extension, of which only the index is offered."""

    def post(self, request: Request) -> Response:
        body = messages.body_of(request_of(request))
        only_ready = bool(body) and messages.parse(body).get("ready") is True
        versions = ModelVersion.objects.filter(registered_model__is_present=True).defer("manifest")
        if only := caller_of(request).only_model:
            versions = versions.filter(registered_model__name=only)
        entries = map(_entry, versions.select_related("registered_model").order_by("registered_model__name", "number"))
        return Response([entry for entry in entries if entry["state"] == READY or not only_ready])


class Infer(ProtocolView):
    """The path of `predictions.api.inference_protocol.inference.infer`, which answers it. This view is never called."""

    def post(self, request: Request, name: str, number: str | None = None) -> Response:
        raise NotImplementedError


class NotOffered(ProtocolView):
    """Every other path: tracing, shared memory, loading and unloading. `predictions.api.threads` refuses it."""


def _entry(version: ModelVersion) -> dict[str, str]:
    """A version in the index. Why it cannot serve is not said to everybody."""
    reason = version.registered_model.paused_reason if version.is_available else "it does not serve here"
    state = UNAVAILABLE if reason else READY
    return {"name": version.registered_model.name, "version": str(version.number), "state": state, "reason": reason}


def _not_ready(name: str) -> Response:
    return Response({"error": f"Model {name!r} does not serve at the moment."}, status=503)


@cache
def product_version() -> str:
    """The version in pyproject.toml. The product runs from its checkout, so there is no installed package."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
