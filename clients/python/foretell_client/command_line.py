"""`foretell`: the client on the command line. The options of `predict` come from the model's signature."""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foretell_client.client import Client
from foretell_client.errors import ForetellError, Refused
from foretell_client.files import ended_well
from foretell_client.results import Classification, ModelDetail, Multi, Output, Prediction, Regression

SERVER, TOKEN = "FORETELL_SERVER", "FORETELL_TOKEN"
KINDS = {".xlsx": "xlsx", ".parquet": "parquet", ".jsonl": "jsonl"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 for success, 1 after a refusal or a failed prediction, 2 for a wrong command line."""
    parser = _parser()
    asked, rest = parser.parse_known_args(arguments)
    if rest and asked.command != "predict":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        with Client(asked.server, asked.token, patience=asked.patience) as client:
            _run(client, asked, rest)
    except ForetellError as error:
        print(_refusal(error), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"foretell: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="foretell", description="Ask a Foretell server for predictions.")
    server = os.environ.get(SERVER, "http://127.0.0.1:8000")
    parser.add_argument("--server", default=server, help=f"its address; also {SERVER} (default: %(default)s)")
    parser.add_argument("--token", default=os.environ.get(TOKEN), help=f"an API token; also {TOKEN}")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds for repetitions (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the models")
    for name, text in (("model", "describe a model"), ("predict", "predict one row: foretell predict iris --help")):
        # The help of `predict` needs the signature, so it is not written here.
        command = commands.add_parser(name, help=text, add_help=name == "model")
        command.add_argument("name")
    score = commands.add_parser("score", help="score a file of rows: CSV, Excel, Parquet or JSON lines")
    score.add_argument("name")
    score.add_argument("file", type=Path)
    score.add_argument("-o", "--output", type=Path, required=True, help="the results: .csv, .xlsx, .parquet or .jsonl")
    score.add_argument("--errors", type=Path, help="the rows with errors, to be corrected")
    result = commands.add_parser("result", help="read a prediction")
    result.add_argument("id")
    return parser


def _run(client: Client, asked: argparse.Namespace, rest: Sequence[str]) -> None:
    if asked.command == "models":
        for model in client.models():
            print(f"{model.name}\t{model.task}\t{model.title}")
    elif asked.command == "model":
        print(json.dumps(asdict(client.model(asked.name)), indent=2))
    elif asked.command == "result":
        print(json.dumps(asdict(client.result(asked.id)), indent=2))
    elif asked.command == "score":
        _score(client, asked.name, asked.file, asked.output, asked.errors)
    else:
        _predict(client, client.model(asked.name), rest)


def _score(client: Client, model: str, file: Path, output: Path, errors: Path | None) -> None:
    """Score a file. Existing files of results are replaced only after the job has ended."""
    with file.open("rb") as rows:
        job = client.submit_file(model, rows, file.name)
    if job.absent:
        names = ", ".join(job.absent)
        print(f"No column was found for {names}: taken as missing in each row.", file=sys.stderr)
    job = ended_well(client.wait_for(job, on_progress=_show))
    print(f"\r{job.rows} rows: {job.good} scored, {job.bad} with errors.", file=sys.stderr)
    with output.open("wb") as results:
        client.save_results(job.id, results, KINDS.get(output.suffix, "csv"))
    if errors is not None:
        with errors.open("wb") as bad:
            client.save_bad_rows(job.id, bad)


def _show(done: int, rows: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {rows} rows", end="", file=sys.stderr)


def _predict(client: Client, model: ModelDetail, rest: Sequence[str]) -> None:
    parser, features = _options(model)
    given = vars(parser.parse_args(rest))
    as_json = given.pop("as_json")
    row = {features[name]: value for name, value in given.items() if value is not None}
    prediction = client.predict(model.name, row)
    print(json.dumps(asdict(prediction), indent=2) if as_json else _sentence(prediction))


# --- Options ----------------------------------------------------------------------------------------------------------
def _options(model: ModelDetail) -> tuple[argparse.ArgumentParser, dict[str, str]]:
    """A parser with an option for each feature, and the name of the feature by the destination of its option."""
    parser = argparse.ArgumentParser(prog=f"foretell predict {model.name}", description=model.summary)
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the whole prediction")
    signature = model.signature or {"properties": {}, "required": []}
    names = option_names(list(signature["properties"]))
    for place, (feature, schema) in enumerate(signature["properties"].items()):
        parser.add_argument(
            names[feature],
            dest=f"feature_{place}",
            type=_reader(schema),
            required=feature in signature["required"],
            metavar="VALUE",
            help=_help(feature, schema),
        )
    return parser, {f"feature_{place}": feature for place, feature in enumerate(signature["properties"])}


def option_names(features: Sequence[str]) -> dict[str, str]:
    """`sepal length (cm)` becomes `--sepal-length`. Text in brackets is kept if names would be equal without it."""
    short = [_slug(re.sub(r"\([^)]*\)", "", feature)) for feature in features]
    found: dict[str, str] = {}
    for place, (feature, name) in enumerate(zip(features, short, strict=True)):
        is_clear = name and short.count(name) == 1 and name not in ("json", "help")
        long = _slug(feature)
        is_long_clear = long and [_slug(one) for one in features].count(long) == 1 and long not in ("json", "help")
        found[feature] = f"--{name}" if is_clear else f"--{long}" if is_long_clear else f"--feature-{place}"
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _help(feature: str, schema: dict[str, Any]) -> str:
    choices = f"one of {', '.join(map(str, schema['enum']))}" if "enum" in schema else ""
    bounds = [f"{word} {schema[name]}" for name, word in (("minimum", "from"), ("maximum", "to")) if name in schema]
    return "; ".join(filter(None, [feature, schema.get("x-unit", ""), " ".join(bounds), choices])).replace("%", "%%")


def _reader(schema: dict[str, Any]) -> Any:
    """A function that turns the text of an option into the value in JSON. The server checks the value."""
    if "enum" in schema:
        return lambda text: next((choice for choice in schema["enum"] if str(choice) == text), text)
    kinds = schema.get("type", "string")
    kind = next(iter(kinds)) if isinstance(kinds, list) else kinds
    return {"number": float, "integer": int, "boolean": _boolean}.get(kind, str)


def _boolean(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError("must be true or false")
    return known[text.lower()]


# --- Words ------------------------------------------------------------------------------------------------------------
def _sentence(prediction: Prediction) -> str:
    lines = [answer_text(prediction.output)]
    lines += [f"{advice.feature}: {advice.message}" for advice in prediction.advice]
    return "\n".join([*lines, prediction.page])


def answer_text(output: Output | None) -> str:
    if isinstance(output, Multi):
        return "\n".join(f"{name}: {answer_text(part)}" for name, part in output.outputs.items())
    if isinstance(output, Classification):
        share = (output.probabilities or {}).get(output.label)
        return output.label + (f" ({_percent(share)})" if share is not None else "")
    if isinstance(output, Regression):
        unit = f" {output.unit}" if output.unit else ""
        between = f" ({output.interval[0]:g} to {output.interval[1]:g})" if output.interval else ""
        return f"{output.value:g}{unit}{between}"
    return "no answer"


def _percent(share: float) -> str:
    """Three digits. No probability is shown as certain, nor as impossible."""
    sign = "< " if share < 0.001 else "> " if share > 0.999 else ""
    return f"{sign}{min(max(share, 0.001), 0.999) * 100:.3g}%"


def _refusal(error: ForetellError) -> str:
    places = [f"  {problem.pointer}: {problem.message}" for problem in error.problems]
    more = " Send a token: --token, or the variable FORETELL_TOKEN." if _needs_token(error) else ""
    return "\n".join([f"foretell: {error.message}{more}", *places])


def _needs_token(error: ForetellError) -> bool:
    return isinstance(error, Refused) and error.status == 401
