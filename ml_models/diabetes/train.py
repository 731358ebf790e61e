"""Small boosted trees: 442 rows are few, so each tree is shallow and learns slowly."""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from predictions.serving.registration import Split, TrainingData


def train() -> TrainingData:
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_seen, x_held_out, y_seen, y_held_out = train_test_split(x, y, test_size=0.3, random_state=0)
    estimator = HistGradientBoostingRegressor(max_depth=2, learning_rate=0.05, max_iter=150, random_state=0)
    return TrainingData(estimator.fit(x_seen, y_seen), Split(x_seen, y_seen), Split(x_held_out, y_held_out))
