"""The real processes behind a real nginx, which has the configuration of deploy/nginx/ and offers them under a path."""

import asyncio
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from foretell_client import Client

from tests.support import nginx
from tests.support.stack import Stack
from tests.support.waiting import wait_until

PREFIX = "/foretell"
ROW = [5.1, 3.5, 1.4, 0.2]
ADDRESS = re.compile(r'(?:href|src|action|hx-get|hx-post|formaction)="([^"#]+)[^"]*"')
TOKEN = re.compile(r'csrfmiddlewaretoken" value="(\w+)"')
EDITS = {  # of docs/how-to/behind-nginx.md, "Under a path"
    "location / {": f"location {PREFIX}/ {{",
    '"^/(api/v1/batches/': f'"^{PREFIX}/(api/v1/batches/',
}
LOCATION = f"location {PREFIX}/ {{\n            proxy_pass http://foretell"
TAKEN_OFF = {f"{LOCATION};": f"{LOCATION}/;"}


@pytest.fixture(scope="module")
def site(prepare_stack: Any) -> Iterator[Stack]:
    variables = {
        "FORCE_SCRIPT_NAME": PREFIX,
        "HTTPS": "true",
        "BEHIND_PROXY": "true",
        "CORS_ALLOWED_ORIGINS": "https://shop.example.org",
    }
    started: AbstractContextManager[Stack] = prepare_stack(**variables)
    with started as stack:
        stack.client.headers["X-Forwarded-Proto"] = "https"
        stack.start("redis", "worker", "bulk", "keeper", "web")
        user = "from django.contrib.auth.models import User; User.objects.create_superuser('ada', password='lovelace')"
        stack.manage("shell", "-c", user)
        yield stack


