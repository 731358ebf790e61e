from pathlib import Path

import pytest

from predictions.serving.artifacts.repository import BrokenFile, describe, descriptions
from predictions.serving.artifacts.repository import manifest as manifest_of
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.advice import Advisor

HERE = Path(__file__).resolve().parents[3] / "ml_models"
NAMES = ["breast-cancer", "diabetes", "iris", "wine"]


def test_all_folders_can_be_read() -> None:
    broken: list[BrokenFile] = []
    assert [d.name for d in descriptions(HERE, broken.append) if d.name in NAMES] == NAMES
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_description_speaks_to_a_person(name: str) -> None:
    description = describe(HERE, name)
    assert 3 <= len(description.examples) <= 4
    assert description.card.startswith(f"# {description.title}\n")
    for feature in description.signature.features:
        assert feature.help.endswith(".")
        assert feature.label != feature.name
        assert feature.group in description.groups
        assert feature.default is not None


@pytest.mark.parametrize("name", NAMES)
def test_model_trains_beats_its_baseline_and_serves_its_examples(name: str, trained_models: Path) -> None:
    manifest = manifest_of(trained_models, name, 1)
    if manifest.task == "regression":
        assert manifest.metrics["mae"] < manifest.metrics["baseline_mae"]
    else:
        assert manifest.metrics["accuracy"] > manifest.metrics["baseline_accuracy"] + 0.2
    assert manifest.compiled is not None, manifest.not_compiled
    sureness = manifest.sureness
    assert sureness is not None
    assert sureness.gate is not None
    promises = [sureness.interval.measured] if sureness.interval else sureness.sets.measured if sureness.sets else []
    assert promises
    for measured in promises:
        assert measured.low <= measured.covered <= measured.high
    loaded = Loader(trained_models, 10**9).get(name, 1, manifest.sha256)
    rows = [manifest.signature.clean(example.values) for example in describe(trained_models, name).examples]
    assert all(outcome.output for outcome in predict(loaded, rows))
    assert Advisor(manifest.signature, manifest.profile).advise(rows[0]) == []


@pytest.mark.parametrize(
    ("name", "values"), [("breast-cancer", {}), ("iris", {}), ("wine", {}), ("diabetes", {"age": 130, "bmi": 150.0})]
)
def test_row_far_from_the_training_data_gets_no_promise(
    name: str, values: dict[str, float], trained_models: Path
) -> None:
    manifest = manifest_of(trained_models, name, 1)
    usual = describe(trained_models, name).examples[0].values
    row = manifest.signature.clean({**usual, **values} if values else dict.fromkeys(usual, 0.0))
    (outcome,) = predict(Loader(trained_models, 10**9).get(name, 1, manifest.sha256), [row])
    assert outcome.output is not None
    promised = outcome.output.get("prediction_set", outcome.output.get("interval"))
    assert (outcome.output["grade"], promised, outcome.output["coverage"]) == ("outside", None, None)
    assert outcome.output["grade_evidence"] is None
