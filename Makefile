# make run, make test, make check, make bench: the same at home and in CI. All set-up happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= project
PROGRAMS := src tests $(wildcard tools) setup.py build_npm.py

# Two stages: what runs the exchange, and what also judges it. A stamp is as old as what the build was made from.
USER_READY := $(VENV)/.ringback-user
DEVELOPER_READY := $(VENV)/.ringback-developer
BUILT_FROM := pyproject.toml setup.py build_npm.py \
	$(wildcard src/ringback/media/*.pyx src/ringback/media/*.pxi src/ringback/functions/node/package*.json)
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: run demo test check bench fuzz peers clean

run: $(USER_READY)
	@$(BIN)/ringback serve $(DIR) --demo

demo: $(USER_READY)
	@$(BIN)/ringback demo $(DIR)

test: $(DEVELOPER_READY) peers
	RINGBACK_REQUIRE_CORE=1 $(BIN)/pytest $(TESTS)

check: $(DEVELOPER_READY)
	$(BIN)/ruff check $(PROGRAMS)
	$(BIN)/ruff format --check $(PROGRAMS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/papers.py --check

# CPU time of an operation beside that of a peer in the same run; LINES="call relay" measures these alone.
bench: $(DEVELOPER_READY)
	@$(BIN)/python -m tests.bench $(LINES)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ringback needs Python 3.11 or newer: make run PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(USER_READY): $(BUILT_FROM) | $(BIN)/python
	@echo "Setting up $(VENV), once; this takes a minute ..."
	@$(PIP) --editable ".[all]"
	@touch $@

# Developers get the compiled pump or an error; users without a C compiler get the one in Python.
$(DEVELOPER_READY): $(BUILT_FROM) | $(BIN)/python
	@echo "Setting up $(VENV) for developers, once; this takes a minute ..."
	@RINGBACK_REQUIRE_CORE=1 $(PIP) --editable ".[dev]"
	@touch $@ $(USER_READY)

# Ten million inputs, resumable; coverage-guided where atheris has a wheel for this Python. FUZZ="--only sdp --jobs 2"
fuzz: $(DEVELOPER_READY)
	@$(PIP) atheris || true; cd tests && ../$(BIN)/python -m fuzz $(FUZZ)

# Programs of other people that judge ours, installed where the machine lets us.
peers:
	@sh tests/peers/install.sh

clean:
	rm -rf build dist $(USER_READY) $(DEVELOPER_READY) src/*.egg-info src/ringback/media/_core.c src/ringback/media/*.so
