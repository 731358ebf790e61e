"""A model card as HTML. Raw HTML in a card is shown as text, never run."""

from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@lru_cache(maxsize=256)
def card_html(text: str) -> SafeString:
    html: str = _markdown.render(text)
    return mark_safe(html)  # noqa: S308 - the renderer escapes
