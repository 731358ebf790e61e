"""The web process never loads scientific libraries."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from project.env import BASE_DIR
from tests.support.stack import Stack

HEAVY = {
    "sklearn",
    "numpy",
    "scipy",
    "pandas",
    "joblib",
    "threadpoolctl",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "pyarrow",
    "python_calamine",
}

SEND_REQUESTS = """
import json, re, sys
from urllib.parse import urlencode
from project.asgi import application
from tests.support.door import open_door
row = {"x": 1, "seconds": 0}

def ask(*asked, **headers):
    return door.ask(*asked, **headers).status_code

def predict(body):
    return ask("POST", "/api/v1/models/probe/predictions/", json.dumps(body).encode(), Content_Type="application/json")

with open_door(application) as door:
    page = door.ask("GET", "/models/probe/")
    token = re.search(r'csrfmiddlewaretoken" value="(\\w+)"', page.content.decode())[1]
    cookies = "; ".join(cookie.partition(";")[0] for cookie in page.cookies)
    form = {"Content_Type": "application/x-www-form-urlencoded", "Cookie": cookies}
    answers = [
        ask("GET", "/"),
        ask("GET", "/models/iris/"),
        ask("GET", "/predictions/"),
        ask("GET", "/api/v1/models/"),
        ask("GET", "/api/v1/models/probe/"),
        ask("POST", "/models/probe/predictions/", urlencode({**row, "csrfmiddlewaretoken": token}).encode(), **form),
        predict({"features": row}),
        predict({"features": {}}),
    ]
print(json.dumps([answers, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def loaded_libraries(*processes: psutil.Process) -> set[str]:
    """The heavy packages with shared objects in the memory maps of the processes (Linux)."""
    files = {Path(file.path) for process in processes for file in process.memory_maps()}
    return HEAVY & {part for file in files for part in file.parts}


def test_web_processes_load_no_scientific_library(stack: Stack) -> None:
    prediction_id = stack.submit("probe", {"x": 1, "seconds": 0})
    stack.wait_for_state(prediction_id, "succeeded", 30)
    for path in ("/", "/models/iris/", f"/predictions/{prediction_id}/"):
        assert stack.client.get(path).status_code == 200
    web = stack["web"].process
    assert loaded_libraries(web, *web.children(recursive=True)) == set()
    # The same check finds them in the worker.
    assert loaded_libraries(*stack["worker"].process.children()) >= {"numpy", "sklearn"}


def test_web_imports_no_scientific_module(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEND_REQUESTS], cwd=BASE_DIR, env=stack.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers, modules = json.loads(done.stdout)
    assert answers == [200, 200, 200, 200, 200, 303, 202, 422]
    # The SDK for agents is imported with the first request to /mcp.
    assert (HEAVY | {"mcp", "starlette"}) & set(modules) == set()


def test_chunked_body_is_read_and_a_long_one_is_413(stack: Stack) -> None:
    """Clients send chunks if they do not know the length in advance."""

    def chunks(*parts: bytes) -> Iterator[bytes]:
        yield from parts

    address, headers = "/api/v1/models/iris/predictions/", {"Content-Type": "application/json"}
    row = stack.client.post(address, content=chunks(b'{"features": [5.1, ', b"3.5, 1.4, 0.2]}"), headers=headers)
    long = stack.client.post(address, content=chunks(b" " * 600_000, b" " * 600_000), headers=headers)

    assert (row.status_code, row.json()["features"]["petal width (cm)"]) == (202, 0.2)
    assert (long.status_code, long.json()["code"]) == (413, "too_large")
