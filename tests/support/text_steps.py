"""Steps of pipelines that people write themselves, for columns of texts that look like numbers."""

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class Dummies(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Indicator columns by pandas, as in a notebook."""

    def fit(self, x: Any, y: Any = None) -> "Dummies":
        self.columns_ = pd.get_dummies(x).columns
        return self

    def transform(self, x: Any) -> Any:
        return pd.get_dummies(x).reindex(columns=self.columns_, fill_value=0).astype(float)


def first_digit(x: pd.DataFrame) -> pd.DataFrame:
    return x.assign(zip=x["zip"].str[:1])


def is_saxon(x: pd.DataFrame) -> pd.DataFrame:
    return x.assign(zip=x["zip"].isin(["01067", "04109"]).astype(float))


def records(x: pd.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = x.to_dict("records")
    return found
