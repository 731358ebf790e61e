"""A random forest: few rows, thirteen measurements on different scales, and effects that depend on each other."""

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from predictions.serving.registration import Split, TrainingData


def train() -> TrainingData:
    x, y = load_wine(return_X_y=True)
    x_seen, x_held_out, y_seen, y_held_out = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    estimator = RandomForestClassifier(n_estimators=300, random_state=0, n_jobs=1)
    return TrainingData(estimator.fit(x_seen, y_seen), Split(x_seen, y_seen), Split(x_held_out, y_held_out))
