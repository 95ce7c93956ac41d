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
BASE ?= python:3.12-slim-bookworm
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)

# A Python that exists, has the right version and can make virtual environments.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
UV_COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
UV := $(shell command -v uv 2>/dev/null)

# What installs a lock file into .venv: uv where it is there, which is several times as fast, else pip.
# Build isolation is off: it would download what builds packages, without hashes. Nothing is compiled
# beforehand: Python compiles what is imported, a small part of what is installed.
ifdef UV
INSTALLER_MODULE := sys
VENV_OPTIONS := --without-pip
INSTALL := uv pip install --quiet --python $(PY) --no-build-isolation
PEER_INSTALL = uv pip install --quiet --python .cache/peers/$$peer/bin/python -r benchmarks/peers/requirements/$$peer.txt
else
INSTALLER_MODULE := pip
VENV_OPTIONS :=
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-compile --no-build-isolation
PEER_INSTALL = .cache/peers/$$peer/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r benchmarks/peers/requirements/$$peer.txt
endif

# What is imported is compiled once and kept in .venv, whatever the shell says: nothing is compiled at
# installation, and a worker that compiles all of its imports at every start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-python test-unit test-containers test-pytorch image-base chaos lint format train docs bench bench-growth profile bench-latency bench-trials bench-report bench-setup lock clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' Makefile

# Nothing is downloaded and nothing is done while the lock files are older than the stamps.
.venv/.python: build.lock
	@$(PY) -c 'import $(INSTALLER_MODULE)' 2>/dev/null || { \
	  for python in $(PYTHONS); do \
	    "$$python" -c '$(FITS)' 2>/dev/null && break; python=; \
	  done; \
	  test -n "$$python" || { echo 'make: needs Python 3.11, 3.12 or 3.13 with the module venv (PYTHON=/path/to/python3 chooses one)' >&2; exit 2; }; \
	  echo "Creating .venv with $$("$$python" --version)" >&2; \
	  "$$python" -m venv --clear $(VENV_OPTIONS) .venv; }
	@$(INSTALL) --require-hashes --only-binary :all: -r build.lock
	@touch $@

# The demo needs neither training nor what the tests need: it installs a third of it.
.venv/.demo: .venv/.python demo/requirements.lock
	@echo 'Installing what demo/requirements.lock names; 10 to 60 seconds' >&2
	@$(INSTALL) --require-hashes -r demo/requirements.lock
	@touch $@

.venv/.locked: .venv/.python requirements.lock
	@echo 'Installing what requirements.lock names; a minute or two' >&2
	@$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

