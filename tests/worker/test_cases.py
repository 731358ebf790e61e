"""The models of tests/cases in real processes: right answers by each interface, alone and in a crowd of mixed rows."""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import stack as stacks
from tests.support.cases import NAMES, TOLERANCE, Asked, asked_of
from tests.support.stack import Stack

CALLERS = 24
# Requests of each caller.
REQUESTS = int(os.environ.get("CROWD_REQUESTS", "100"))
WAIT = {"Prefer": "wait=20"}
ALL = [asked for name in NAMES for asked in asked_of(name)]

Output = Mapping[str, Any]
Door = Callable[[httpx.Client, Asked], Output]


@pytest.fixture(scope="module")
def cases(
    registered_cases: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """The processes of the Procfile, serving the cases."""
    models = shutil.copytree(registered_cases, tmp_path_factory.mktemp("cases") / "models")
    assert request.config.cache
    prepared: AbstractContextManager[Stack] = stacks.prepared(
        models, request.config.cache.mkdir("foretell-static"), WAIT_MAX=20
    )
    with prepared as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        yield stack


def client_of(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.client.base_url, timeout=60.0)


# --- Interfaces -------------------------------------------------------------------------------------------------------
def by_api(client: httpx.Client, asked: Asked) -> Output:
    body = {"features": dict(asked.features)}
    response = client.post(f"/api/v1/models/{asked.model}/predictions/", json=body, headers=WAIT)
    assert response.status_code == 200, response.text
    output: Output = response.json()["output"]
    return output


def by_form(client: httpx.Client, asked: Asked) -> Output:
    """Ask by the form, like a browser without JavaScript."""
    page = client.get(f"/models/{asked.model}/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    typed = {name: _typed(value) for name, value in asked.features.items()}
    data = {**typed, "csrfmiddlewaretoken": token[1]}
    response = client.post(f"/models/{asked.model}/predictions/", data=data)
    assert response.status_code == 303, response.text
    prediction_id = response.headers["Location"].split("/")[-2]
    response = client.get(f"/predictions/{prediction_id}/status/?attempt=1")
    while 'data-state="succeeded"' not in response.text:
        assert 'data-state="queued"' in response.text or 'data-state="running"' in response.text, response.text
        response = client.get(f"/predictions/{prediction_id}/status/?attempt=1")
    output: Output = client.get(f"/api/v1/predictions/{prediction_id}/").json()["output"]
    return output


def _typed(value: Any) -> str:
    """The value as a person types or chooses it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return "(empty)" if value == "" else str(value)


def by_tensors(client: httpx.Client, asked: Asked) -> Output:
    described = client.get(f"/v2/models/{asked.model}").json()
    tensors = [_tensor(tensor, asked.features) for tensor in described["inputs"]]
    outputs = [{"name": output["name"]} for output in described["outputs"]]
    if asked.probabilities is None:
        outputs = outputs[:1]
    response = client.post(f"/v2/models/{asked.model}/infer", json={"inputs": tensors, "outputs": outputs})
    assert response.status_code == 200, response.text
    return _output(response.json()["outputs"])


def _tensor(described: Mapping[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    names = list(described.get("parameters", {"": described["name"]}).values())
    data = [features[name] for name in names]
    if described["datatype"] == "BYTES":
        data = [value if value is None else str(value) for value in data]
    return {"name": described["name"], "datatype": described["datatype"], "shape": [1, len(data)], "data": data}


def _output(tensors: list[dict[str, Any]]) -> Output:
    [answer] = tensors[0]["data"]
    if isinstance(answer, str):
        shares = tensors[1] if len(tensors) > 1 else {"parameters": {}, "data": []}
        return {"label": answer, "probabilities": dict(zip(shares["parameters"].values(), shares["data"], strict=True))}
    return {"value": answer}


DOORS: dict[str, Door] = {"form": by_form, "api": by_api, "v2": by_tensors}


# --- Tests ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", NAMES)
def test_answer_to_a_row_alone_is_that_of_the_estimator(cases: Stack, name: str, door: str) -> None:
    with client_of(cases) as client:
        answers = [(asked, DOORS[door](client, asked)) for asked in asked_of(name)]

    assert [(asked, output) for asked, output in answers if not asked.is_answered_by(output, TOLERANCE)] == []


def test_no_answer_is_wrong_in_a_crowd_of_mixed_rows(cases: Stack) -> None:
    """Rows of all models, with and without missing values, at the same time and by both interfaces for programs."""

    def ask(caller: int) -> Counter[str]:
        drawn, found = random.Random(caller), Counter[str]()
        with client_of(cases) as client:
            for _ in range(REQUESTS):
                asked, door = drawn.choice(ALL), drawn.choice([by_api, by_tensors])
                is_right = asked.is_answered_by(door(client, asked), TOLERANCE)
                found["right" if is_right else f"{asked.model}: {asked.features}"] += 1
        return found

    with ThreadPoolExecutor(CALLERS) as pool:
        counts = sum(pool.map(ask, range(CALLERS)), Counter[str]())

    assert counts == {"right": CALLERS * REQUESTS}
