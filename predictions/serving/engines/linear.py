"""Estimators whose decision function is the log-odds of their second class."""

from typing import Any

LOG_ODDS = ("LogisticRegression", "LogisticRegressionCV", "SGDClassifier")


def gives_log_odds(estimator: Any) -> bool:
    """Whether an estimator ends in a logistic regression, by its class name: this module imports no scikit-learn."""
    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    return type(final).__name__ in LOG_ODDS and hasattr(estimator, "decision_function")
