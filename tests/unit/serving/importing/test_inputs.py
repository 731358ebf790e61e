"""The data of an import, read with the types that the estimator was fitted on."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from predictions.serving.importing.inputs import Columns, read_rows
from predictions.serving.importing.readings import are_alike


def test_column_that_holds_texts_in_the_training_data_is_read_as_texts(tmp_path: Path) -> None:
    (tmp_path / "held_out.csv").write_text("zip\n01067\n04109\n")
    columns = Columns(("zip",), {}, "frame")

    frame = read_rows(tmp_path / "held_out.csv", columns, Ridge(), like=pd.DataFrame({"zip": ["D-10115"]}))

    assert frame["zip"].tolist() == ["01067", "04109"]


def test_answers_of_other_shapes_or_with_the_same_gaps_are_compared() -> None:
    gaps = np.array([1.0, np.nan])
    assert are_alike([gaps], [gaps.copy()])
    assert not are_alike([np.zeros(3)], [np.zeros(400)])
    assert not are_alike([np.array(["1", "2"])], [np.array([1.0, 2.0])])
