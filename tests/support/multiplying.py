"""A model whose versions can be told apart by their answers: each multiplies by a factor of its own."""

from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression


def multiplying(folder: Path, name: str, factors: Sequence[float]) -> list[list[str]]:
    """The commands that register one version for each factor, in order. Their files are written to `folder`."""
    x = pd.DataFrame({"x": np.arange(50.0)})
    commands = []
    for version, factor in enumerate(factors, start=1):
        file, data = folder / f"{version}.joblib", folder / f"{version}.csv"
        joblib.dump(LinearRegression().fit(x, x["x"] * factor), file)
        x.assign(y=x["x"] * factor).to_csv(data, index=False)
        commands.append(["register_model", str(file), "--name", name, "--data", str(data), "--target", "y"])
    return commands
