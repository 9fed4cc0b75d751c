# Everything runs in .venv, installed from hash-locked requirements. Prerequisite: Python 3.11 or newer.
#   make demo             the guided tour; make demo ARGS=--auto decides by itself
#   make test             all tests; make test ARGS="-k expiry" some of them
#   make lint             style, types, import rules
#   make bench            what Interlock adds to a call, measured here
#   make lock             resolve the locked requirements anew
#   make clean            remove .venv and everything made

PYTHON ?= python3
ARGS ?=
PYTEST_JOBS ?= 2
UV_VERSION := 0.13.9

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LINTED := src tests benchmarks

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench lock clean install check-python

help:
	@sed -n 's/^#   //p' Makefile

demo: .venv/.demo
	@$(BIN)/interlock demo $(ARGS)

test: .venv/.dev .venv/.npm
	@# one seed for all workers: they must collect the same tests in the same order
	PYTHONHASHSEED=$${PYTHONHASHSEED:-0} $(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist loadgroup $(ARGS)

lint: .venv/.dev
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)

bench: .venv/.dev
	$(BIN)/python benchmarks/overhead.py $(ARGS)

install: .venv/.dev

# A stamp is newer than what was installed from: a second run starts at once.
.venv/.demo: requirements/demo.lock pyproject.toml | .venv/bin/python
	@echo "Installing Interlock and the demo into .venv (about a minute, once) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/demo.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing Interlock and its tests' needs into .venv (about a minute, once) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@ .venv/.demo

# From npm, by the Node.js that is in .venv: MCP's own conformance suite; what tests of the page use.
.venv/.npm: tests/conformance/package-lock.json tests/npm/package-lock.json | .venv/.dev
	@echo "Installing MCP's conformance suite and axe-core (a few seconds, once) ..."
	@$(BIN)/python -c 'from tests.conformance import suite; suite.install()'
	@$(BIN)/python -c 'from tests.support import npm; npm.install()'
	@touch $@

.venv/bin/python: | check-python
	@$(PYTHON) -m venv .venv
	@$(PIP) install --quiet --require-hashes -r requirements/pip.lock

check-python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Interlock needs Python 3.11 or newer, and there is no '$(PYTHON)' here."; \
	  echo "Install it, or name another: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Interlock needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
	  echo "Name another one: make PYTHON=/path/to/python3.12 demo"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python cannot make virtual environments. On Debian: apt-get install python3-venv"; \
	  exit 1; }

# One lock for all platforms and Pythons; no address of an index is written into it.
UV_COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-annotate --no-header

lock: | .venv/bin/python
	$(PIP) install --quiet uv==$(UV_VERSION)
	$(UV_COMPILE) requirements/pip.in -o requirements/pip.lock
	$(UV_COMPILE) pyproject.toml requirements/build.in --extra aws --extra apprise -o requirements/serve.lock
	$(UV_COMPILE) pyproject.toml requirements/build.in --extra aws --extra apprise --extra demo -o requirements/demo.lock
	$(UV_COMPILE) pyproject.toml requirements/build.in --extra aws --extra apprise --extra demo --extra dev -o requirements/dev.lock
	for each in mcp-clients-1 mcp-clients-2 mcp-clients-node mcp-bench exports; do \
	  $(UV_COMPILE) requirements/$$each.in -o requirements/$$each.lock || exit 1; done
	$(UV_COMPILE) --no-deps requirements/exports-trl.in -o requirements/exports-trl.lock

clean:
	rm -rf .venv .demo build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
