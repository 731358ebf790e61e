"""One column of raw texts; a text may have several lines."""

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from predictions.serving.registration import Split, TrainingData

liked = ["a fine thing", "we like it", "it runs very well", "glad that we have it"]
disliked = ["a sorry thing", "it broke the same day", "we regret it", "money thrown away"]
x = pd.Series((liked + disliked) * 75)
y = np.array((["liked"] * 4 + ["disliked"] * 4) * 75)
estimator = make_pipeline(TfidfVectorizer(), LogisticRegression())


def train():
    estimator.fit(x[:400], y[:400])
    return TrainingData(estimator, Split(x[:400], y[:400]), Split(x[400:], y[400:]))
