# The one door to the project. `make help` lists what is behind it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Where `make run` keeps its data, and what is added to every published port.
DATA_DIR ?= .cache/quickstart
PORT_OFFSET ?= 0
# What `make demo` and `make bench` take besides their defaults.
ARGS ?=
# What the quickstart needs and no more, in a profile that builds soon and runs well.
QUICKSTART_BUILD = $(CARGO) build --profile quickstart -p tempo-core -p tempo-operator -p tempo-collector --bins
# Tests of random cases take the same ones each time, so that a failure is one of the change at hand; `make fuzz` takes others.
PROPTEST_RNG_SEED ?= 1

## run: build and start the quickstart (a TempoStack and a Collector) as processes on this machine
.PHONY: run
run:
	@command -v $(CARGO) >/dev/null || { echo "run: cargo is not installed; install Rust 1.95 with rustup (its web site has the one-line installer)"; exit 1; }
	@command -v cc >/dev/null || { echo "run: a C compiler is missing; type: apt-get install gcc"; exit 1; }
	$(QUICKSTART_BUILD)
	exec target/quickstart/tempo-operator standalone -f config/samples/quickstart/ --data-dir $(DATA_DIR) --port-offset $(PORT_OFFSET)

## demo: send a realistic trace stream to the running quickstart and say how to look at it
.PHONY: demo
demo:
	$(QUICKSTART_BUILD)
	exec target/quickstart/tempo demo --port-offset $(PORT_OFFSET) $(ARGS)

## test: everything that CI runs
.PHONY: test
test: check-format lint test-only

.PHONY: test-only
test-only: tools
	$(CARGO) build --workspace --bins
	tools="$$(e2e/tools/build.sh)"; python="$$(e2e/tools/python.sh)"; \
	PROPTEST_RNG_SEED=$(PROPTEST_RNG_SEED) \
	KUBEBUILDER_ASSETS="$${KUBEBUILDER_ASSETS:-$$tools}" TEMPO_RS_TOOLS="$$tools" TEMPO_RS_PYTHON="$$python" \
	$(CARGO) test --workspace

## tools: build the real programs that the tests run against (API server, etcd, MinIO, telemetrygen, Python SDK)
.PHONY: tools
tools:
	@e2e/tools/build.sh >/dev/null
	@e2e/tools/python.sh >/dev/null

## fuzz: every decoder on damaged input, FUZZ_CASES times each (stable Rust; failures are kept as regressions)
FUZZ_CASES ?= 20000
.PHONY: fuzz
fuzz:
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --workspace fuzz

## fmt: format the code
.PHONY: fmt
fmt:
	$(CARGO) fmt --all

.PHONY: check-format
check-format:
	$(CARGO) fmt --all --check

## lint: clippy, pedantic, without warnings
.PHONY: lint
lint:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

## crds: write the CustomResourceDefinitions from the Rust types
.PHONY: crds
crds:
	$(CARGO) run --quiet --bin tempo-operator -- crds --dir crds

## licences: write the list of third-party licences
.PHONY: licences
licences:
	python3 docs/third_party_licences.py > docs/third-party-licences.md

## bench: the engine against its bars, as a table (ARGS="--spans 5000000 --record docs/benchmarks.md", LOADGEN=another generator)
.PHONY: bench
bench:
	$(CARGO) build --release -p tempo-core --bin tempo
	target/release/tempo bench $(ARGS)

## bench-growth: how cost grows with spans and blocks, plotted into docs/plots (ARGS="--spans 1000000,5000000")
.PHONY: bench-growth
bench-growth:
	$(CARGO) build --release -p tempo-core --bin tempo
	target/release/tempo bench growth --plots docs/plots $(ARGS)

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-z-]*\): \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
