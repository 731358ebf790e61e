"""Everything that the schema allows, and much that it does not: each answer is one that the schema names.

SCHEMA_EXAMPLES=1000 makes a long run of it.
"""

import os
import uuid
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from predictions.models import ModelVersion, State
from tests.integration.conftest import make

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "6"))

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api_schema(iris: ModelVersion, settings: Any) -> Any:
    settings.WAITERS_MAX = 0
    return schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())


def test_schema_is_valid_and_is_json(client: Client, iris: ModelVersion) -> None:
    response = client.get("/api/v1/schema/")

    assert response["Content-Type"] == "application/vnd.oai.openapi+json"
    served = response.json()
    validate_schema(served)
    assert sum(path.endswith("/predictions/") and "post" in said for path, said in served["paths"].items()) == 4


@pytest.fixture
def known(iris: ModelVersion) -> list[str]:
    """Predictions in every state: an id that is made up is never found."""
    return [str(make(iris, state).pk) for state in State]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_answer_is_one_that_the_schema_names(
    api_schema: Any, known: list[str], mode: GenerationMode, subtests: pytest.Subtests
) -> None:
    asked = 0
    for result in api_schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 100, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.path_parameters.update(_often(known, case.path_parameters))
            if mode.is_positive:
                case.headers.update(_sayable(case.headers))
            case.call_and_validate()

        with subtests.test(operation=operation.label), suppress(Unsatisfiable):  # nothing about it can be wrong
            ask()
    print(f"{asked} requests")


def _sayable(headers: Any) -> dict[str, str]:
    """What no pattern can say: at most 24 hours, and no key that belongs to another body."""
    good = {"Cancel-After": "30s", "Idempotency-Key": uuid.uuid4().hex}
    return {name: value for name, value in good.items() if name in headers}


def _often(known: list[str], parameters: dict[str, Any]) -> dict[str, str]:
    """A prediction that is there, for half of the ids that were made up."""
    try:
        number = uuid.UUID(str(parameters["prediction_id"])).int
    except (KeyError, ValueError):
        return {}
    return {"prediction_id": known[number % len(known)]} if number % 2 else {}
