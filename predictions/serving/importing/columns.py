"""Decides what each column is: its kind, whether it may be missing, its choices, and why."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.importing.column_witness import Witness
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.signature import Boolean, Choice, Date, Feature, Integer, Number, Text
from predictions.serving.training.input_types import is_missing

# A column with at most this many different texts, each seen at least twice on average, becomes a choice.
MOST_CHOICES = 50
LONGEST_CHOICE = 60
# With more numeric categories a column is a number, unless the estimator refuses values that it has not seen.
MOST_NUMBERED_CHOICES = 200
_CODES = re.compile(
    r"(^|[_\s.-])(id|code|zip|plz|postcode|postal|no|nr|number|key)$|(Id|ID|Code|No|Nr|Number)$", re.ASCII
)
LEAST_CODES = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """The feature of a column, and why. `doubts` are questions to a person; `seen` describes the data in words."""

    feature: Feature
    why: str
    doubts: tuple[str, ...] = ()
    seen: str = ""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    witness: Witness | None
    values: pd.Series | None
    present: list[Any] = field(default_factory=list)
    type_said: str = ""

    @property
    def required(self) -> bool:
        foreseen = self.witness is not None and self.witness.takes_missing
        return not foreseen and (self.values is None or len(self.present) == len(self.values))

    @property
    def said(self) -> dict[str, Any]:
        return {"name": self.name, "label": label_of(self.name), "required": self.required}

    @property
    def why_optional(self) -> str:
        has_missing = self.values is not None and len(self.present) < len(self.values)
        return "" if self.required or has_missing or not self.witness else "; a missing value is filled in"


def decide(name: str, witness: Witness | None, values: pd.Series | None, said: str = "") -> Decision:
    """The feature of one column, by the estimator first and the data second; `said` is its type by an MLflow signature.

    Raises CannotRegister, naming the column.
    """
    is_gap = is_missing if witness is None else witness.is_gap
    present = [] if values is None else [_plain(value) for value in values.astype(object) if not is_gap(value)]
    column = _Column(name, witness, values, present, said)
    if values is not None and not present:
        raise CannotRegister(f"Column {name!r} of the data has no value at all: fill it, or fit without it.")
    decision = _by_witness(column) or _by_data(column)
    return Decision(
        decision.feature, decision.why + column.why_optional, decision.doubts, _seen(decision.feature, column)
    )


def label_of(name: str) -> str:
    """A name as words: mean_radius becomes "Mean radius"."""
    words = " ".join(name.replace("_", " ").split()) or name
    return words[:1].upper() + words[1:]


# --- What the estimator says ------------------------------------------------------------------------------------------
def _by_witness(column: _Column) -> Decision | None:
    witness = column.witness
    if witness is None:
        return None
    if witness.is_text:
        return _text(column, f"{witness.source} reads texts")
    if witness.categories:
        return _listed(column, witness)
    if witness.is_choice and _are_yes_no(column.present):
        return _yes_no(column, f"{witness.source} takes it as categories, and the data holds true and false")
    if witness.is_choice and column.present:
        values = _ordered(set(column.present))
        doubt = f"takes the {len(values)} values of the data only, since {witness.source} lists none: are these all?"
        return _choice(column, values, f"{witness.source} takes it as categories", (doubt,))
    return None


def _listed(column: _Column, witness: Witness) -> Decision | None:
    known = [_plain(value) for value in witness.categories or () if value != witness.fill]
    strangers = _ordered({value for value in column.present if value not in known})
    why = f"{witness.source} knows {len(known)} values"
    doubts = (
        [f"{len(strangers)} values of the data are unknown to {witness.source}: {_few(strangers)}"] if strangers else []
    )
    values = [*known, *strangers]
    # To an encoder 1 and true are one value, so it may list the other one than the data has.
    if _are_yes_no(known) or (_are_yes_no(column.present) and {*known} <= {0, 1}):
        return _yes_no(column, why)
    if all(isinstance(value, int | float) for value in values):
        if len(values) > MOST_NUMBERED_CHOICES and not witness.refuses_unseen:
            return None
        values = [int(value) if float(value).is_integer() else value for value in values]
    return _choice(column, values, why, tuple(doubts))


# --- What the data says -----------------------------------------------------------------------------------------------
def _by_data(column: _Column) -> Decision:
    if column.values is None:
        return _without_data(column)
    if _are_yes_no(column.present) or (column.type_said == "boolean" and {*column.present} <= {0, 1}):
        return _yes_no(column, "the data holds true and false")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in column.present):
        return _numbers(column)
    if str(column.values.dtype).startswith("datetime64"):
        return _dates(column)
    if all(isinstance(value, str) for value in column.present):
        return _texts(column)
    kinds = sorted({type(value).__name__ for value in column.present})
    raise CannotRegister(f"Column {column.name!r} of the data mixes {' and '.join(kinds)}: give it one type.")


def _numbers(column: _Column) -> Decision:
    values = column.present
    is_float = str(column.values.dtype).lower().startswith("float")  # type: ignore[union-attr]
    are_whole = all(float(value).is_integer() for value in values)
    if are_whole and set(values) == {0, 1}:
        doubt = "holds only 0 and 1: what do they mean?"
        return _choice(column, [0, 1], "the data holds only 0 and 1", (doubt,))
    # pandas reads whole numbers with gaps as floats.
    if are_whole and (not is_float or not column.required):
        feature = Integer(**column.said, default=typical(Integer(name="-"), values))
        return Decision(feature, "the data holds whole numbers", _code_doubts(column))
    return Decision(Number(**column.said, default=typical(Number(name="-"), values)), "the data holds numbers")


def _code_doubts(column: _Column) -> tuple[str, ...]:
    different = len(set(column.present))
    lengths = {len(str(abs(int(value)))) for value in column.present}
    is_named = _CODES.search(column.name) is not None
    if is_named and different == len(column.present) > LEAST_CODES:
        return ("differs in every row: should the estimator see it at all?",)
    if different > LEAST_CODES and (is_named or (len(lengths) == 1 and lengths.pop() > 3)):
        return (f"has {different} whole numbers as codes: made a choice?",)
    return ()


def _texts(column: _Column) -> Decision:
    different = set(column.present)
    few = len(different) <= MOST_CHOICES and 2 * len(different) <= len(column.present)
    if few and max(map(len, different)) <= LONGEST_CHOICE:
        doubt = f"is a choice of the {len(different)} texts in the data; others are refused: is it free text?"
        return _choice(column, _ordered(different), f"the data holds {len(different)} different texts", (doubt,))
    if all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII) for value in different):
        return Decision(Date(**column.said), "the data holds dates (2024-05-31)")
    return _text(column, f"the data holds {len(different)} different texts")


def _dates(column: _Column) -> Decision:
    if any(str(value.time()) != "00:00:00" for value in column.present):
        raise CannotRegister(f"Column {column.name!r} of the data holds times of day: Foretell asks for dates only.")
    return Decision(Date(**column.said), "the data holds dates")


def _without_data(column: _Column) -> Decision:
    why = f"the signature of the model says {column.type_said}"
    if column.type_said in ("long", "integer"):
        return Decision(Integer(**column.said), why)
    if column.type_said == "boolean":
        return Decision(Boolean(**column.said), why)
    if column.type_said == "string":
        return Decision(Text(**column.said), why)
    return Decision(Number(**column.said), why if column.type_said else "no data: taken for a number")


# --- Features ---------------------------------------------------------------------------------------------------------
def _choice(column: _Column, values: list[Any], why: str, doubts: tuple[str, ...] = ()) -> Decision:
    pairs = tuple((value, str(value)) for value in values)
    try:
        feature = Choice(**column.said, choices=pairs, default=_commonest(column))
    except ValueError as error:
        raise CannotRegister(f"Column {column.name!r} cannot be a choice of {_few(values)}: {_last(error)}.") from error
    return Decision(feature, why, doubts)


def _text(column: _Column, why: str) -> Decision:
    longest = max((len(value) for value in column.present if isinstance(value, str)), default=0)
    return Decision(Text(**column.said, max_length=max(1000, 4 * longest)), why)


def _are_yes_no(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, bool | np.bool_) for value in values)


def _yes_no(column: _Column, why: str) -> Decision:
    default = _commonest(column)
    return Decision(Boolean(**column.said, default=None if default is None else bool(default)), why)


def _last(error: ValueError) -> str:
    return str(error).splitlines()[-2].strip() if len(str(error).splitlines()) > 1 else str(error)


def _seen(feature: Feature, column: _Column) -> str:
    if not column.present:
        return ""
    missing = 0.0 if column.values is None else 1 - len(column.present) / len(column.values)
    parts = [f"{missing:.1%} missing"] if missing else []
    if isinstance(feature, Number | Integer):
        parts.insert(0, f"{min(column.present):.6g} to {max(column.present):.6g}")
    elif not isinstance(feature, Date):
        parts.insert(0, f"{len(set(column.present))} different values")
    return ", ".join(parts)


def typical(feature: Feature, values: list[Any]) -> Any:
    """The median of numbers, the commonest of other values, in the type that the feature takes."""
    plain = [_plain(value) for value in values]
    if isinstance(feature, Integer):
        return int(np.percentile(plain, 50, method="lower"))
    if isinstance(feature, Number):
        return _rounded(float(np.median(plain)), plain)
    if isinstance(feature, Date):
        return str(sorted(map(str, plain))[len(plain) // 2])[:10]
    value = Counter(plain).most_common(1)[0][0]
    if isinstance(feature, Boolean):
        return bool(value)
    return next((known for known in feature.values if known == value), value) if isinstance(feature, Choice) else value


def _commonest(column: _Column) -> Any:
    return Counter(column.present).most_common(1)[0][0] if column.present else None


def _rounded(value: float, values: list[Any]) -> float:
    """To four digits, if that stays within the values: a median of 17 digits is of no use in a form."""
    short = float(f"{value:.4g}")
    return short if min(values) <= short <= max(values) else value


def _ordered(values: set[Any]) -> list[Any]:
    key: Callable[[Any], Any] = lambda value: (isinstance(value, str), value)  # noqa: E731
    return sorted(values, key=key)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _few(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values[:5]) + (", …" if len(values) > 5 else "")
