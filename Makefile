# Two commands do all set-up: `make demo` and `make test`. Needed: Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types imports check docs reference peers bench bench-detection lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "otel_mlmon needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "cannot make a virtual environment; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/.processor: $(BIN)/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[processor]'
	@touch $@

$(VENV)/.dev: $(VENV)/.processor
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[processor]' --group dev
	@touch $@

demo: $(VENV)/.processor ## watch a model's silent failures being caught
	$(BIN)/mlmon demo

test: $(VENV)/.dev ## all tests; those that need a peer skip without it (see `make peers`)
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## ruff, mending what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## who may import whom, and that every import is declared
	$(BIN)/lint-imports
	$(BIN)/deptry .

check: lint types imports test ## everything that CI checks

docs: $(VENV)/.dev ## the documentation as a site, in build/site; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

reference: $(VENV)/.dev ## docs/reference: configuration, command line, SDK and HTTP API, from the code
	$(BIN)/python -m scripts.make_reference

peers: ## bring Collector, Prometheus, Alertmanager, Chromium, a Node client, PostgreSQL and MariaDB, cached
	scripts/install-peers

bench: $(VENV)/.dev ## the figures of benchmarks/README.md
	$(BIN)/python benchmarks/instrument.py
	$(BIN)/python benchmarks/processor.py
	$(BIN)/python benchmarks/ground_truth.py

bench-detection: $(VENV)/.dev ## which faults are found, beside Evidently and NannyML; the better part of an hour
	scripts/install-rivals
	$(BIN)/python -m benchmarks.detection

lock: ## pin anew: the newest versions that pyproject.toml allows
	rm -rf $(VENV)/lock
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[processor]' --group dev
	$(VENV)/lock/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf $(VENV)/lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
