"""Random requests that the schema allows, and others that it forbids: the schema documents each response.

FUZZ_EXAMPLES=1000 makes a long run of it.
"""

import uuid
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from drf_spectacular.validation import validate_schema
from hypothesis import given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from predictions.api.asgi import Application
from predictions.models import ModelVersion, State
from tests.integration.conftest import make
from tests.support.fuzzing import EXAMPLES, asked, examples
from tests.support.site_client import Client

TOO_LARGE = 413
LATE = (410, TOO_LARGE)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api_schema(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("predictions.api.events.STREAM_SECONDS", 0.0)
    return schemathesis.openapi.from_asgi("/api/v1/schema/", Application())


def test_schema_is_valid_and_is_json(client: Client, iris: ModelVersion) -> None:
    response = client.get("/api/v1/schema/")

    assert response["Content-Type"] == "application/vnd.oai.openapi+json"
    served = response.json()
    validate_schema(served)
    assert sum(path.endswith("/predictions/") and "post" in said for path, said in served["paths"].items()) == 5


@pytest.fixture
def known(iris: ModelVersion) -> list[str]:
    """The ids of predictions in every state. A random id would never be found."""
    return [str(make(iris, state).pk) for state in State]


def test_answer_is_one_that_the_schema_names(api_schema: Any, known: list[str], subtests: pytest.Subtests) -> None:
    for result in api_schema.get_all_operations():
        operation = result.ok()
        with subtests.test(operation=operation.label):
            for mode in GenerationMode:
                with suppress(Unsatisfiable):  # the operation has no invalid input
                    _ask_all(operation, mode, known)
            # Hypothesis ends early if an operation has few different inputs. A long run then repeats them.
            while asked[operation.label] < 2 * EXAMPLES:
                _ask_all(operation, GenerationMode.POSITIVE, known)


def test_chains_of_operations_find_nothing(api_schema: Any, known: list[str]) -> None:
    """Each request uses values of an earlier reply, by links of the schema and by those that Schemathesis infers."""

    class Chains(api_schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: schemathesis.Case) -> None:
            case.headers.update(_sayable(case.headers))

        def validate_response(self, response: Any, case: schemathesis.Case, **more: Any) -> None:
            asked["chains"] += 1
            # A valid request may come too late, such as to cancel what was canceled, or to read what was removed.
            unfit = [positive_data_acceptance, *([negative_data_rejection] if response.status_code in LATE else [])]
            case.validate_response(response, excluded_checks=unfit)

    Chains.run(settings=settings(examples(12), stateful_step_count=8))
    assert asked["chains"] > 20


def _ask_all(operation: Any, mode: GenerationMode, known: list[str]) -> None:
    @examples(6)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        asked[operation.label] += 1
        case.path_parameters.update(_often(known, case.path_parameters))
        if mode.is_positive:
            case.headers.update(_sayable(case.headers))
            case.query.pop("cursor", None)  # only the server can make one
            if isinstance(case.body, dict) and "actual" in case.body:
                case.body["actual"] = "setosa"  # a class of the known predictions
        response = case.call()
        if response.status_code != TOO_LARGE:  # more rows than a request may have
            case.validate_response(response, excluded_checks=_unfit(operation.path))

    ask()


def _unfit(path: str) -> list[Any]:
    """Checks to leave out: the schema of some paths does not know the columns of a model, so valid data is refused."""
    knows_no_columns = path.startswith("/api/v1/batches/") or "{name}" in path
    return [positive_data_acceptance] if knows_no_columns else []


def _sayable(headers: Any) -> dict[str, str]:
    """Values by rules that no pattern can express: at most 24 hours, and a key that no other body has."""
    good = {"Cancel-After": "30s", "Idempotency-Key": uuid.uuid4().hex}
    return {name: value for name, value in good.items() if name in headers}


def _often(known: list[str], parameters: dict[str, Any]) -> dict[str, str]:
    """Replace half of the random ids by the ids of stored predictions."""
    try:
        number = uuid.UUID(str(parameters["prediction_id"])).int
    except (KeyError, ValueError):
        return {}
    return {"prediction_id": known[number % len(known)]} if number % 2 else {}
