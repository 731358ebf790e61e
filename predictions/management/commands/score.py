import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.batches import exports, opening
from predictions.batches.downloads import number_columns, result_columns
from predictions.batches.layout import WISHES, Layout, read_wishes
from predictions.batches.local import Run
from predictions.serving.engines.opening import Loaded, limit_threads
from predictions.serving.schema.errors import ForetellError, InvalidInput
from predictions.serving.schema.wording import printable
from predictions.use_cases.lookup import find_version
from predictions.worker import preload

BAR = 30
BETWEEN_SECONDS = 0.2


class Command(BaseCommand):
    help = "Scores a file: the same columns with the predictions, and the bad rows with what is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the registered model")
        parser.add_argument("file", help="CSV, .xlsx, .ods, Parquet or JSON lines; - for standard input")
        parser.add_argument(
            "-o", "--output", default="-", help=".csv, .xlsx, .parquet or .jsonl; - for standard output (CSV)"
        )
        parser.add_argument("--errors", help="where the bad rows go, with their line and what is wrong")
        parser.add_argument("--model-version", help="a version by its number, instead of the one that serves")
        for name in WISHES:
            parser.add_argument(f"--{name}", help="instead of what is found")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._score(options)
        except InvalidInput as error:
            raise CommandError("\n".join(problem.message for problem in error.problems)) from None
        except ForetellError as error:
            raise CommandError(error.sentence) from None
        except FileNotFoundError as error:
            raise CommandError(f"There is no file {error.filename}.") from None

    def _score(self, options: Any) -> None:
        limit_threads()
        version = find_version(options["name"], options["model_version"])
        loaded = preload.load(version.pk, version.sha256)
        wishes = read_wishes({name: options[name] for name in WISHES})
        with ExitStack() as stack:
            file = stack.enter_context(_opened(options["file"]))
            layout = opening.find_layout(file, version.signature, wishes)
            if layout.absent:
                names = ", ".join(map(printable, layout.absent))
                self.stderr.write(f"No column was found for {names}: taken as missing in each row.")
            bad = stack.enter_context(Path(options["errors"]).open("wb")) if options["errors"] else None
            bar = Bar(file.seek(0, 2) if not layout.counts_records else 0, self.stderr)
            run = Run(file, layout, loaded, bad, bar.show)
            _write(run.results(), options["output"], layout, loaded)
        bar.end(f"{run.rows} rows: {run.rows - run.errors} scored, {run.errors} with errors.")


def _opened(name: str) -> BinaryIO | IO[bytes]:
    """A file that can be read twice: standard input is copied first."""
    if name != "-":
        return Path(name).open("rb")
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(sys.stdin.buffer, copy)
    copy.seek(0)
    return copy


def _write(content: Iterator[bytes], name: str, layout: Layout, loaded: Loaded) -> None:
    """Write to a file beside `name` that replaces `name` when it is complete, or to standard output piece by piece."""
    if name == "-":
        for piece in content:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    kind = Path(name).suffix.lstrip(".").lower()
    if kind in exports.FORMATS and kind != "csv":
        manifest = loaded.manifest.answered
        new, numbers = result_columns(manifest), number_columns(manifest)
        numeric = exports.numeric_columns(layout, loaded.manifest.signature, new, numbers)
        content = exports.convert(content, kind, numeric, layout)
    part = Path(f"{name}.part")
    with part.open("wb") as out:
        out.writelines(content)
    part.replace(name)


class Bar:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, total: int, stream: Any) -> None:
        self._total, self._stream = total, stream
        self._shown_at = 0.0

    def show(self, done: int) -> None:
        now = time.monotonic()
        if not self._stream.isatty() or now - self._shown_at < BETWEEN_SECONDS:
            return
        self._shown_at = now
        if not self._total:  # the rows of a workbook are not counted in advance
            self._stream.write(f"\r{done} rows", ending="")
            return
        full = round(BAR * done / self._total)
        self._stream.write(f"\r[{'#' * full}{'.' * (BAR - full)}] {100 * done // self._total} %", ending="")

    def end(self, sentence: str) -> None:
        self._stream.write(f"\r\x1b[K{sentence}" if self._stream.isatty() else sentence)
