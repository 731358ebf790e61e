"""Linear discriminant analysis: each species is one cloud of points, and this is the method Fisher made for them."""

from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split

from predictions.serving.registration import Split, TrainingData


def train() -> TrainingData:
    x, y = load_iris(return_X_y=True)
    x_seen, x_held_out, y_seen, y_held_out = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    estimator = LinearDiscriminantAnalysis()
    return TrainingData(estimator.fit(x_seen, y_seen), Split(x_seen, y_seen), Split(x_held_out, y_held_out))
