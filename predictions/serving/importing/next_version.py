"""Compares the estimator and the data of a further version with the model.toml of its model."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from predictions.serving.artifacts.description import Description
from predictions.serving.importing.column_witness import Witness
from predictions.serving.importing.doubts import Doubt, of_order
from predictions.serving.importing.inputs import Columns, kept_names
from predictions.serving.importing.witness import witnesses
from predictions.serving.importing.wording import MOST_NAMES, listed
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.signature import Choice


def compare(toml: Path, description: Description, columns: Columns, data: Path) -> Iterator[Doubt]:
    """The questions about a further version. Raises CannotRegister if it has other columns or targets."""
    _check_columns(toml, description, columns, data)
    _check_targets(toml, description, columns.targets)
    yield from _forgotten(toml, description, columns.witnesses)
    if columns.is_order_assumed:
        yield from of_order(columns.names, data)


def compare_without_data(toml: Path, description: Description, estimator: Any) -> Iterator[Doubt]:
    """The questions about a further version without data. The engine compares its columns, if they have names."""
    names = description.signature.names
    yield from _forgotten(toml, description, witnesses(estimator, len(names)))
    if kept_names(estimator) is None:
        yield from of_order(names, toml)


def _check_columns(toml: Path, description: Description, columns: Columns, data: Path) -> None:
    """Raises CannotRegister if the estimator reads other columns than model.toml describes, or in another order."""
    if columns.names == description.signature.names:
        return
    read, described = _from_difference(columns.names, description.signature.names)
    assumed = corrected = ""
    if columns.is_order_assumed:
        assumed = f" (the order of {data}, since it keeps no names of its columns)"
        corrected = ", put the columns of the data into the order in which it was fitted"
    raise CannotRegister(
        f"The estimator reads {read}{assumed}, and {toml} describes {described}: fit it on the columns of model.toml "
        f"in their order{corrected}, or register it as a model of its own with another --name."
    )


def _check_targets(toml: Path, description: Description, names: Sequence[str]) -> None:
    """Raises CannotRegister if model.toml has one of several targets at another place than --target."""
    described = [target.name for target in description.targets]
    places = {name: place for place, name in enumerate(described)}
    if any(places.get(name, place) != place for place, name in enumerate(names)):
        raise CannotRegister(
            f"--target names {listed(names)}, and {toml} describes {listed(described)}: fit the estimator on the "
            f"targets of model.toml in their order, or register it as a model of its own with another --name."
        )


def _forgotten(toml: Path, description: Description, found: Mapping[int, Witness]) -> Iterator[Doubt]:
    """A remark for each feature with choices that the estimator does not know, although it may answer them."""
    for at, feature in enumerate(description.signature.features):
        witness = found.get(at)
        if not isinstance(feature, Choice) or witness is None or not witness.categories:
            continue
        known = {*witness.categories, witness.fill}
        if unknown := [repr(value) for value in feature.values if value not in known and not witness.is_gap(value)]:
            text = f"`{feature.name}` offers {listed(unknown)}, which {witness.source} of this estimator has never seen"
            yield Doubt(f"{text}: fit it again with such rows, or take the choice away", str(toml))


def _from_difference(read: Sequence[str], described: Sequence[str]) -> tuple[str, str]:
    """The names of both; of many, those from the first difference on."""
    pairs = zip(read, described, strict=False)
    first = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(read), len(described)))
    start = first if max(len(read), len(described)) > MOST_NAMES else 0
    return (_from(read, start), _from(described, start))


def _from(names: Sequence[str], start: int) -> str:
    return f"from column {start + 1} on {listed(names[start:]) or 'nothing'}" if start else listed(names)
