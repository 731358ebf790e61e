"""The data of an import, read with the types that the estimator was fitted on."""

from pathlib import Path

import pandas as pd
from sklearn.linear_model import Ridge

from predictions.serving.importing.inputs import Columns, read_rows


def test_column_that_holds_texts_in_the_training_data_is_read_as_texts(tmp_path: Path) -> None:
    (tmp_path / "held_out.csv").write_text("zip\n01067\n04109\n")
    columns = Columns(("zip",), {}, "frame")

    frame = read_rows(tmp_path / "held_out.csv", columns, Ridge(), like=pd.DataFrame({"zip": ["D-10115"]}))

    assert frame["zip"].tolist() == ["01067", "04109"]
