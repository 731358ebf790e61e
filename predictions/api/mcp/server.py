"""The SDK's server: tools and resources. The ASGI scope of a request to the SDK contains our ApiRequest.

The tasks of the protocol are an extension that SDK 2.3 does not offer on the server. Instead, a call that is not
finished in time returns the id of its prediction, for the tools `get_prediction` and `cancel_prediction`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from predictions.api import problems, representation
from predictions.api.http import ApiReply, ApiRequest
from predictions.api.inference_protocol.views import product_version
from predictions.api.mcp import app, calls, schemas, sentences
from predictions.api.mcp.calls import PREFIX
from predictions.api.threads import in_thread
from predictions.models import ModelVersion, Prediction
from predictions.serving.schema.errors import ForetellError, InternalError, InvalidInput
from predictions.serving.schema.wording import printable

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]
OUR_REQUEST = "foretell.request"
CARD = "foretell://models/{}/card"
INSTRUCTIONS = (
    "Each predict_… tool asks one machine-learning model about one case. Every answer says how sure it is: pass that on"
    " to the user, with the advice, and do not rely on an answer whose grade is 'outside'. The resource"
    " foretell://models/<name>/card says what a model is for and how good it is."
)
SURENESS = "The answer carries its grade of sureness and the evidence for it."


# --- Tools ------------------------------------------------------------------------------------------------------------
async def _list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
    versions = await in_thread(calls.serving, _request(context))
    return ListToolsResult(tools=[*map(_tool, versions), GET, CANCEL])


def _tool(version: ModelVersion) -> Tool:
    model = version.registered_model
    return Tool(
        name=PREFIX + model.name,
        title=model.title,
        description=f"{model.title}. {model.summary} {SURENESS}",
        input_schema=schemas.arguments(version.signature),
        output_schema=schemas.of_version(version),
        _meta=app.tool_meta(version),
        annotations=ToolAnnotations(
            title=model.title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


GET = Tool(
    name="get_prediction",
    title="Get a prediction",
    description="Waits for a prediction that was not finished when its tool returned, and returns its answer.",
    input_schema=schemas.PREDICTION_ID,
    output_schema=schemas.ANY_PREDICTION,
    annotations=ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    ),
)
CANCEL = Tool(
    name="cancel_prediction",
    title="Cancel a prediction",
    description="Ends a prediction that has no answer yet.",
    input_schema=schemas.PREDICTION_ID,
    output_schema=schemas.ANY_PREDICTION,
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
    ),
)
OF_PREDICTIONS: Mapping[str, Callable[[ApiRequest, calls.Arguments], Awaitable[Prediction]]] = {
    GET.name: calls.get_prediction,
    CANCEL.name: calls.cancel_prediction,
}


async def _call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
    request, arguments = _request(context), params.arguments or {}
    try:
        if (call := OF_PREDICTIONS.get(params.name)) is not None:
            return _result(request, await call(request, arguments))
        if params.name.startswith(PREFIX):
            return _result(request, await calls.predict(request, params.name.removeprefix(PREFIX), arguments))
    except Exception as error:  # noqa: BLE001 - the agent reads a sentence of ours for every error
        return _refusal(_known(error))
    raise MCPError(INVALID_PARAMS, f"There is no tool {printable(params.name)!r}. tools/list names them.")


def _result(request: ApiRequest, row: Prediction) -> CallToolResult:
    body = _as_json(representation.prediction(request.origin, row))
    text = sentences.of_prediction(row, [advice["message"] for advice in body["advice"]])
    # If the prediction ended without an answer, the body says why.
    is_error = body["error"] is not None
    return CallToolResult(content=[TextContent(text=text)], structured_content=body, is_error=is_error)


def _refusal(error: ForetellError) -> CallToolResult:
    body: dict[str, Any] = {"code": error.code, "message": error.sentence, "retryable": error.retryable}
    if isinstance(error, InvalidInput):
        body["errors"] = [problems.entry(problem) for problem in error.problems]
    return CallToolResult(content=[TextContent(text=sentences.of_error(error))], structured_content=body, is_error=True)


def _known(error: Exception) -> ForetellError:
    known = problems.of(error)
    if isinstance(known, InternalError):
        logger.error("a tool failed", exc_info=error)
    return known


def _as_json(body: Any) -> Any:
    return orjson.loads(orjson.dumps(body, option=orjson.OPT_UTC_Z))


# --- Resources --------------------------------------------------------------------------------------------------------
async def _list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
    versions = await in_thread(calls.serving, _request(context))
    return ListResourcesResult(resources=[_card(version) for version in versions])


def _card(version: ModelVersion) -> Resource:
    model = version.registered_model
    return Resource(
        uri=CARD.format(model.name),
        name=f"{model.name}-card",
        title=f"Model card: {model.title}",
        description="What the model is for, what it is not for, and how good it is.",
        mime_type="text/markdown",
    )


async def _read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    for version in await in_thread(calls.serving, _request(context)):
        name = version.registered_model.name
        if params.uri == CARD.format(name):
            text = TextResourceContents(uri=params.uri, mime_type="text/markdown", text=_card_text(version))
            return ReadResourceResult(contents=[text])
        if params.uri == app.URI.format(name):
            return ReadResourceResult(contents=[_app(version, params.uri)])
    raise MCPError(INVALID_PARAMS, f"There is no resource {printable(params.uri)!r}. resources/list names them.")


def _app(version: ModelVersion, uri: str) -> TextResourceContents:
    """The form of a model. Hosts find it through the tool. It is not listed, since it is not for language models."""
    html = app.html(version, PREFIX + version.registered_model.name)
    return TextResourceContents(uri=uri, mime_type=app.MEDIA_TYPE, text=html, _meta=app.META)


def _card_text(version: ModelVersion) -> str:
    measured = "\n".join(f"- {name}: {value:.4g}" for name, value in version.manifest["metrics"].items())
    evidence = f"## Measured on held-out data, version {version.number}\n\n{measured}\n"
    return f"{version.registered_model.description.get('card', '')}\n\n{evidence}"


# --- The server -------------------------------------------------------------------------------------------------------
def _safe(handler: Callable[[Context, Any], Awaitable[Any]]) -> Callable[[Context, Any], Awaitable[Any]]:
    """A handler whose unexpected errors do not show their text to clients."""

    async def call(context: Context, params: Any) -> Any:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001 - the client reads a sentence of ours for every error
            raise MCPError(INTERNAL_ERROR, _known(error).sentence) from None

    return call


server: Server[Any] = Server(
    "foretell",
    version=product_version(),
    title="Foretell",
    instructions=INSTRUCTIONS,
    # Otherwise the SDK asks for the schema before each call, for headers that none of our tools declares.
    get_tool_input_schema=lambda _: None,
    on_list_tools=_safe(_list_tools),
    on_call_tool=_safe(_call_tool),
    on_list_resources=_safe(_list_resources),
    on_read_resource=_safe(_read_resource),
)


def _request(context: Context) -> ApiRequest:
    assert context.request is not None  # noqa: S101 - there is no other transport
    request: ApiRequest = context.request.scope[OUR_REQUEST]
    return request


async def answer(request: ApiRequest) -> ApiReply:
    """The SDK's answer to one request. Each request has its own manager, since there are no sessions to share."""
    manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True)
    messages: list[Mapping[str, Any]] = []
    body = iter([{"type": "http.request", "body": request.body, "more_body": False}])

    async def receive() -> Any:
        if (message := next(body, None)) is None:
            await asyncio.Event().wait()
        return message

    async def send(message: Any) -> None:
        messages.append(message)

    async with manager.run():
        await manager.handle_request({**request.scope, OUR_REQUEST: request}, receive, send)
    headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in messages[0]["headers"]}
    headers.pop("Content-Length", None)
    content = b"".join(message.get("body", b"") for message in messages[1:])
    return ApiReply(messages[0]["status"], content, headers)
