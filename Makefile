# Every command a person or a machine runs on this project. Targets tell what they do after `##`; `make` lists them.
# Nothing here is needed to use rwsgi: `pip install .` is enough.

PYTHON ?= python3
VENV := .venv
TEST_VENV := .venv-test
BENCH_VENV := .venv-bench
# Arguments of the bench targets: make bench ARGS="--quick --loads hello,flask"; ARGS=--help tells them.
ARGS :=
SOURCES := $(shell find src python -type f ! -name '*.so' ! -path '*/__pycache__/*') Cargo.toml Cargo.lock pyproject.toml build.rs
PYTHON_DIRS := python tests examples benches fuzz
PIP_FLAGS := --quiet --disable-pip-version-check
CLIPPY := cargo clippy --all-targets --quiet
TEST_PYTHON := $(CURDIR)/$(TEST_VENV)/bin/python
NATIVE := $(abspath $(or $(CARGO_TARGET_DIR),target))/debug/rwsgi
FUZZ_TARGETS ?= head chunked connection proxy_protocol
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help build serve test lint format native rust-test python-test bench bench-instructions bench-balance bench-crowd \
  bench-memory fuzz differential soak docs clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

rust-test: $(TEST_VENV)/.deps  ## run the unit tests, and those of the HTTP core
	cargo test --quiet --no-default-features
	PYO3_PYTHON=$(TEST_PYTHON) cargo test --quiet --features embed --lib

# It links the libpython of the interpreter whose packages it will serve.
native: $(TEST_VENV)/.deps  ## build the native binary (unoptimised) that carries its own interpreter
	PYO3_PYTHON=$(TEST_PYTHON) cargo build --quiet --features embed --bin rwsgi

python-test: $(TEST_VENV)/.built native  ## run the tests that drive a real server, gunicorn's parity included
	RWSGI_NATIVE=$(NATIVE) $(TEST_VENV)/bin/pytest -q

bench: $(BENCH_VENV)/.built  ## measure CPU, rate, latency and memory beside other servers (needs wrk; ARGS=--help)
	$(BENCH_VENV)/bin/python benches/compare.py $(ARGS)

bench-instructions: $(BENCH_VENV)/.built  ## count instructions per request, against those kept (needs valgrind)
	$(BENCH_VENV)/bin/python benches/instructions.py $(ARGS)

bench-balance: $(BENCH_VENV)/.built  ## how evenly workers share requests, how many of them a connection wakes
	$(BENCH_VENV)/bin/python benches/balance.py $(ARGS)

bench-crowd: $(BENCH_VENV)/.built  ## what 2,000 slow clients cost those who are not slow (needs wrk)
	$(BENCH_VENV)/bin/python benches/crowd.py $(ARGS)

bench-memory: $(BENCH_VENV)/.built  ## whether memory grows over a million requests (needs wrk)
	$(BENCH_VENV)/bin/python benches/memory.py $(ARGS)

soak: $(TEST_VENV)/.built  ## two minutes of reloads, upgrades, recycling and deaths under load, beside gunicorn
	$(TEST_VENV)/bin/python benches/soak.py

# What it instruments the code with is a switch that only nightly compilers take from everybody.
fuzz:  ## fuzz the HTTP core, each target for FUZZ_SECONDS (60), from the corpus's seeds (needs cargo-fuzz)
	$(PYTHON) fuzz/seeds.py
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run -s none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 || exit 1; \
	done

differential: $(TEST_VENV)/.deps  ## compare the HTTP core with gunicorn's parser over a million damaged streams
	cargo build --quiet --no-default-features --example readings
	$(TEST_VENV)/bin/python tests/differential/compare.py

docs: $(TEST_VENV)/.built  ## write the generated pages of docs/ again
	RWSGI_REGENERATE=1 cargo test --quiet --no-default-features settings_md
	RWSGI_REGENERATE=1 $(TEST_VENV)/bin/pytest -q tests/test_migrating.py tests/test_corpus.py -k document

clean:  ## remove everything the targets above made
	rm -rf $(VENV) $(TEST_VENV) $(BENCH_VENV) target dist fuzz/target fuzz/corpus fuzz/seeds fuzz/artifacts

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

$(BENCH_VENV)/bin/python:
	$(PYTHON) -m venv $(BENCH_VENV)

# One by one: a server that cannot be built here is left out, the others are still compared.
$(BENCH_VENV)/.deps: $(BENCH_VENV)/bin/python benches/requirements.txt
	@grep -v '^#' benches/requirements.txt | while read -r requirement; do \
		$(BENCH_VENV)/bin/python -m pip install $(PIP_FLAGS) "$$requirement" >$(BENCH_VENV)/pip.log 2>&1 </dev/null || \
		{ echo "left out, it cannot be installed here: $$requirement"; tail -n 2 $(BENCH_VENV)/pip.log; }; \
	done
	@touch $@

$(BENCH_VENV)/.built: $(BENCH_VENV)/.deps $(SOURCES)
	$(BENCH_VENV)/bin/python -m pip install $(PIP_FLAGS) .
	@touch $@
