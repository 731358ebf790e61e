"""Requests to copy: the same row by curl, in Python and in JavaScript."""

import json
from typing import Any

CURL = """curl {url} \\
  -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
  -d '{body}'"""

PYTHON = """import httpx

answer = httpx.post(
    {url!r},
    json={body!r},
    headers={{"Prefer": "wait=5"}},
)
print(answer.json()["output"])"""

JAVASCRIPT = """const answer = await fetch({url}, {{
  method: "POST",
  headers: {{"Content-Type": "application/json", "Prefer": "wait=5"}},
  body: JSON.stringify({body}),
}});
console.log((await answer.json()).output);"""


def requests(url: str, features: dict[str, Any]) -> list[dict[str, str]]:
    """One request in each language, for one row by name."""
    body = {"features": features}
    text = json.dumps(body, ensure_ascii=False)
    return [
        {"title": "curl", "code": CURL.format(url=url, body=text.replace("'", "'\\''"))},
        {"title": "Python", "code": PYTHON.format(url=url, body=body)},
        {"title": "JavaScript", "code": JAVASCRIPT.format(url=json.dumps(url), body=text)},
    ]
