"""Compares the estimator and the data of a further version with the model.toml of its model."""

from collections.abc import Sequence
from pathlib import Path

from predictions.serving.artifacts.description import Description
from predictions.serving.importing.inputs import Columns
from predictions.serving.importing.wording import MOST_NAMES, listed
from predictions.serving.registration import CannotRegister


def check_columns(toml: Path, description: Description, columns: Columns, data: Path) -> None:
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


def check_targets(toml: Path, description: Description, names: Sequence[str]) -> None:
    """Raises CannotRegister if model.toml has one of several targets at another place than --target."""
    described = [target.name for target in description.targets]
    places = {name: place for place, name in enumerate(described)}
    if any(places.get(name, place) != place for place, name in enumerate(names)):
        raise CannotRegister(
            f"--target names {listed(names)}, and {toml} describes {listed(described)}: fit the estimator on the "
            f"targets of model.toml in their order, or register it as a model of its own with another --name."
        )


def _from_difference(read: Sequence[str], described: Sequence[str]) -> tuple[str, str]:
    """The names of both; of many, those from the first difference on."""
    pairs = zip(read, described, strict=False)
    first = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(read), len(described)))
    start = first if max(len(read), len(described)) > MOST_NAMES else 0
    return (_from(read, start), _from(described, start))


def _from(names: Sequence[str], start: int) -> str:
    return f"from column {start + 1} on {listed(names[start:]) or 'nothing'}" if start else listed(names)
