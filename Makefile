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

# What mypyc compiles; edited Python is compiled again, or what was compiled before would be in its way.
COMPILED := $(VENV)/.ringback-compiled
COMPILED_FROM := compiled.txt $(wildcard $(patsubst %,src/ringback/%.py,$(shell cat compiled.txt)))
# Tests of what is compiled, which hold for the sources as they are as well.
TWINS := tests/unit/sdp tests/unit/sip tests/unit/call tests/unit/shell tests/unit/store tests/property tests/conformance/test_rfc3261_17_transactions.py \
	tests/conformance/test_rfc4475.py tests/conformance/test_rfc5118.py tests/conformance/test_rfc3264_offer_answer.py

.PHONY: run demo test check bench fuzz soak peers clean

run: $(USER_READY) $(COMPILED)
	@$(BIN)/ringback serve $(DIR) --demo

demo: $(USER_READY) $(COMPILED)
	@$(BIN)/ringback demo $(DIR)

test: $(DEVELOPER_READY) $(COMPILED) peers
	RINGBACK_REQUIRE_CORE=1 $(BIN)/pytest $(TESTS)
	$(if $(TESTS),,RINGBACK_PURE=1 $(BIN)/pytest $(TWINS))

check: $(DEVELOPER_READY)
	$(BIN)/ruff check $(PROGRAMS)
	$(BIN)/ruff format --check $(PROGRAMS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/papers.py --check

# CPU time of an operation beside that of a peer in the same run; LINES="call relay" measures these alone.
bench: $(DEVELOPER_READY) $(COMPILED)
	@$(BIN)/python -m tests.bench $(LINES)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ringback needs Python 3.11 or newer: make run PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(USER_READY): $(BUILT_FROM) | $(BIN)/python
	@echo "Setting up $(VENV), once; this takes a minute ..."
	@$(PIP) --editable ".[all]"
	@touch $@

$(COMPILED): $(COMPILED_FROM) | $(USER_READY)
	@if [ -e $@ ]; then echo "Compiling what was edited ..."; \
		if $(BIN)/python -c "import Cython, mypyc, setuptools" 2>/dev/null; then $(BIN)/python setup.py -q build_ext --inplace; \
		else $(PIP) --no-deps --editable .; fi; fi
	@touch $@

# Developers get the compiled pump or an error; users without a C compiler get the one in Python.
$(DEVELOPER_READY): $(BUILT_FROM) | $(BIN)/python
	@echo "Setting up $(VENV) for developers, once; this takes a minute ..."
	@RINGBACK_REQUIRE_CORE=1 $(PIP) --editable ".[dev]"
	@touch $@ $(USER_READY)

# Ten million inputs, resumable; coverage-guided where atheris has a wheel for this Python, which
# is led by the lines of the sources. FUZZ="--only sdp --jobs 2"
fuzz: $(DEVELOPER_READY)
	@$(PIP) atheris || true; cd tests && RINGBACK_PURE=1 ../$(BIN)/python -m fuzz $(FUZZ)

# An hour of mixed load at half of a core, with a verdict. SOAK="--minutes 30 --load 0.2"
soak: $(DEVELOPER_READY)
	@cd tests && RINGBACK_REQUIRE_CORE=1 ../$(BIN)/python -m soak $(SOAK)

# Programs of other people that judge ours, installed where the machine lets us.
peers:
	@sh tests/peers/install.sh

clean:
	rm -rf build dist $(VENV)/.ringback-* src/*.egg-info src/ringback/media/_core.c src/*.so src/ringback/*/*.so src/*.made-from src/ringback/media/*.made-from
