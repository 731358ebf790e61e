# make run   — everything, from a fresh clone: http://127.0.0.1:8000/
# make test  — the whole test suite        make check — style, types, import order, docs
# make chaos — every fault, and docs/reliability.md        make help — all targets
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PORT ?= 8000
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup telemetry run test check fuzz format docs bench chaos lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1 — /p' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Foretell needs Python 3.11 or newer; say which: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.base: requirements/base.txt | $(BIN)/python
	@echo "Installing the dependencies…"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "Installing the dependencies of the tests…"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/.base

$(VENV)/.bench: requirements/bench.txt | $(BIN)/python
	@echo "Installing the dependencies of the benchmarks…"
	@$(BIN)/pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@ $(VENV)/.base

setup: $(VENV)/.base ## the environment, the database, the static files, the demo models
	@python manage.py prepare

run: setup ## all processes, in the foreground
	@exec honcho start

telemetry: requirements/telemetry.txt | $(BIN)/python ## what SENTRY_DSN and OTEL_EXPORTER_OTLP_ENDPOINT need
	@$(BIN)/pip install --quiet --require-hashes -r requirements/telemetry.txt

test: $(VENV)/.dev ## the whole suite: on SQLite, then on PostgreSQL
	@python -m pytest
	@python -m tests.support.postgres python -m pytest tests/integration tests/worker

check: $(VENV)/.dev ## ruff, mypy, import order, deploy checks, migrations and docs up to date, known holes; changes nothing
	@ruff check .
	@ruff format --check --quiet .
	@mypy
	@lint-imports
	@PRODUCTION=true DEBUG=false HTTPS=true ALLOWED_HOSTS=example.org SECRET_KEY=$$(python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  DATABASE_URL=postgres://check@localhost/check REDIS_URL=rediss://:check@localhost/0 python manage.py check --deploy --fail-level WARNING
	@python manage.py makemigrations --check --dry-run
	@python manage.py write_docs --check
	@python -m tests.support.audit

format: $(VENV)/.dev ## let ruff format and mend
	@ruff check --fix --quiet .; ruff format .

fuzz: $(VENV)/.dev ## ten thousand requests and more that nobody thought of, at every door; SEED=… for others
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} python -m pytest --hypothesis-seed=$${SEED:-2026} -q -p no:logging --show-capture=no \
	  tests/integration/test_fuzz.py tests/integration/api/test_any_json.py tests/integration/api/test_schema_fuzz.py

docs: $(VENV)/.dev ## write the generated pages anew
	@python manage.py write_docs

bench: $(VENV)/.bench ## the reference design, and the peers in $BENCH_VENVS, beside ours: half an hour and more; BENCH=--quick to try
	@python -m benchmarks $(BENCH)

chaos: $(VENV)/.dev ## processes killed, frozen and cut off, on both databases: a quarter of an hour; CHAOS=--quick to try
	@python -m tests.chaos $(CHAOS)

COMPILE := uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/.dev ## pin the dependencies anew, with hashes
	@$(COMPILE) -o requirements/base.txt
	@$(COMPILE) --extra telemetry -c requirements/base.txt -o requirements/telemetry.txt
	@$(COMPILE) --extra telemetry --group dev -c requirements/telemetry.txt -o requirements/dev.txt
	@$(COMPILE) --group bench -c requirements/dev.txt -o requirements/bench.txt

clean: ## remove what was built here: the environment, the data, the versions
	rm -rf $(VENV) var ml_models/*/versions
