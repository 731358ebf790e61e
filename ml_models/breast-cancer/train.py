"""Logistic regression on standardised measurements: the thirty overlap, so a penalised linear model is hard to beat."""

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from predictions.serving.registration import Split, TrainingData


def train() -> TrainingData:
    x, y = load_breast_cancer(return_X_y=True)
    x_seen, x_held_out, y_seen, y_held_out = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return TrainingData(estimator.fit(x_seen, y_seen), Split(x_seen, y_seen), Split(x_held_out, y_held_out))
