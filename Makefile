# Everything a person needs, on a machine with nothing but Python 3.11 to 3.13, make and git.
# `make` lists the targets; ARGS are passed on: make demo ARGS="--events 20000 --json"

.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
ARGS ?=
JOBS ?= 3
ROUNDS ?= 5
SEED ?= 1
MODE ?= at_least_once
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)

# A Python that exists, has the right version and can make virtual environments.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
UV_COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
PIP := $(PY) -m pip --quiet --disable-pip-version-check --no-input

.PHONY: help demo test test-unit chaos lint format train docs bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

# Nothing is downloaded and nothing is done while the lock files are older than the stamps.
# pip's build isolation is off: it would download the build's own dependencies without hashes.
.venv/.locked: build.lock requirements.lock
	@$(PY) -c 'import pip' 2>/dev/null || { \
	  for python in $(PYTHONS); do \
	    "$$python" -c '$(FITS)' 2>/dev/null && break; python=; \
	  done; \
	  test -n "$$python" || { echo 'make: needs Python 3.11, 3.12 or 3.13 with the module venv (PYTHON=/path/to/python3 chooses one)' >&2; exit 2; }; \
	  echo "Creating .venv with $$("$$python" --version)" >&2; \
	  "$$python" -m venv --clear .venv; }
	@echo 'Installing what build.lock and requirements.lock name; about a minute' >&2
	@$(PIP) install --require-hashes --only-binary :all: -r build.lock
	@$(PIP) install --require-hashes --no-build-isolation -r requirements.lock
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: .venv/.installed ## the product in a minute: real Kafka, real Redis, real flights
	@exec $(PY) -m demo $(ARGS)

# Tests wait more than they work: JOBS of their files run at once, each with services of its own.
test: .venv/.installed ## every test, with a real Kafka and a real Redis: JOBS=3
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-unit: .venv/.installed ## the tests that need no service
	@$(PY) -m pytest tests/unit $(ARGS)

# Round n has the seed SEED + n - 1. MODE: at_least_once, exactly_once.
chaos: .venv/.installed ## faults against real workers, brokers and Redis: ROUNDS=5 SEED=1 MODE=at_least_once
	@exec $(PY) -m tests.chaos --rounds $(ROUNDS) --seed $(SEED) --mode $(MODE) $(ARGS)

lint: .venv/.installed ## style, format, types, and which layer may import which
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) .venv/bin/lint-imports --no-logo

format: .venv/.installed ## format the code and sort its imports
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

train: .venv/.installed ## train the demo's models into artifacts/
	@$(PY) -m features.flights.training.train $(ARGS)

docs: .venv/.installed ## write the generated pages of docs/ anew
	@$(PY) -m stream_app.generated_docs.pages docs
	@$(PY) -m stream_app.generated_docs.contracts

bench: .venv/.installed ## how fast the worker is, beside the in-process work alone
	@$(PY) -m benchmarks $(ARGS)

# Every extra but `pytorch`, which would bring 3 GB for a GPU.
LOCKED := demo local parquet training xgboost

# uv (https://docs.astral.sh/uv) is needed for this alone and no dependency of the project. Versions
# stay as they are unless they must change; ARGS=--upgrade takes the newest.
lock: ## write the lock files anew from pyproject.toml; needs uv
	@command -v uv >/dev/null || { echo 'make: lock needs uv' >&2; exit 2; }
	@$(UV_COMPILE) --no-annotate $(ARGS) pyproject.toml -o deploy/requirements.lock
	@$(UV_COMPILE) $(LOCKED:%=--extra %) --group dev $(ARGS) pyproject.toml -o requirements.lock
	@$(UV_COMPILE) --group build $(ARGS) -o build.lock

clean: ## remove the virtual environment and every cache
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
