"""A model's form as an MCP App, in a host that does what the extension asks of hosts."""

import json
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.support.axe import findings
from tests.support.stack import Stack

pytest.importorskip("mcp")

# The host's policy for an app that names no origins.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " media-src 'self' data:; connect-src 'none'"
)
HOST = """() => {
window.heard = [];
window.show = (html, given) => {
  const frame = document.createElement("iframe");
  frame.title = "The app";
  frame.width = 600; frame.height = 600;
  frame.setAttribute("sandbox", "allow-scripts");
  frame.srcdoc = html;
  const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  addEventListener("message", async ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    heard.push(data.method);
    const answer = (result) => send({ id: data.id, result });
    if (data.method === "ui/initialize") answer({ hostCapabilities: {}, hostContext: { theme: "dark" } });
    if (data.method === "ui/notifications/initialized")
      send({ method: "ui/notifications/tool-input", params: { arguments: given } });
    if (data.method === "tools/call") answer(await callServer("tools/call", data.params));
    if (data.method === "ui/update-model-context") {
      window.told = data.params;
      send({ id: data.id, error: { code: -32000, message: "declined" } });
    }
  });
  document.body.append(frame);
};
}"""


@pytest.fixture
def app(page: Page, stack: Stack) -> FrameLocator:
    """The app in its frame, after the agent has called the tool with three values."""

    def call(method: str, params: Any) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        return stack.client.post("/mcp/", json=message, headers=headers).json()["result"]

    [content] = call("resources/read", {"uri": "ui://foretell/iris"})["contents"]
    html = content["text"].replace("<head>", f'<head><meta http-equiv="Content-Security-Policy" content="{POLICY}">')
    page.expose_function("callServer", call)
    page.set_content("<!doctype html><html lang=en><title>A host</title><main><h1>A host</h1></main>")
    page.evaluate(HOST)
    given = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4}
    page.evaluate(f"show({json.dumps(html)}, {json.dumps(given)})")
    return page.frame_locator("iframe")


def test_form_has_the_agents_values_and_asks_through_the_host(page: Page, app: FrameLocator) -> None:
    expect(app.get_by_label("Petal length")).to_have_value("1.4")
    app.get_by_label("Petal width").fill("0,2")

    app.get_by_label("Petal width").press("Enter")

    expect(app.get_by_role("status")).to_contain_text("Iris species: setosa (probability")
    expect(app.get_by_role("button", name="Predict")).to_be_enabled()
    assert page.evaluate("told.structuredContent.output.label") == "setosa"
    assert "ui/notifications/size-changed" in page.evaluate("heard")


def test_problems_are_named_at_once(page: Page, app: FrameLocator) -> None:
    expect(app.get_by_label("Petal length")).to_have_value("1.4")
    app.get_by_label("Sepal length").fill("wide")

    app.get_by_role("button", name="Predict").click()

    expect(app.get_by_role("status")).to_contain_text("- sepal_length_cm:")
    expect(app.get_by_role("status")).to_contain_text("- petal_width_cm:")


def test_app_has_no_finding_by_itself(page: Page, stack: Stack, app: FrameLocator) -> None:
    expect(app.get_by_label("Petal length")).to_have_value("1.4")
    html = page.locator("iframe").get_attribute("srcdoc")
    assert html
    page.set_content(html.replace(POLICY, "script-src 'unsafe-inline' 'unsafe-eval'"))
    assert findings(page) == []
