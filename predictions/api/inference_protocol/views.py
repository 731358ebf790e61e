"""The paths of the protocol. Health is open to every probe; the rest asks for what the JSON API asks for."""

import tomllib
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from predictions.api import addresses
from predictions.api.inference_protocol import errors, inputs, messages, outputs
from predictions.api.inference_protocol.inference import infer
from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.wording import printable
from predictions.use_cases.callers import caller_of


class ProtocolView(APIView):
    """Bodies are read by `messages`, not by a parser of the framework."""

    schema = None  # the OpenAPI page describes the JSON API

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.handle


class Live(ProtocolView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({"live": True})


class Ready(ProtocolView):
    """Whether all that should serve does: no champion is known to be unavailable."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        if broken := ModelVersion.objects.champions().exclude(unavailable_reason="").defer("manifest").first():
            return _not_ready(broken.registered_model.name)
        return Response({"ready": True})


class Server(ProtocolView):
    def get(self, request: Request) -> Response:
        return Response({"name": "foretell", "version": product_version(), "extensions": ["binary_tensor_data"]})


class Model(ProtocolView):
    def get(self, request: Request, name: str, number: str | None = None) -> Response:
        version = find_version(name, number)
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
        version = find_version(name, number)
        return Response({"name": name, "ready": True}) if version.is_available else _not_ready(name)


class Infer(ProtocolView):
    def post(self, request: Request, name: str, number: str | None = None) -> HttpResponseBase:
        version = find_version(name, number)
        asked = messages.read(request)
        wanted = outputs.wanted(asked, version)
        answers = infer(version, inputs.rows(asked, version.signature), caller_of(request), _address(request))
        given = [(outputs.tensor(output.name, answers, version), output.as_bytes) for output in wanted]
        return messages.reply(asked, version, given)


class RepositoryIndex(ProtocolView):
    """Triton's model repository extension, of which only the index is offered."""

    def post(self, request: Request) -> Response:
        body = messages.body_of(request)
        only_ready = bool(body) and messages.parse(body).get("ready") is True
        versions = ModelVersion.objects.filter(registered_model__is_present=True).defer("manifest")
        return Response(
            [
                {
                    "name": version.registered_model.name,
                    "version": str(version.number),
                    "state": "READY" if version.is_available else "UNAVAILABLE",
                    "reason": "" if version.is_available else "it does not serve here",
                }
                for version in versions.select_related("registered_model").order_by("registered_model__name", "number")
                if version.is_available or not only_ready
            ]
        )


class NotOffered(ProtocolView):
    """Every other path: statistics, tracing, shared memory, loading and unloading."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise errors.Unknown(f"{request.method} {printable(request.path)} is not offered here.")


def find_version(name: str, number: str | None) -> ModelVersion:
    """The version of that number, or the one that serves.

    Raises:
        Unknown: there is no such model or version.
    """
    try:
        registered = registry.find(name)
    except RegisteredModel.DoesNotExist:
        raise errors.Unknown(f"There is no model {printable(name)!r}.") from None
    found = registered.champion if number is None else _numbered(registered, number)
    if found is None:
        which = "version" if number is None else f"version {printable(number)}"
        raise errors.Unknown(f"Model {name!r} has no {which}.")
    return found


def _numbered(registered: RegisteredModel, number: str) -> ModelVersion | None:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    known = registered.versions.filter(number=int(number)).values_list("pk", "unavailable_reason").first()
    if known is None:
        return None
    found = registry.version(known[0])
    found.unavailable_reason = known[1]  # what is kept in memory may be older
    return found


def _not_ready(name: str) -> Response:
    return Response({"error": f"Model {name!r} does not serve at the moment."}, status=503)


def _address(request: Request) -> Callable[[uuid.UUID], str]:
    return lambda prediction_id: addresses.of_prediction(request, prediction_id)


@cache
def product_version() -> str:
    """From pyproject.toml: the product runs from its checkout and is installed nowhere."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
