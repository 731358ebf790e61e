"""The Model Context Protocol at /mcp, message by message. `tests/worker/test_mcp.py` has the SDK's own client."""

import json
import re
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import User

from predictions.api.mcp import door
from predictions.api.mcp.schemas import parameters
from predictions.api.mcp.sentences import of_prediction
from predictions.models import ApiToken, ModelVersion, Prediction, RegisteredModel, State
from predictions.models.api_token import Scope
from predictions.use_cases import cancel
from tests.integration.api.conftest import problem
from tests.integration.conftest import IRIS, run_worker
from tests.support.api_client import ApiClient

pytest.importorskip("mcp")

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
FEATURES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
PARAMETERS = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
ROW = dict(zip(PARAMETERS, IRIS, strict=True))


@pytest.fixture(autouse=True)
def _short_wait(settings: Any) -> None:
    """Calls wait only briefly: no worker runs here, so no prediction ends while a call waits."""
    settings.WAIT_MAX = 0.05


def send(client: ApiClient, method: str, **params: Any) -> Any:
    """The result of one request."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    response = client.post("/mcp/", message, headers=HEADERS)
    assert response.status_code == 200, response
    return response.json()["result"]


def call(client: ApiClient, tool: str, **arguments: Any) -> Any:
    return send(client, "tools/call", name=tool, arguments=arguments)


def token_client(user: User, **bounds: Any) -> ApiClient:
    _, secret = ApiToken.objects.create(user=user, name="an agent", **bounds)
    return ApiClient(Authorization=f"Bearer {secret}")


# --- Tools ------------------------------------------------------------------------------------------------------------
def test_tool_takes_the_signature_of_its_model(client: ApiClient, iris: ModelVersion) -> None:
    tools = {tool["name"]: tool for tool in send(client, "tools/list")["tools"]}

    signature, schema = client.get("/api/v1/models/iris/").json()["signature"], tools["predict_iris"]["inputSchema"]
    assert list(schema["properties"]) == schema["required"] == list(PARAMETERS)
    for name, feature in zip(PARAMETERS, FEATURES, strict=True):
        assert schema["properties"][name] == {**signature["properties"][feature], "title": feature}
    assert schema["additionalProperties"] is False
    assert tools["predict_iris"]["annotations"]["readOnlyHint"] is True
    assert tools["cancel_prediction"]["annotations"]["readOnlyHint"] is False


def test_names_of_parameters_are_those_that_hosts_accept() -> None:
    features = ["age", "a b", "a_b", "a/b", "été", "²", "x" * 70, "x" * 71, "f.1-2"]

    names = parameters(features)

    assert list(names.values()) == features
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name) for name in names)
    assert [name for name, feature in names.items() if name == feature] == ["age", "a_b", "f.1-2"]
    assert list(names)[1:6] == ["a_b_2", "a_b", "a_b_3", "t", "feature"]


def test_every_feature_reaches_the_model_under_its_own_name(client: ApiClient, kinds: RegisteredModel) -> None:
    tools = {tool["name"]: tool for tool in send(client, "tools/list")["tools"]}
    given = {"long_side": 40.5, "count": 2, "colour": "g", "ripe": True, "a_b_c": 0.5}
    assert given.keys() <= tools["predict_kinds"]["inputSchema"]["properties"].keys()

    asked = call(client, "predict_kinds", **given)["structuredContent"]

    assert asked["features"] == {"long side": 40.5, "count": 2, "colour": "g", "ripe": True, "note": None, "a/b~c": 0.5}


def test_paused_model_has_no_tool(client: ApiClient, iris: ModelVersion) -> None:
    RegisteredModel.objects.filter(name="iris").update(paused_reason="The data is checked.")

    assert "predict_iris" not in [tool["name"] for tool in send(client, "tools/list")["tools"]]
    refused = call(client, "predict_iris", **ROW)
    assert refused["isError"]
    assert "The data is checked." in refused["content"][0]["text"]


def test_every_model_answers_by_its_output_schema(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    tools = {tool["name"]: tool for tool in send(client, "tools/list")["tools"]}

    for name, model in registered.items():
        assert model.champion
        features = parameters(model.champion.signature.names)
        example = model.description["examples"][0]["values"]
        row = {name: example[feature] for name, feature in features.items() if feature in example}
        accepted = call(client, f"predict_{name}", **row)["structuredContent"]
        run_worker(model.champion)
        ended = call(client, "get_prediction", id=accepted["id"])
        for body in (accepted, ended["structuredContent"]):
            jsonschema.validate(body, tools[f"predict_{name}"]["outputSchema"])
            jsonschema.validate(body, tools["get_prediction"]["outputSchema"])
        assert ended["structuredContent"]["output"]["grade_evidence"]


def test_unfinished_call_names_the_prediction(client: ApiClient, iris: ModelVersion) -> None:
    accepted = call(client, "predict_iris", **ROW)
    assert accepted["structuredContent"]["status"] == "queued"
    assert accepted["structuredContent"]["id"] in accepted["content"][0]["text"]

    run_worker(iris)
    [sentence] = call(client, "get_prediction", id=accepted["structuredContent"]["id"])["content"]
    assert sentence["text"].startswith("Iris species: setosa (probability ")
    assert "The case is clear: such answers were right in" in sentence["text"]


@pytest.mark.parametrize(("share", "text"), [(0.99996, "> 0.999"), (0.9876, "0.988"), (0.0002, "< 0.001")])
def test_probability_in_a_sentence_is_never_certain(iris: ModelVersion, share: float, text: str) -> None:
    output = {"kind": "classification", "label": "setosa", "probabilities": {"setosa": share}}
    row = Prediction(version=iris, state=State.SUCCEEDED, output=output)

    assert of_prediction(row, []) == f"Iris species: setosa (probability {text})."


def test_bad_input_is_a_tool_error_with_all_problems(client: ApiClient, iris: ModelVersion) -> None:
    refused = call(client, "predict_iris", **{**ROW, PARAMETERS[0]: "long", PARAMETERS[1]: -3, FEATURES[2]: 1})

    assert refused["isError"]
    found = {(one["pointer"], one["code"]) for one in refused["structuredContent"]["errors"]}
    assert {pointer for pointer, _ in found} == {f"/{PARAMETERS[0]}", f"/{PARAMETERS[1]}", f"/{FEATURES[2]}"}
    assert refused["content"][0]["text"].count("\n- ") == 3
    assert not Prediction.objects.exists()


def test_cancel_ends_a_prediction(client: ApiClient, iris: ModelVersion) -> None:
    accepted = call(client, "predict_iris", **ROW)["structuredContent"]

    canceled = call(client, "cancel_prediction", id=accepted["id"])
    assert canceled["structuredContent"]["status"] == "canceled"
    again = call(client, "cancel_prediction", id=accepted["id"])
    assert again["isError"]
    assert again["structuredContent"]["code"] == "not_cancelable"


@pytest.mark.parametrize("arguments", [{}, {"id": 5}, {"id": "x"}, {"id": None, "more": 1}])
def test_id_that_is_none_is_a_tool_error(client: ApiClient, iris: ModelVersion, arguments: Any) -> None:
    refused = call(client, "get_prediction", **arguments)
    assert refused["isError"]
    assert refused["structuredContent"]["code"] == "invalid_input"


def test_unknown_tool_is_an_error_of_the_protocol(client: ApiClient, iris: ModelVersion) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "rm", "arguments": {}}}
    answer = client.post("/mcp/", message, headers=HEADERS).json()
    assert (answer["id"], answer["error"]["code"]) == (7, -32602)


def test_unexpected_error_shows_nothing_of_it(client: ApiClient, iris: ModelVersion, monkeypatch: Any) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("a secret path")

    accepted = call(client, "predict_iris", **ROW)["structuredContent"]
    monkeypatch.setattr(cancel, "cancel", fail)
    refused = call(client, "cancel_prediction", id=accepted["id"])
    assert refused["structuredContent"]["code"] == "internal_error"
    assert "secret" not in json.dumps(refused)


# --- The card ---------------------------------------------------------------------------------------------------------
def test_model_card_is_a_resource(client: ApiClient, iris: ModelVersion) -> None:
    [card] = [one for one in send(client, "resources/list")["resources"] if one["name"] == "iris-card"]

    [content] = send(client, "resources/read", uri=card["uri"])["contents"]
    assert content["mimeType"] == "text/markdown"
    assert iris.registered_model.description["card"] in content["text"]


# --- The form as an app -----------------------------------------------------------------------------------------------
def test_tool_names_an_app_with_a_field_for_each_parameter(client: ApiClient, kinds: RegisteredModel) -> None:
    [tool] = [one for one in send(client, "tools/list")["tools"] if one["name"] == "predict_kinds"]

    [app] = send(client, "resources/read", uri=tool["_meta"]["ui"]["resourceUri"])["contents"]

    assert app["mimeType"] == "text/html;profile=mcp-app"
    assert set(re.findall(r'<(?:input|select|textarea) name="([^"]+)"', app["text"])) == set(
        tool["inputSchema"]["properties"]
    )
    assert 'data-tool="predict_kinds"' in app["text"]
    assert "Colour &lt;script&gt;alert(1)&lt;/script&gt;" in app["text"]
    assert not re.search(r"""(src|href)=|url\(|fetch\(""", app["text"])  # it loads nothing


def test_app_of_a_model_that_a_token_is_not_for_is_not_found(
    registered: dict[str, RegisteredModel], owner: User
) -> None:
    bound = token_client(owner, model_name="wine")
    message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "ui://foretell/iris"}}

    assert "There is no resource" in bound.post("/mcp/", message, headers=HEADERS).json()["error"]["message"]


# --- Callers ----------------------------------------------------------------------------------------------------------
def test_stranger_is_refused_where_predictions_are_not_public(
    client: ApiClient, iris: ModelVersion, settings: Any, owner: User
) -> None:
    settings.PUBLIC_PREDICTIONS = False
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}

    assert problem(client.post("/mcp/", message, headers=HEADERS), 401)
    assert send(token_client(owner), "tools/list")["tools"]


def test_wrong_token_is_refused(client: ApiClient, iris: ModelVersion) -> None:
    response = client.post("/mcp/", {}, headers={**HEADERS, "Authorization": "Bearer nothing"})
    assert problem(response, 401)["code"] == "authentication_failed"


def test_prediction_of_another_is_not_found(client: ApiClient, iris: ModelVersion, owner: User) -> None:
    own = call(token_client(owner), "predict_iris", **ROW)["structuredContent"]
    assert call(client, "get_prediction", id=own["id"])["structuredContent"]["code"] == "not_found"


def test_read_only_token_reads_and_predicts_nothing(client: ApiClient, iris: ModelVersion, owner: User) -> None:
    accepted = call(client, "predict_iris", **ROW)["structuredContent"]
    reader = token_client(owner, scope=Scope.READ)

    assert call(reader, "get_prediction", id=accepted["id"])["structuredContent"]["id"] == accepted["id"]
    for refused in (call(reader, "predict_iris", **ROW), call(reader, "cancel_prediction", id=accepted["id"])):
        assert refused["structuredContent"]["code"] == "insufficient_scope"


def test_token_for_one_model_has_the_tool_of_that_model(registered: dict[str, RegisteredModel], owner: User) -> None:
    bound = token_client(owner, model_name="wine")

    tools = [tool["name"] for tool in send(bound, "tools/list")["tools"]]
    assert [name for name in tools if name.startswith("predict_")] == ["predict_wine"]
    assert call(bound, "predict_iris", **ROW)["structuredContent"]["code"] == "insufficient_scope"


def test_rate_holds_for_tools(client: ApiClient, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 1
    call(client, "predict_iris", **ROW)
    refused = call(client, "predict_iris", **ROW)
    assert refused["structuredContent"]["code"] == "queue_full"
    assert "Try again in" in refused["content"][0]["text"]


# --- HTTP -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_other_methods_are_refused(client: ApiClient, iris: ModelVersion, method: str) -> None:
    response = client.generic(method, "/mcp/", headers=HEADERS)
    assert problem(response, 405)
    assert response["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(("origin", "status"), [("http://testserver", 200), ("https://evil.example", 403)])
def test_pages_of_other_sites_are_refused(client: ApiClient, iris: ModelVersion, origin: str, status: int) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    response = client.post("/mcp", message, headers={**HEADERS, "Origin": origin})
    assert response.status_code == status
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("body", ["", "{", "[]", "5", '{"jsonrpc": "2.0"}', '{"jsonrpc": "2.0", "id": 1, "method": 5}'])
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_broken_message_is_refused(client: ApiClient, iris: ModelVersion, body: str, version: str) -> None:
    response = client.post("/mcp/", body, headers={**HEADERS, "MCP-Protocol-Version": version})
    assert 200 <= response.status_code < 500
    assert "Traceback" not in response.content.decode()


def test_missing_package_says_how_to_install_it(client: ApiClient, iris: ModelVersion, monkeypatch: Any) -> None:
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    assert "make mcp" in problem(client.post("/mcp/", {}, headers=HEADERS), 501)["detail"]


def test_sentence_counts_no_cases_where_none_got_such_an_answer() -> None:
    output = {"kind": "classification", "label": "red", "grade": "clear", "grade_evidence": {"right": 0, "of": 0}}
    version = ModelVersion(registered_model=RegisteredModel(title="Fruit"))

    said = of_prediction(Prediction(state=State.SUCCEEDED, output=output, version=version), [])

    assert said == "Fruit: red. The case is clear."
