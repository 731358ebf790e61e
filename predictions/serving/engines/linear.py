"""Estimators whose decision function is the log-odds of their second class."""

from typing import Any

LOG_ODDS = ("LogisticRegression", "LogisticRegressionCV")


def gives_log_odds(estimator: Any) -> bool:
    """Whether an estimator ends in a logistic regression, by its class name: this module imports no scikit-learn."""
    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    kind = type(final).__name__
    # With another loss, probabilities of this class do not follow from the log-odds ("modified_huber"), or are missing.
    is_logistic = kind in LOG_ODDS or (kind == "SGDClassifier" and getattr(final, "loss", "") == "log_loss")
    return is_logistic and hasattr(estimator, "decision_function")