# Where a C compiler is, this compiles stream_app/compiled; where none is, the worker runs in Python.
.venv/.project: .venv/.python pyproject.toml build_extension.py $(wildcard stream_app/compiled/*.pyx stream_app/compiled/*.pxd)
	@$(INSTALL) --no-deps --no-index --editable .
	@touch $@

.venv/.installed: .venv/.locked .venv/.project
	@touch $@

demo: .venv/.demo .venv/.project ## the product in a minute: real Kafka, real Redis, real flights
	@exec $(PY) -m demo $(ARGS)

# Tests wait more than they work: JOBS of their files run at once, each with services of its own.
test: .venv/.installed ## every test, with a real Kafka and a real Redis: JOBS=3
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --ignore=tests/containers $(ARGS)

# What is compiled decides nothing but speed; these are the tests of what it stands for.
IN_PYTHON := tests/unit/alignment tests/unit/compiled tests/unit/features tests/unit/state tests/unit/predictor tests/unit/recovery \
  tests/unit/flights tests/unit/testing tests/integration/test_flights_crash.py

test-python: .venv/.installed ## what is compiled, in Python
	@STREAM_APP_PYTHON_ONLY=1 $(PY) -m pytest -n $(JOBS) --dist loadfile $(IN_PYTHON) $(ARGS)

test-unit: .venv/.installed ## the tests that need no service
	@$(PY) -m pytest tests/unit $(ARGS)

test-containers: .venv/.installed ## the image and the compose file, where a Docker engine runs
	@$(PY) -m pytest tests/containers $(ARGS)

# PyTorch is in no lock file, for it brings 3 GB: it gets an environment of its own, which has all else
# from .venv.
PYTORCH := .cache/pytorch
ifdef UV
INSTALL_PYTORCH := uv pip install --quiet --python $(PYTORCH)/bin/python
else
INSTALL_PYTORCH := $(PY) -m pip --python $(PYTORCH)/bin/python install --quiet --disable-pip-version-check --no-input
endif
LEND := import pathlib, sysconfig; (lent,) = pathlib.Path("$(PYTORCH)").glob("lib/python3*/site-packages"); \
  (lent / "zz_lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
WANTED := import pathlib, tomllib; \
  print(*tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["optional-dependencies"]["pytorch"], sep="\n")

$(PYTORCH)/.installed: .venv/.installed pyproject.toml
	@echo 'Installing PyTorch into $(PYTORCH); 3 GB are downloaded the first time' >&2
	@$(PY) -m venv --clear --without-pip $(PYTORCH)
	@$(PY) -c '$(LEND)'
	@$(PY) -c '$(WANTED)' >$(PYTORCH)/requirements.txt
	@$(INSTALL_PYTORCH) -r $(PYTORCH)/requirements.txt
	@touch $@

test-pytorch: $(PYTORCH)/.installed ## what packages PyTorch models, with a real PyTorch: 3 GB the first time
	@$(PYTORCH)/bin/python -m pytest tests/unit/training/test_export_pytorch.py $(ARGS)

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

docs: .venv/.installed ## write the generated pages of docs/ anew, and the site: .cache/site/index.html
	@$(PY) -m stream_app.generated_docs.pages docs
	@$(PY) -m stream_app contract schema --directory docs/contracts
	@$(PY) -m stream_app contract asyncapi >docs/contracts/flights.asyncapi.json
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet

bench: .venv/.installed ## the worker beside hand-written loops, Faust and others: one table, ten minutes
	@$(PY) -m benchmarks.contest $(ARGS)

bench-latency: .venv/.installed ## the same in an open loop: how long a prediction takes at a steady rate
	@$(PY) -m benchmarks.contest.latency $(ARGS)

bench-trials: .venv/.installed ## what a malformed record and a kill -9 do to each of them
	@$(PY) -m benchmarks.contest.trials $(ARGS)

bench-report: .venv/.installed ## table, goals and plots of the newest results
	@$(PY) -m benchmarks.contest.report $(ARGS)

# Each in an environment of its own: some of them contradict each other, and this project.
PEERS := $(notdir $(basename $(wildcard benchmarks/peers/requirements/*.txt)))

bench-setup: .venv/.installed ## install the peers that `make bench` compares with, below .cache/peers; 2 GB
	@for peer in $(PEERS); do \
	  echo "Installing benchmarks/peers/requirements/$$peer.txt" >&2; \
	  rm -rf .cache/peers/$$peer; \
	  $(PY) -m venv $(VENV_OPTIONS) .cache/peers/$$peer && \
	  $(PEER_INSTALL) || echo "make: $$peer cannot be installed here; it does not take part" >&2; \
	done

bench-growth: .venv/.installed ## how cost and memory grow, one variable at a time: ARGS=--quick is 15 minutes
	@exec $(PY) -m benchmarks.growth $(ARGS)

# What looks at a worker from outside has no place among what the worker runs on.
.cache/py-spy/.installed: .venv/.python benchmarks/profile/requirements.lock
ifdef UV
	@uv venv --quiet --clear --python $(PY) .cache/py-spy
	@uv pip install --quiet --python .cache/py-spy/bin/python --require-hashes -r benchmarks/profile/requirements.lock
else
	@$(PY) -m venv --clear .cache/py-spy
	@.cache/py-spy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/profile/requirements.lock
endif
	@touch $@

profile: .venv/.installed .cache/py-spy/.installed ## where a microsecond goes: a table, and a flame graph in .cache/profile
	@exec $(PY) -m benchmarks.profile --py-spy .cache/py-spy/bin/py-spy $(ARGS)

# Every extra but `pytorch`, which would bring 3 GB for a GPU.
LOCKED := avro demo json-schema laws local otel parquet protobuf training xgboost

# uv (https://docs.astral.sh/uv) is needed for this alone and no dependency of the project. Versions
# stay as they are unless they must change; ARGS=--upgrade takes the newest.
lock: ## write the lock files anew from pyproject.toml; needs uv
	@command -v uv >/dev/null || { echo 'make: lock needs uv' >&2; exit 2; }
	@$(UV_COMPILE) --no-annotate $(ARGS) pyproject.toml -o deploy/requirements.lock
	@$(UV_COMPILE) $(LOCKED:%=--extra %) --group dev --group docs $(ARGS) pyproject.toml -o requirements.lock
	@$(UV_COMPILE) --no-annotate --extra local --extra demo -c requirements.lock pyproject.toml -o demo/requirements.lock
	@$(UV_COMPILE) --group build $(ARGS) -o build.lock
	@$(UV_COMPILE) --no-annotate --group profile $(ARGS) -o benchmarks/profile/requirements.lock

# A digest names one image for ever, for every platform that it is made for; a tag moves.
image-base: ## pin the newest base image in deploy/Dockerfile; needs Docker and the registry
	@digest=$$(docker buildx imagetools inspect $(BASE) --format '{{with .Manifest}}{{.Digest}}{{end}}') \
	  && sed -i.bak 's|^ARG PYTHON_IMAGE=.*|ARG PYTHON_IMAGE=$(BASE)@'"$$digest|" deploy/Dockerfile && rm deploy/Dockerfile.bak && grep "^ARG" deploy/Dockerfile

clean: ## remove the virtual environment and the caches of this folder
	@rm -rf .venv $(PYTORCH) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis dist

# The downloads are outside this folder and serve every clone: `make clean` leaves them.
distclean: ## the same, and Kafka's downloaded jars
	@for python in $(PY) $(PYTHONS); do \
	  cache=$$("$$python" stream_app/local/cache.py 2>/dev/null) && break; \
	done; \
	test -n "$$cache" && rm -rf "$$cache/kafka" "$$cache/java" && echo "Removed kafka/ and java/ of $$cache"
	@$(MAKE) --no-print-directory clean
