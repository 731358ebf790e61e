"""Makes a version from a fitted estimator: measures it, proves that it can be served, and stores it."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from predictions.serving.artifacts import publication, repository
from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.figures import Figures
from predictions.serving.artifacts.manifest import Golden, Manifest, Memory
from predictions.serving.artifacts.sureness import Sureness
from predictions.serving.compile.convert import Compilation, compile_estimator
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.sklearn import SklearnEngine, use_one_job
from predictions.serving.registration import CannotRegister, Split
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value
from predictions.serving.training import artefact, figures, metrics, profile, repeats, sureness, train_file
from predictions.serving.training.fitted_engine import engine_of
from predictions.serving.training.fresh_process import prove_in_fresh_process
from predictions.serving.training.input_types import clean_rows
from predictions.serving.training.log_odds import linear_log_odds
from predictions.serving.training.proof import (
    checked,
    compare_with_estimator,
    estimator_answers,
    is_independent,
)
from predictions.serving.training.proof_rows import proof_rows, working
from predictions.serving.training.repeats import KnownRows
from predictions.serving.training.several import Data, learn_targets
from predictions.serving.training.targets import labels_of, true_answers

Prove: TypeAlias = Callable[
    [Path, Manifest, bytes, bytes | None, Mapping[str, bytes], Golden, bytes | None], Memory | None
]

TIMED_CALLS = 20
# Training rows on which a compiled version is compared, beside all held-out rows.
COMPARED_ROWS = 2000
ONE_ROW_A_CALL = english(
    "Its answer to a row depends on the rows beside it (a step looks at the whole batch), so each row is predicted by "
    "a call of its own."
)


@dataclass(frozen=True, slots=True)
class _Proved:
    """The engine as it will serve, its answers to the data, the golden rows, and remarks for analysts."""

    engine: SklearnEngine
    answers: RawPredictions
    golden: list[list[Value]]
    remarks: list[str]


def train_and_register(root: Path, name: str, prove: Prove = prove_in_fresh_process) -> Manifest:
    """Runs `train()` of a model's train.py and stores what it returns as the next version.

    Raises repository.NoSuchModel, repository.BrokenFile or CannotRegister, with a message for people.
    """
    description = repository.describe(root, name)
    folder = root / name
    with train_file.own_imports(folder):
        data = train_file.run(folder / "train.py")
        code = train_file.modules_beside(folder)
        return register(root, description, data.estimator, data.training, data.held_out, prove, code=code)


def register(
    root: Path,
    description: Description,
    estimator: Any,
    training: Split | None,
    held_out: Split | None,
    prove: Prove = prove_in_fresh_process,
    *,
    code: Mapping[str, bytes] = MappingProxyType({}),
    by_value: bool = False,
    source: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Stores a fitted estimator as the next version of a described model.

    `code` maps relative paths to the sources of modules that are stored with the version. With `by_value`, classes that
    no module defines are stored with the estimator. `source` is `importing.request.Request.digest` of an import.
    `say` is called with a text before each long step.

    The profile comes from `training`. Metrics and sureness come from `held_out`, which the estimator must not have
    seen. Both use all held-out rows, and no row is judged by a calibration or a threshold that it decided.
    Without data there are no metrics and no calibration, and the examples of the description are the golden rows.
    Raises CannotRegister.
    """
    use_one_job(estimator)
    content = artefact.dump(estimator, by_value=by_value)
    engine = engine_of(description, estimator, training, held_out)
    seen = _rows("training", training, engine, description) if training else None
    unseen = _rows("held-out", held_out, engine, description) if held_out else None
    say("Comparing its answers, row by row and in company")
    proved = _prove_here(engine, description, _data(training, seen), _data(held_out, unseen))
    say("Learning how sure its answers are")
    learned = _learned(description, proved, training, seen, unseen)
    numbers = _numbers(description, proved, learned.record, seen, unseen)
    manifest = _manifest(description, proved, seen, content, code, {**numbers, "source": source})
    asked = _asked(proved, unseen or seen)
    say("Compiling it")
    manifest, compiled = _compiled(manifest, proved.engine, [*asked.rows, *_spread(seen if unseen else None)])
    say("Proving it in a process like a worker's")
    memory = prove(root / description.name, manifest, content, compiled, code, asked, learned.content)
    manifest = manifest.model_copy(update={"memory": memory})
    return publication.write_version(root, manifest, content, compiled, code, learned.content)


def _manifest(
    description: Description,
    proved: _Proved,
    seen: KnownRows | None,
    content: bytes,
    code: Mapping[str, bytes],
    more: Mapping[str, Any],
) -> Manifest:
    engine = proved.engine
    return Manifest(
        model=description.name,
        version=1,  # write_version sets the true number
        created_at=datetime.now(UTC),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        task=description.task,
        target=description.target,
        classes=engine.classes,
        labels=labels_of(description.task, description.target, engine.classes),
        signature=description.signature,
        input_schema=engine.schema,
        batching=engine.batching,
        code={path: hashlib.sha256(source).hexdigest() for path, source in code.items()},
        libraries=artefact.libraries(engine.estimator),
        profile=profile.profile(seen.values, engine.signature) if seen else {},
        background=profile.background(seen.values) if seen else [],
        log_odds=linear_log_odds(engine, seen.values if seen else proved.golden),
        golden=_golden(engine, proved.golden),
        predict_ms=_predict_ms(engine, proved.golden[0]),
        **more,
    )


def _rows(which: str, split: Split, engine: SklearnEngine, description: Description) -> KnownRows:
    values = clean_rows(which, split.x, engine.signature)
    return KnownRows(values, true_answers(which, split, len(values), description, engine))


