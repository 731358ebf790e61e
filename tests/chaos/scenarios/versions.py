"""Right answers of a version that was restored in place, and of rows of different types in one claim."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import joblib
import pandas as pd

from tests.chaos.ledger import Submission
from tests.chaos.load import Client
from tests.chaos.oracle import Outcome
from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import CATEGORIES, RESTORED, restored_root
from tests.support.restoring import VERSION, restore_in_place

CLIENTS = 8
COLOURS = ("red", "blue", None)
# The estimator learned the missing value as a category.
MISSING = float("nan")


@scenario("P9", seconds=8, quick_seconds=4)
def version_is_restored_in_place(scene: Scene) -> None:
    """The database and the folder of a model are restored while all processes run, so that one primary key names
    another artefact: each row that is accepted afterwards is answered by the restored one."""
    first = [scene.submit(model=RESTORED) for _ in range(10)]
    scene.check(all(first), "rows are accepted before the restore")
    scene.wait_until(lambda: scene.are_finished(first), 30, "the rows before the restore are finished")
    scene.mark_fault()
    restore_in_place(scene.stack, RESTORED, restored_root(scene.stage.models) / RESTORED / VERSION)
    for _ in scene.every(0.2):
        x = float(next(scene.stage.numbers))
        scene.submit_as(RESTORED, Outcome(3 * x), {"x": x, "seconds": 0.0})


@scenario("P10", seconds=15, quick_seconds=5, rate=20)
def crowd_with_missing_values(scene: Scene) -> None:
    """Clients send rows with and without a missing category at the same time, so that claims mix them. Each answer is
    that of the estimator for the row alone."""
    estimator = joblib.load(scene.stage.models / CATEGORIES.name / VERSION / "estimator.joblib")
    shifts = count()
    clients = [Client(str(scene.stack.client.base_url), scene.ledger) for _ in range(CLIENTS)]

    def send(client: Client) -> None:
        place = next(shifts)
        features: dict[str, Any] = {"colour": COLOURS[place % len(COLOURS)], "shift": place / 1000}
        row = pd.DataFrame([{**features, "colour": features["colour"] or MISSING}]).astype({"colour": object})
        alone = float(estimator.predict(row)[0])
        number = next(scene.stage.numbers)
        client.submit(number, Submission(number, answer=Outcome(alone), features=features), model=CATEGORIES.name)

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in scene.every(0.05):
            list(pool.map(send, clients))
    scene.notes.append(f"{next(shifts)} rows, each compared with the estimator alone")
    for client in clients:
        client.close()
