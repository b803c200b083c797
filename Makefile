# make demo | make test | make help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PORT ?= 3000

# One request, one thread; no model or telemetry call ever leaves the machine.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 2
export HF_HUB_OFFLINE := 1
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export PYTHONUNBUFFERED := 1

PYSPARK := pyspark==4.3.0

.PHONY: help setup spark demo serve mlflow leaderboard bench-serving calibrate test test-slow test-postgresql test-spark check check-static format lint types imports docs lock bento clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: $(VENV)/.ready ## the virtual environment with the locked dependencies

$(VENV)/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Nextwise needs Python 3.11 or newer, this is %s: run make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@echo "Setting up $(VENV): about 200 packages, 2-5 minutes on a fresh machine"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --progress-bar on -r requirements.lock
	@touch $@

spark: $(VENV)/.spark ## PySpark into the virtual environment (needs Java 17; half a gigabyte)

$(VENV)/.spark: $(VENV)/.ready
	@command -v java >/dev/null || { echo "Spark needs Java 17 and found no java: install it (apt install openjdk-17-jre-headless) and try again"; exit 1; }
	$(PY) -m pip install --disable-pip-version-check --progress-bar on $(PYSPARK)
	@touch $@

demo: setup ## the embedded organisation from logs to a running service (DEMO_EXIT=1: stop after the calls)
	@PORT=$(PORT) PY=$(PY) ./demo.sh

serve: setup ## serve the published bundles (PORT=3000)
	$(PY) -m serving serve --port $(PORT)

mlflow: setup ## browse runs and models on http://127.0.0.1:5000
	$(PY) -m mlflow ui --backend-store-uri sqlite:///var/mlflow.db --host 127.0.0.1 --port 5000

leaderboard: setup ## every model beside its peers on public logs: some hours, goes on where it stopped
	$(PY) -m benchmarks.leaderboard

bench-serving: setup ## rankings a second beside a plain BentoML service and bare Starlette: 15 minutes, on a quiet machine
	$(PY) -m benchmarks.serving

calibrate: setup ## how often the experiments' procedures are wrong: tens of thousands of experiments, about half an hour
	$(PY) -m benchmarks.calibrate

test: setup ## all tests but the slow ones (below 6 minutes on two cores)
	$(PY) -m pytest -n auto --maxprocesses 4

test-slow: setup ## the slow tests
	$(PY) -m pytest -m slow

test-postgresql: setup ## the tests of the service, its store on PostgreSQL
	NEXTWISE_TEST_STORE=postgresql $(PY) -m pytest -n auto --maxprocesses 4 tests/serving

test-spark: spark ## the tests of the lake and of ALS on Spark
	$(PY) -m pytest -m slow tests/features/test_spark.py tests/training/models/test_spark_als.py

check: check-static test ## everything that must hold before a change lands

check-static: format lint types imports docs

format: setup ## formatting is ruff's
	$(PY) -m ruff format --check .

lint: setup
	$(PY) -m ruff check .

types: setup
	$(PY) -m mypy

imports: setup ## who may import whom
	@$(VENV)/bin/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@tail -n 2 $(VENV)/imports.log

docs: setup ## generated reference pages are up to date, links lead somewhere
	$(PY) docs/generate.py --check

bento: setup ## build a Bento with the published bundles
	$(VENV)/bin/bentoml build

lock: setup ## resolve pyproject.toml anew into requirements.lock
	$(VENV)/bin/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --no-emit-options --no-annotate --no-header -o $(VENV)/resolved.txt pyproject.toml
	@{ echo '# Exact versions for a fresh machine; written by `make lock` from pyproject.toml.'; \
	  grep -vE '^(nextwise @|#|$$)' $(VENV)/resolved.txt | sed 's/+cpu$$//'; } > requirements.lock

clean: ## remove caches; events, runs and bundles under var/ and bundles/ stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
