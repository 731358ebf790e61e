"""Requests to copy: the same row with curl, in Python and in JavaScript."""

import json
from typing import Any

CURL = """curl {url} \\
  -H 'Content-Type: application/json' -H 'Prefer: wait=5' \\
  -d '{body}'"""

PYTHON = """import httpx

answer = httpx.post(
    {url!r},
    json={body},
    headers={{"Prefer": "wait=5"}},
)
print(answer.json()["output"])"""

JAVASCRIPT = """const answer = await fetch({url}, {{
  method: "POST",
  headers: {{"Content-Type": "application/json", "Prefer": "wait=5"}},
  body: JSON.stringify({body}),
}});
console.log((await answer.json()).output);"""


# Marks the place of the row in a request. A script of the page puts the values of the form there.
BODY = "\0"


def requests(url: str, features: dict[str, Any]) -> list[dict[str, str]]:
    """One request in each language, for one row by name: the code before the body, the body, and the code after it."""
    body = {"features": features}
    text = json.dumps(body, ensure_ascii=False)
    written = [
        ("curl", "curl", CURL.format(url=url, body=BODY), text.replace("'", "'\\''")),
        ("Python", "python", PYTHON.format(url=url, body=BODY), repr(body)),
        ("JavaScript", "javascript", JAVASCRIPT.format(url=json.dumps(url), body=BODY), text),
    ]
    return [
        {"title": title, "language": language, "before": code.split(BODY)[0], "body": row, "after": code.split(BODY)[1]}
        for title, language, code, row in written
    ]