# --- The proof --------------------------------------------------------------------------------------------------------
_Data: TypeAlias = tuple[Split, KnownRows]


def _data(split: Split | None, rows: KnownRows | None) -> _Data | None:
    return None if split is None or rows is None else (split, rows)


def _prove_here(
    engine: SklearnEngine, description: Description, training: _Data | None, held_out: _Data | None
) -> _Proved:
    """Compares the engine with its estimator, and decides whether rows may share a call. Raises CannotRegister."""
    data = held_out or training
    if data is None:
        rows = _examples(description, engine)
        which = "example"
    else:
        which = "held-out" if held_out else "training"
        split, rows = data[0], data[1].values
        raw = estimator_answers(engine, which, split.x)
        compare_with_estimator(engine, which, split.x, rows, raw)
    answers = checked(engine, engine.predict(rows), which)
    golden, remarks = proof_rows(engine, rows, answers)
    if is_independent(engine, golden, rows):
        return _Proved(engine, answers, golden, remarks)
    engine = replace(engine, batching=False)
    return _Proved(
        engine, checked(engine, engine.predict(rows), which), working(engine, golden), [*remarks, ONE_ROW_A_CALL]
    )


def _examples(description: Description, engine: SklearnEngine) -> list[list[Value]]:
    if not description.examples:
        raise CannotRegister("Give data, or examples in model.toml: a version proves itself on rows.")
    rows = [description.signature.clean(example.values) for example in description.examples]
    if len(working(engine, rows)) < len(rows):
        raise CannotRegister("The estimator fails on an example of model.toml: correct the example, or its types.")
    return rows


def _asked(proved: _Proved, data: KnownRows | None) -> Golden:
    """The rows for the proof in a fresh process, with the answers of this process."""
    rows = [*proved.golden, *(data.values if data else [])]
    return _golden(proved.engine, rows)


def _spread(data: KnownRows | None) -> list[list[Value]]:
    """At most COMPARED_ROWS of the rows, evenly spread."""
    rows = data.values if data else []
    return (
        [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, COMPARED_ROWS).astype(int))] if rows else []
    )


def _golden(engine: SklearnEngine, rows: list[list[Value]]) -> Golden:
    answers = engine.predict(rows)
    shares = answers.probabilities
    return Golden(
        rows=rows, outputs=answers.outputs.tolist(), probabilities=None if shares is None else shares.tolist()
    )


def _compiled(manifest: Manifest, engine: SklearnEngine, rows: list[list[Value]]) -> tuple[Manifest, bytes | None]:
    """The manifest with the record of the compilation, and the compiled bytes; or the manifest with the refusal."""
    try:
        made: Compilation = compile_estimator(engine, rows)
    except NotCompiled as error:
        return manifest.model_copy(update={"not_compiled": str(error)}), None
    return manifest.model_copy(update={"compiled": made.record}), made.content


# --- The numbers ------------------------------------------------------------------------------------------------------
def _learned(
    description: Description, proved: _Proved, training: Split | None, seen: KnownRows | None, unseen: KnownRows | None
) -> sureness.Learned:
    if proved.engine.targets:
        return sureness.learn_gate(description.signature, seen.values if seen else [], unseen.values if unseen else [])
    return sureness.learn(
        sureness.Facts(
            signature=description.signature,
            target=description.target,
            task=description.task,
            labels=labels_of(description.task, description.target, proved.engine.classes),
            training=seen.values if seen else [],
            training_truth=seen.truth if seen else None,
            training_data=(training.x, training.y) if training else None,
            held_out=unseen.values if unseen else [],
            truth=unseen.truth if unseen else None,
            answers=proved.answers if unseen else None,
            estimator=proved.engine.estimator,
        )
    )


def _numbers(
    description: Description, proved: _Proved, learned: Sureness, seen: KnownRows | None, unseen: KnownRows | None
) -> dict[str, Any]:
    """What was measured and learned, as fields of the manifest."""
    engine = proved.engine
    new = None if repeats.all_repeated(seen, unseen) else unseen
    return {
        "metrics": _measure(engine, learned, _with_answers(new, proved.answers), seen),
        "rows": {"training": len(seen.values) if seen else 0, "held_out": len(new.values) if new else 0},
        "sureness": learned,
        "figures": _figures(proved, learned, seen, new),
        "targets": learn_targets(description, engine, _with_answers(seen, None), _with_answers(unseen, proved.answers)),
        "remarks": [*proved.remarks, *repeats.remarks(seen, unseen)],
    }


def _with_answers(rows: KnownRows | None, answers: RawPredictions | None) -> Data | None:
    return None if rows is None else Data(rows.values, rows.truth, answers)


def _figures(proved: _Proved, learned: Sureness, seen: KnownRows | None, unseen: KnownRows | None) -> Figures:
    found, classes = Figures(), len(proved.engine.classes)
    if proved.engine.targets:
        return found
    if unseen is not None and unseen.truth is not None:
        held_out = figures.HeldOut(unseen.values, unseen.truth, proved.answers)
        found = figures.figures(proved.engine, learned.calibration, held_out)
    if classes or seen is None or seen.truth is None:
        return found
    return found.model_copy(update={"target": figures.distribution(seen.truth)})


def _measure(engine: SklearnEngine, learned: Sureness, unseen: Data | None, seen: KnownRows | None) -> dict[str, float]:
    if unseen is None or unseen.truth is None or unseen.answers is None or engine.targets:
        return {}
    training = seen.truth if seen else None
    return metrics.measure(unseen.answers, unseen.truth, training, len(engine.classes), learned.calibration)


def _predict_ms(engine: SklearnEngine, row: list[Value]) -> float:
    spent = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        engine.predict([row])
        spent.append(time.perf_counter() - started)
    return median(spent) * 1000
