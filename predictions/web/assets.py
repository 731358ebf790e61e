"""Static files for pages that must appear while something is broken."""

from django import template
from django.conf import settings
from django.templatetags.static import static

register = template.Library()


@register.simple_tag
def asset(path: str) -> str:
    """The address of a static file; a plain one where none were collected, which `static` takes for an error."""
    try:
        return static(path)
    except ValueError:
        return f"{settings.STATIC_URL}{path}"
