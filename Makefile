# Everything starts here: `make help`.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
CONFIG ?= config
KILLS ?= 300
NODE_KILLS ?= 50
POSTGRES_KILLS ?= 50
CUTS ?= 10
SEED ?= 1
# Of `make sim`, which begins with SEED.
REQUESTS ?= 1000000
# Of `make fuzz`.
INPUTS ?= 50000
JOBS ?= 2
# Debian's names of the real peers that tests/interop talks to.
PEERS := erlang-base erlang-dev erlang-diameter freediameter freediameter-extensions iproute2 kamailio \
  kamailio-ims-modules openssl sip-tester tshark
# A kernel with SCTP, to be run as a program, and who is spoken with in it.
SCTP_PEERS := freediameter freediameter-extensions iproute2 openssl user-mode-linux

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made once; a lock file or a pyproject.toml that is newer than its stamp installs again.
$(BIN)/python:
	@tools/check_host.sh $(PYTHON)
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)

define install_locked
	$(PIP) install --quiet --require-hashes --no-deps -r $(1)
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	$(call install_locked,requirements.txt)

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	$(call install_locked,requirements-dev.txt)
	@touch $(VENV)/.run

install: $(VENV)/.dev ## make .venv with everything that the tests need, from the lock file

run: $(VENV)/.run ## start the server on the sample configuration, in the foreground
	@exec $(BIN)/ocs serve --config $(CONFIG)

test: $(VENV)/.dev ## every test that needs only Python packages (ARGS=... for pytest)
	$(BIN)/python -m pytest --ignore=tests/interop --ignore=tests/uml/guest --ignore=tests/faults/host $(ARGS)

check: $(VENV)/.dev ## lint, formatting, types, and which room may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

peers: ## as root: install the real peers from Debian
	@tools/install_peers.sh $(PEERS)

sim: $(VENV)/.dev ## a million simulated requests over many seeds, with faults of all kinds (REQUESTS, SEED, JOBS)
	$(BIN)/python -m tests.simulation --requests $(REQUESTS) --first-seed $(SEED) --jobs $(JOBS)

# Each loop has its number; SEED is the dice of all of them.
# Each target gets so many inputs (INPUTS).
fuzz: $(VENV)/.dev ## wrong messages of all kinds, and 10,000 connections at once (INPUTS, SEED)
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)
	OCS_HOSTILE_CONNECTIONS=10000 $(BIN)/python -m pytest -q tests/diameter/test_hostile.py $(ARGS)

faults: $(VENV)/.dev ## as root: kills, stalls, a full disk, a lost network under load (KILLS=, NODE_KILLS=, POSTGRES_KILLS=)
	OCS_FAULTS_KILLS=$(KILLS) OCS_FAULTS_NODE_KILLS=$(NODE_KILLS) OCS_FAULTS_POSTGRES_KILLS=$(POSTGRES_KILLS) \
	OCS_FAULTS_STALL_S=10 OCS_FAULTS_CUTS=$(CUTS) OCS_FAULTS_SEED=$(SEED) $(BIN)/python -m pytest tests/faults -q $(ARGS)

bench: $(VENV)/.dev ## write the tables of docs/performance.md: whole servers under load (ARGS=--quick)
	$(BIN)/python -m bench.tables $(ARGS)

rating: $(VENV)/.run ## microseconds per rated event and per decision, and where they go
	$(BIN)/python -m bench.rating --profile

interop: $(VENV)/.dev peers ## as root: tests with real peers, and with file systems and networks of their own
	$(BIN)/python -m pytest tests/interop tests/faults/host $(ARGS)

sctp: $(VENV)/.dev ## tests over SCTP inside User-mode Linux; root only to install it (ARGS=... for pytest)
	@tools/install_peers.sh $(SCTP_PEERS)
	$(BIN)/python -m tests.uml.boot $(ARGS)

conformance: $(VENV)/.dev ## write docs/conformance.md from the tests' markers
	$(BIN)/python tools/conformance.py

lock: $(VENV)/.dev ## resolve the dependencies again and write the lock files
	tools/lock.sh $(BIN)

bare: ## as root: prove `make run` and `make test` in a fresh Debian 12 folder
	tools/bare_debian.sh

clean: ## remove what builds and tests leave behind (not var/, which holds accounts)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install run test check faults fuzz sim bench rating peers interop sctp conformance lock bare clean
