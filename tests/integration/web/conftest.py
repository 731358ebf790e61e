import re
from html.parser import HTMLParser
from typing import Any

import pytest

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


@pytest.fixture(autouse=True)
def _an_answer_at_once(settings: Any) -> None:
    """The server answers status polls at once, since no worker runs in these tests."""
    settings.WAITERS_MAX = 0


class Page(HTMLParser):
    """The elements of a page, in order. Asserts that each element is closed."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(response.content.decode())
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text = re.sub(r"\s+", " ", self.text + data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        wanted = {name.replace("_", "-").rstrip("-"): value for name, value in attributes.items()}
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]

    def one(self, tag: str, **attributes: str) -> dict[str, str]:
        found = self.all(tag, **attributes)
        assert len(found) == 1, found
        return found[0]

    def values(self) -> dict[str, str]:
        """The values that a browser would send with the prediction form as it is, texts and choices alike."""
        sent: dict[str, str] = {}
        select = ""
        for tag, attributes in self.elements:
            if tag == "input" and "name" in attributes:
                sent[attributes["name"]] = attributes.get("value", "")
            elif tag == "select":
                select = attributes["name"]
            elif tag == "option" and "selected" in attributes:
                sent[select] = attributes["value"]
        return sent
