# Every command a person or a machine runs on this project. Targets tell what they do after `##`; `make` lists them.
# Nothing here is needed to use rwsgi: `pip install .` is enough.

PYTHON ?= python3
VENV := .venv
TEST_VENV := .venv-test
SOURCES := $(shell find src python -type f ! -name '*.so' ! -path '*/__pycache__/*') Cargo.toml Cargo.lock pyproject.toml build.rs
PYTHON_DIRS := python tests examples benches fuzz
PIP_FLAGS := --quiet --disable-pip-version-check
CLIPPY := cargo clippy --all-targets --quiet
TEST_PYTHON := $(CURDIR)/$(TEST_VENV)/bin/python
NATIVE := $(abspath $(or $(CARGO_TARGET_DIR),target))/debug/rwsgi

.DEFAULT_GOAL := help
.PHONY: help build serve test lint format native rust-test python-test bench fuzz differential soak docs clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(VENV)/.built  ## make a virtualenv in .venv with rwsgi installed in it

serve: build  ## build, then serve examples/test.py with three workers on http://127.0.0.1:8000
	cd examples && exec ../$(VENV)/bin/rwsgi -w 3 test:app

test: lint rust-test native python-test  ## run everything that continuous integration runs

lint: $(TEST_VENV)/.deps  ## check formatting and lints of the Rust and the Python code
	cargo fmt --check
	$(CLIPPY) --no-default-features -- -D warnings
	PYO3_PYTHON=$(TEST_PYTHON) $(CLIPPY) --features embed -- -D warnings
	$(TEST_VENV)/bin/ruff check $(PYTHON_DIRS)
	$(TEST_VENV)/bin/ruff format --check $(PYTHON_DIRS)

format: $(TEST_VENV)/.deps  ## format the Rust and the Python code
	cargo fmt
	$(TEST_VENV)/bin/ruff check --fix $(PYTHON_DIRS)
	$(TEST_VENV)/bin/ruff format $(PYTHON_DIRS)

rust-test:  ## run the tests of everything that is not Python
	cargo test --quiet --no-default-features

# It links the libpython of the interpreter whose packages it will serve.
native: $(TEST_VENV)/.deps  ## build the native binary (unoptimised) that carries its own interpreter
	PYO3_PYTHON=$(TEST_PYTHON) cargo build --quiet --features embed --bin rwsgi

python-test: $(TEST_VENV)/.built native  ## run the tests that drive a real server, gunicorn's parity included
	RWSGI_NATIVE=$(NATIVE) $(TEST_VENV)/bin/pytest -q

bench: $(TEST_VENV)/.built  ## measure CPU per request beside gunicorn (needs wrk)
	$(TEST_VENV)/bin/python benches/compare.py

fuzz: $(TEST_VENV)/.deps  ## fuzz the HTTP core, a minute for each target (needs cargo-fuzz)
	$(TEST_VENV)/bin/python fuzz/seeds.py
	for target in head chunked proxy_protocol connection; do \
	  (cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $$target -- \
	    -max_total_time=60 -max_len=4096 -print_final_stats=1) || exit 1; \
	done

differential: $(TEST_VENV)/.deps  ## compare what a million mutated streams come to with gunicorn's parser
	$(TEST_VENV)/bin/python tests/differential.py

soak: $(TEST_VENV)/.built  ## two minutes of reloads, upgrades, recycling and deaths under load, beside gunicorn
	$(TEST_VENV)/bin/python benches/soak.py

docs: $(TEST_VENV)/.built  ## write the generated pages of docs/ again
	RWSGI_REGENERATE=1 cargo test --quiet --no-default-features settings_md
	RWSGI_REGENERATE=1 $(TEST_VENV)/bin/pytest -q tests/test_migrating.py tests/test_corpus.py -k document

clean:  ## remove everything the targets above made
	rm -rf $(VENV) $(TEST_VENV) target dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.built: $(VENV)/bin/python $(SOURCES)
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) .
	@touch $@

$(TEST_VENV)/bin/python:
	$(PYTHON) -m venv $(TEST_VENV)

$(TEST_VENV)/.deps: $(TEST_VENV)/bin/python tests/requirements.txt
	$(TEST_VENV)/bin/python -m pip install $(PIP_FLAGS) -r tests/requirements.txt
	@touch $@

$(TEST_VENV)/.built: $(TEST_VENV)/.deps $(SOURCES)
	$(TEST_VENV)/bin/python -m pip install $(PIP_FLAGS) .
	@touch $@