@pytest.fixture(scope="module", params=[{}, TAKEN_OFF], ids=["left on", "taken off"])
def proxy(site: Stack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator["Proxy"]:
    folder = tmp_path_factory.mktemp("nginx")
    with nginx.running(folder, site.env["PORT"], {**EDITS, **request.param}) as address:
        yield Proxy(address, folder / "certificate.pem")


class Proxy:
    def __init__(self, address: str, certificate: Path) -> None:
        self.host = urlsplit(address).netloc
        self.url = f"{address}{PREFIX}"
        self.trust = ssl.create_default_context(cafile=str(certificate))

    def path_of(self, address: str) -> str:
        """The path of an address, which must be on this site and have the prefix exactly once."""
        parts = urlsplit(address)
        assert parts.netloc in ("", self.host), address
        assert parts.path.startswith(f"{PREFIX}/"), address
        assert not parts.path.startswith(PREFIX * 2), address
        return parts.path + (f"?{parts.query}" if parts.query else "")


@pytest.fixture
def browser(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"https://{proxy.host}", verify=proxy.trust, timeout=30) as client:
        yield client


def paths_in(proxy: Proxy, page: httpx.Response) -> set[str]:
    return {proxy.path_of(urljoin(str(page.url), unescape(found))) for found in ADDRESS.findall(page.text)}


def sign_in(browser: httpx.Client) -> httpx.Response:
    page = browser.get(f"{PREFIX}/accounts/login/")
    token = TOKEN.findall(page.text)[0]
    fields = {"csrfmiddlewaretoken": token, "username": "ada", "password": "lovelace"}
    return browser.post(f"{PREFIX}/accounts/login/", data=fields, headers={"Referer": str(page.url)})


def fill_in(browser: httpx.Client, **headers: str) -> httpx.Response:
    page = browser.get(f"{PREFIX}/models/iris/")
    names = re.findall(r'<input type="(?:text|number)" name="([^"]+)"', page.text)
    fields = dict(zip(map(unescape, names), map(str, ROW), strict=False))
    fields["csrfmiddlewaretoken"] = TOKEN.findall(page.text)[0]
    return browser.post(
        f"{PREFIX}/models/iris/predictions/", data=fields, headers={"Referer": str(page.url), **headers}
    )


# --- Pages ------------------------------------------------------------------------------------------------------------
def test_every_address_on_a_page_leads_to_this_site(proxy: Proxy, browser: httpx.Client) -> None:
    assert proxy.path_of(sign_in(browser).headers["location"]) == f"{PREFIX}/"
    pages = ["/", "/models/iris/", "/models/iris/versions/", "/models/iris/api/", "/monitor/", "/api/v1/docs/"]
    found: set[str] = set()
    for page in [*pages, "/batches/new/?model=iris", "/accounts/", "/predictions/", "/nothing/"]:
        found |= paths_in(proxy, browser.get(f"{PREFIX}{page}"))

    answers = {path: browser.get(path) for path in sorted(found) if "logout" not in path}

    assert any(path.startswith(f"{PREFIX}/static/") for path in answers)
    # Addresses of forms answer 422 without their fields, or 405 to a GET.
    others = {path: answer.status_code for path, answer in answers.items() if answer.status_code not in (200, 405, 422)}
    assert others == {f"{PREFIX}/language/": 302}
    assert proxy.path_of(answers[f"{PREFIX}/language/"].headers["location"]) == f"{PREFIX}/"


def test_form_without_script_leads_to_its_result(proxy: Proxy, browser: httpx.Client) -> None:
    answer = fill_in(browser)
    assert answer.status_code == 303
    path = proxy.path_of(answer.headers["location"])
    wait_until(lambda: 'data-state="succeeded"' in browser.get(path).text, 20, "the page has the result")
    assert path in paths_in(proxy, browser.get(f"{PREFIX}/predictions/"))


def test_fragment_polls_under_the_path(site: Stack, proxy: Proxy, browser: httpx.Client) -> None:
    site.freeze("worker")
    try:
        answer = fill_in(browser, **{"HX-Request": "true"})
        assert answer.status_code == 202
        proxy.path_of(answer.headers["hx-push-url"])
        poll = proxy.path_of(unescape(re.findall(r'hx-get="([^"]+)"', answer.text)[0]))
        assert "hx-get" in browser.get(poll, headers={"HX-Request": "true"}).text
    finally:
        site["worker"].thaw()
    wait_until(lambda: browser.get(poll, headers={"HX-Request": "true"}).status_code == 286, 20, "polling ends")


def test_cookies_are_for_the_path_only(proxy: Proxy, browser: httpx.Client) -> None:
    fill_in(browser)
    sign_in(browser)
    fields = {"language": "de", "next": f"{PREFIX}/"}
    browser.post(f"{PREFIX}/language/", data=fields, headers={"Referer": proxy.url})
    assert {(cookie.name, cookie.path, cookie.secure) for cookie in browser.cookies.jar} == {
        (name, f"{PREFIX}/", True) for name in ("csrftoken", "sessionid", "language", "messages")
    }


def test_health_of_the_process_needs_neither_path_nor_tls(site: Stack) -> None:
    with httpx.Client(base_url=site.client.base_url) as supervisor:
        assert supervisor.get("/healthz/live").status_code == 200
        assert supervisor.get(f"{PREFIX}/healthz/ready").status_code == 200
        assert (
            supervisor.get("/models/iris/")
            .headers["location"]
            .startswith(f"https://127.0.0.1:{site.env['PORT']}{PREFIX}/")
        )


# --- Programs ---------------------------------------------------------------------------------------------------------
def test_api_answers_with_addresses_under_the_path(proxy: Proxy, browser: httpx.Client) -> None:
    """Requests for pages come in between. They must not change the path that the process writes into addresses."""
    for _ in range(4):
        browser.get(f"{PREFIX}/models/iris/")
        answer = browser.post(f"{PREFIX}/api/v1/models/iris/predictions", json={"features": ROW})
        assert answer.status_code == 202
        addresses = [answer.headers["location"], *answer.json()["urls"].values()]
        detail = browser.get(f"{PREFIX}/api/v1/models/iris/").json()
        index = browser.get(f"{PREFIX}/api/v1/").json()
        for address in [*addresses, *detail["urls"].values(), *index["urls"].values()]:
            proxy.path_of(address)
    assert browser.get(proxy.path_of(answer.headers["location"])).json()["id"] == answer.json()["id"]


def test_schema_leads_to_its_operations(proxy: Proxy, browser: httpx.Client) -> None:
    schema = browser.get(f"{PREFIX}/api/v1/schema/").json()
    [server] = schema["servers"]
    assert server["url"] == proxy.url
    assert "/api/v1/models/iris/predictions/" in schema["paths"]
    assert browser.get(f"{server['url']}/api/v1/models/").status_code == 200


def test_client_package_predicts(proxy: Proxy) -> None:
    with Client(proxy.url, transport=httpx.HTTPTransport(verify=proxy.trust)) as client:
        prediction = client.predict("iris", ROW)
        assert prediction.status == "succeeded"
        assert client.result(prediction.id) == prediction


def test_events_are_not_held_back(site: Stack, proxy: Proxy, browser: httpx.Client) -> None:
    site.freeze("worker")
    try:
        row = browser.post(f"{PREFIX}/api/v1/models/iris/predictions/", json={"features": ROW}).json()
        with browser.stream("GET", f"{proxy.path_of(row['urls']['self'])}events/") as stream:
            lines = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
            first = next(lines)
            site["worker"].thaw()
            last = list(lines)[-1]
    finally:
        site["worker"].thaw()
    assert (first["status"], last["status"]) == ("queued", "succeeded")
    proxy.path_of(last["urls"]["self"])


def test_file_above_a_mebibyte_passes(proxy: Proxy, browser: httpx.Client) -> None:
    names = list(browser.get(f"{PREFIX}/api/v1/models/iris/").json()["signature"]["properties"])
    lines = "\n".join([",".join(names), *["5.1,3.5,1.4,0.2"] * 80_000])
    answer = browser.post(f"{PREFIX}/api/v1/batches/", data={"model": "iris"}, files={"file": ("a.csv", lines)})
    assert answer.status_code == 202, answer.text
    assert browser.post(proxy.path_of(answer.json()["urls"]["cancel"])).status_code == 200


def test_triton_client_predicts(proxy: Proxy) -> None:
    address = f"{proxy.host}{PREFIX}"
    with triton.InferenceServerClient(address, ssl=True, ssl_context_factory=lambda: proxy.trust) as client:
        assert client.is_server_ready()
        tensor = triton.InferInput("input", [1, 4], "FP64").set_data_from_numpy(np.array([ROW]))
        assert client.infer("iris", [tensor]).as_numpy("predict").tolist() == [[b"setosa"]]


def test_agent_calls_a_tool(proxy: Proxy) -> None:
    pytest.importorskip("mcp")
    from mcp import Client as Agent
    from mcp.client.streamable_http import streamable_http_client

    async def call() -> Any:
        async with httpx.AsyncClient(verify=proxy.trust) as http:
            transport = streamable_http_client(f"{proxy.url}/mcp/", http_client=http)
            async with Agent(transport) as client:
                row = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
                return await client.call_tool("predict_iris", row)

    body = asyncio.run(call()).structured_content
    assert body["output"]["label"] == "setosa"
    proxy.path_of(body["urls"]["self"])


# --- Pages of other sites ---------------------------------------------------------------------------------------------
def test_embedded_form_leads_to_its_result_without_cookies(proxy: Proxy, browser: httpx.Client) -> None:
    sign_in(browser)
    page = browser.get(f"{PREFIX}/models/iris/embed/")
    fields = {"csrfmiddlewaretoken": TOKEN.findall(page.text)[0], "origin": "https://shop.example.org"}
    browser.post(f"{PREFIX}/models/iris/embed/", data=fields, headers={"Referer": str(page.url)})
    snippet = unescape(browser.get(f"{PREFIX}/models/iris/embed/").text)
    form, script = (proxy.path_of(found) for found in re.findall(r'src="([^"]+/embed/[^"]+)"', snippet)[:2])
    with httpx.Client(base_url=f"https://{proxy.host}", verify=proxy.trust) as stranger:
        assert stranger.get(proxy.path_of(stranger.get(script).headers["location"])).status_code == 200
        shown = stranger.get(form)
        assert "frame-ancestors https://shop.example.org" in shown.headers["content-security-policy"]
        names = re.findall(r'<input type="(?:text|number)" name="([^"]+)"', shown.text)
        asked = stranger.post(form, data=dict(zip(map(unescape, names), map(str, ROW), strict=False)))
        result = proxy.path_of(asked.headers["location"])
        wait_until(lambda: 'data-state="succeeded"' in stranger.get(result).text, 20, "the result is shown")
        paths_in(proxy, stranger.get(result))
        assert not stranger.cookies


def test_script_of_another_site_may_ask_the_api(browser: httpx.Client) -> None:
    origin = {"Origin": "https://shop.example.org", "Access-Control-Request-Method": "POST"}
    answer = browser.options(f"{PREFIX}/api/v1/models/iris/predictions/", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.org"
