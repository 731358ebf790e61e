"""Look-ups that find nothing for a text that no row can have.

JSON and URLs may contain a NUL or half of a surrogate pair (see `is_storable`). PostgreSQL or its driver would fail to
compare a column with such a text, although the result is known: no row has it. Django treats a number that is too large
for its column in the same way (`IntegerFieldOverflow`). This applies to conditions: a comparison that is selected as a
column returns 0 instead of False.
"""

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import CharField, TextField, lookups

from predictions.serving.schema.wording import is_storable


class _ComparesText(lookups.BuiltinLookup):
    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        """Raises EmptyResultSet for a text that no row can have."""
        if isinstance(self.rhs, str) and not is_storable(self.rhs):
            raise EmptyResultSet
        return super().process_rhs(compiler, connection)


# Classes of the module, not made in a loop: Django promises that a query can be pickled, which needs their names.
class TextExact(_ComparesText, lookups.Exact):
    pass


class TextIExact(_ComparesText, lookups.IExact):
    pass


class TextContains(_ComparesText, lookups.Contains):
    pass


class TextIContains(_ComparesText, lookups.IContains):
    pass


class TextStartsWith(_ComparesText, lookups.StartsWith):
    pass


class TextIStartsWith(_ComparesText, lookups.IStartsWith):
    pass


class TextEndsWith(_ComparesText, lookups.EndsWith):
    pass


class TextIEndsWith(_ComparesText, lookups.IEndsWith):
    pass


class TextRegex(_ComparesText, lookups.Regex):
    pass


class TextIRegex(_ComparesText, lookups.IRegex):
    pass


class TextIn(lookups.In):
    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        """Leaves out the texts that no row can have. Raises EmptyResultSet if none is left."""
        if self.rhs_is_direct_value():
            self.rhs = [text for text in self.rhs if not isinstance(text, str) or is_storable(text)]
        return super().process_rhs(compiler, connection)


LOOKUPS = (
    *(TextExact, TextIExact, TextIn, TextContains, TextIContains, TextStartsWith, TextIStartsWith, TextEndsWith),
    *(TextIEndsWith, TextRegex, TextIRegex),
)


def register_lookups() -> None:
    """Use these look-ups for all text columns, also for those of Django's own models."""
    for field in (CharField, TextField):
        for lookup in LOOKUPS:
            field.register_lookup(lookup)
