"""Static files for pages that must appear while something is broken."""

from django import template
from django.conf import settings
from django.templatetags.static import static

register = template.Library()


@register.simple_tag
def asset(path: str) -> str:
    """The URL of a static file, also where the files were not collected and `static` would raise an error."""
    try:
        return static(path)
    except ValueError:
        return f"{settings.STATIC_URL}{path}"
