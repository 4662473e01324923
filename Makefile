# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
DEV := $(CURDIR)/.build/dev
COPY := $(CURDIR)/.build/real/ansible_collections/aiops/k8s

export PATH := $(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(DEV)

.PHONY: help setup demo test attack faults unit lint sanity molecule bench bench-scale check-small-model runbooks cluster-up cluster-down cluster-status build copy clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(VENV)/ready $(DEV)/ansible_collections/aiops/k8s ## the Python environment, and the collection where Ansible finds it

$(VENV)/ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }
	@echo "installing the Python environment into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt
	@touch $@

$(DEV)/ansible_collections/aiops/k8s:
	@mkdir -p $(@D) && ln -sfn $(CURDIR) $@

copy: setup # ansible-test and Molecule want a real directory of this name, and ansible-test a git repository of its own
	@rm -rf $(COPY) && mkdir -p $(COPY)
	@git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do [ -e "$$file" ] && printf '%s\0' "$$file"; done | tar --null -T - -c | tar -x -C $(COPY)
	@git -C $(COPY) init -q && git -C $(COPY) add -A
	@ln -sfn $$($(BIN)/python -c 'import kubernetes, os; print(os.path.dirname(os.path.dirname(kubernetes.__file__)))')/ansible_collections/kubernetes $(COPY)/../../kubernetes

demo: setup ## cluster, two failing workloads, diagnosis, approval, fix, PHR (KEEP=1 leaves the cluster running)
	@$(BIN)/python -m tests.demo

test: setup copy ## every test: unit, lint, types, sanity, Molecule and integration on the real cluster
	@$(BIN)/python -m tests.lanes

attack: setup ## the attack suite on the real cluster: what was tried, what was refused
	@$(BIN)/python -m pytest -q --durations=0 --durations-min=1000 -m attack tests/integration

faults: setup ## operations struck at every point, those that make test leaves out among them
	@AIOPS_FAULTS=all $(BIN)/python -m pytest tests/faults

unit: setup ## unit tests only
	@$(BIN)/python -m pytest tests/unit

lint: setup ## ansible-lint and mypy
	@$(BIN)/python -m pytest tests/quality -k "lint or types"

sanity: setup copy ## ansible-test sanity
	@$(BIN)/python -m pytest tests/quality -k sanity

molecule: setup copy ## Molecule scenarios on the test cluster
	@$(BIN)/python -m pytest tests/quality -k molecule

bench: setup ## benchmarks on the test cluster, as tables (8 writers x 50 operations: python -m tests.bench.stores writers)
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.diagnosis
	@$(BIN)/python -m tests.bench.stores reading appending
	@$(BIN)/python -m tests.bench.compliance
	@$(BIN)/python -m tests.bench.redaction
	@$(BIN)/python -m tests.bench.load
	@$(BIN)/python -m tests.bench.placement
	@$(BIN)/python -m tests.bench.sizing
	@$(BIN)/python -m tests.bench.recorder
	@$(BIN)/python -m tests.bench.rightsizing

bench-scale: setup ## benchmark with 10,000 simulated pods (several minutes)
	@$(BIN)/python -m tests.bench.scale

check-small-model: setup ## optional: the AI loop with a real small model, built by the first run (8 minutes)
	@$(BIN)/python -m tests.small_model

runbooks: setup ## render the runbooks of all finding codes from docs/runbooks/source
	@PYTHONPATH=$(DEV) $(BIN)/python docs/runbooks/source/render.py

cluster-up: setup ## start the test cluster, or find one that runs
	@$(BIN)/python -m tests.cluster up

cluster-down: setup ## stop it and remove everything of it
	@$(BIN)/python -m tests.cluster down

cluster-status: setup ## what runs
	@$(BIN)/python -m tests.cluster status

build: copy ## the collection as a tarball
	@cd $(COPY) && ansible-galaxy collection build --force --output-path $(CURDIR)

clean: ## everything that was built here; the cache of binaries stays
	rm -rf .build $(VENV) .mypy_cache .pytest_cache *.tar.gz
