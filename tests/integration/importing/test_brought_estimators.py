"""Estimators registered from a file and a CSV: every interface gives the answers of the estimator itself."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.test import Client

from predictions.models import ModelVersion, Prediction
from predictions.web.forms import written
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient
from tests.support.brought import CASES

ASKED = 12
TOLERANCE = 1e-6  # for compiled versions, which state their own tolerance


def own_answers(estimator: Any, x: Any) -> list[Any]:
    """The estimator's own answers, each to one raw row."""
    return [own_answer(estimator, x[place : place + 1]) for place in range(len(x))]


def own_answer(estimator: Any, row: Any) -> Any:
    """The answer to one row, with its probabilities if there are any. For several targets, a list of these."""
    answers = np.asarray(estimator.predict(row)).ravel().tolist()
    if len(answers) > 1:
        if not hasattr(estimator, "predict_proba"):
            return answers
        given = estimator.predict_proba(row)
        shares = given if isinstance(given, list) else [[[1 - share, share]] for share in given[0]]
        return [(str(one), np.asarray(part)[0].tolist()) for one, part in zip(answers, shares, strict=True)]
    answer = np.asarray(estimator.predict(row)).ravel()[0]
    if hasattr(estimator, "predict_proba"):
        return str(answer), np.asarray(estimator.predict_proba(row))[0].tolist()
    return answer


def is_like(output: dict[str, Any], answer: Any, version: ModelVersion) -> bool:
    """Whether an output has the estimator's answer."""
    if output["kind"] == "multi":
        names = [view["target"]["name"] for view in version.views]
        parts = zip(names, answer, version.views, strict=True)
        return all(is_one_like(output["outputs"][name], one, view["labels"]) for name, one, view in parts)
    return is_one_like(output, answer, version.manifest["labels"])


def is_one_like(output: dict[str, Any], answer: Any, labels: list[str]) -> bool:
    """`is_like` for one target. `labels` are in the order of the estimator's probabilities."""
    if output["kind"] == "regression":
        return is_said_like(output["value"], answer)
    shares = answer[1] if isinstance(answer, tuple) else None
    has_shares = shares is None or np.allclose(
        [output["probabilities"][label] for label in labels], shares, atol=TOLERANCE
    )
    return is_said_like(output["label"], answer) and has_shares


def is_said_like(said: Any, answer: Any) -> bool:
    """Whether a label or number of an output is that of the estimator's answer."""
    if isinstance(said, float):
        return math.isclose(said, float(answer), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    label = answer[0] if isinstance(answer, tuple) else str(answer)
    return said in (label, f"cluster {label}", {"1": "usual", "-1": "unusual"}.get(label))


def values_of(row: pd.Series) -> dict[str, Any]:
    """A row of the file as a program would send it, without missing values."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    return {str(name): value for name, value in plain.items() if value is not None and value == value}


def asked_rows(frame: pd.DataFrame, names: tuple[str, ...]) -> list[dict[str, Any]]:
    features = frame[list(names)].astype(object)
    return [values_of(features.iloc[place]) for place in range(len(features))]


def by_api(client: ApiClient, values: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"features": values})
    response = client.post("/api/v1/models/mine/predictions/", body)
    assert response.status_code in (200, 202), response.content
    return outputs([response.json()["id"]])[0]


def by_form(client: Client, version: ModelVersion, values: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/models/mine/predictions/", written(version.signature, values))
    assert response.status_code == 303, response.content.decode()[-3000:]
    return outputs([response["Location"].split("/")[2]])[0]


def by_protocol(client: ApiClient, rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[Any]:
    """The label or number of each row. One request has all rows."""
    tensors = [
        {"name": name, "shape": [len(rows)], "datatype": datatype_of(column), "data": column}
        for name in names
        if any(column := [row.get(name) for row in rows])
    ]
    response = client.post(
        "/v2/models/mine/infer", json.dumps({"inputs": tensors, "parameters": {"content_type": "pd"}})
    )
    assert response.status_code == 200, response.content
    found: list[Any] = response.json()["outputs"][0]["data"]
    return found


def datatype_of(column: list[Any]) -> str:
    present = [value for value in column if value is not None]
    if all(isinstance(value, str) for value in present):
        return "BYTES"
    return "BOOL" if all(isinstance(value, bool) for value in present) else "FP64"


def outputs(ids: list[str]) -> list[dict[str, Any]]:
    rows = Prediction.objects.in_bulk(ids, field_name="id")
    found = {str(key): row for key, row in rows.items()}
    assert all(found[key].output for key in ids), [found[key].error_code for key in ids]
    return [found[key].output or {} for key in ids]


@pytest.mark.parametrize("name", CASES)
def test_brought_estimator_answers_like_itself_at_every_door(bring: Bring, name: str, client: Client) -> None:
    case = CASES[name]()
    assert "It serves now: /models/mine/" in bring(case.estimator, case.frame, case.target)
    version = ModelVersion.objects.get(registered_model__name="mine")
    rows = asked_rows(case.frame.head(ASKED), version.signature.names)
    answers = own_answers(case.estimator, case.x[:ASKED])
    api = ApiClient()

    alone = [(by_api(api, row), answer) for row, answer in zip(rows, answers, strict=True)]
    assert [pair for pair in alone if not is_like(*pair, version)] == []
    asked = [(by_form(client, version, row), answer) for row, answer in zip(rows[:4], answers[:4], strict=True)]
    assert [pair for pair in asked if not is_like(*pair, version)] == []
    each = [one for answer in answers for one in (answer if isinstance(answer, list) else [answer])]
    crowd = list(zip(by_protocol(api, rows, version.signature.names), each, strict=True))
    assert [pair for pair in crowd if not is_said_like(*pair)] == []
