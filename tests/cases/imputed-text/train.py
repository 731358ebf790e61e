"""Imputers for a text and for a number, the most ordinary pipeline."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from predictions.serving.registration import Split, TrainingData

random = np.random.default_rng(2)
city = random.choice(np.array(["Rome", "Oslo", np.nan], dtype=object), 600, p=[0.5, 0.3, 0.2])
income = np.where(random.random(600) < 0.2, np.nan, random.normal(size=600))
x = pd.DataFrame({"city": pd.Series(city, dtype=object), "income": income})
y = np.where((x["city"] == "Rome") ^ (random.random(600) < 0.1), "yes", "no")
words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
estimator = make_pipeline(
    make_column_transformer((words, ["city"]), (make_pipeline(SimpleImputer(), StandardScaler()), ["income"])),
    LogisticRegression(),
)


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
