# make run, make test, make check, make bench: the same at home and in CI. All set-up happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= project
STAMP := $(VENV)/.ringback-ready

.PHONY: run test check bench demo clean

run: $(STAMP)
	$(BIN)/ringback serve $(DIR) --demo

demo: $(STAMP)
	$(BIN)/ringback demo $(DIR)

test: $(STAMP) tests/peers/.ready
	RINGBACK_REQUIRE_CORE=1 $(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m tests.bench

# The compiled core is built in place; the stamp is as old as what the build was made from.
$(STAMP): pyproject.toml setup.py $(wildcard src/ringback/media/*.pyx) $(wildcard src/ringback/functions/node/package*.json)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once; about a minute) ..."
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

# Programs of other people that judge ours: baresip, SIPp. Installed where the machine lets us.
tests/peers/.ready:
	@sh tests/peers/install.sh
	@touch $@

clean:
	rm -rf build dist $(STAMP) tests/peers/.ready src/*.egg-info src/ringback/media/_core.c src/ringback/media/*.so
