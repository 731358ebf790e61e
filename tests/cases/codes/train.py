"""Whole numbers that are read as text; a caller may leave theirs out."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(3)
codes = random.choice([10115, 20095, 80331], 600)
x = pd.DataFrame({"zip": codes, "shift": random.normal(size=600)})
y = x["shift"] + np.select([codes == 10115, codes == 20095], [1000.0, 2000.0], 3000.0)
as_text = FunctionTransformer(pd.DataFrame.astype, kw_args={"dtype": str})
estimator = make_pipeline(
    make_column_transformer(
        (make_pipeline(as_text, OneHotEncoder(handle_unknown="ignore")), ["zip"]), remainder="passthrough"
    ),
    LinearRegression(),
)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
