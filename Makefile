# Everything a user or developer runs. `make` alone lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip --quiet --disable-pip-version-check install --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements/dev.txt
	@touch $@

# Compiled again whenever its sources change; uv would take what it built before.
NATIVE := hatch_build.py $(wildcard riskbus/native/*.[ch])
INSTALL := $(BIN)/uv pip install --no-deps --no-build-isolation --reinstall-package riskbus --editable .

$(VENV)/.installed: $(VENV)/.ready $(NATIVE)
	@$(INSTALL) --quiet --python $(BIN)/python
	@$(BIN)/python -c 'import riskbus.native.hot' 2> /dev/null || echo "riskbus/native is not compiled; why: $(INSTALL) --verbose" >&2
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed ## Make .venv with everything a developer needs

.PHONY: lock
lock: ## Resolve the locked requirements again from pyproject.toml
	@requirements/lock

.PHONY: deps
deps: ## Install the Debian packages of the local cluster (root), or say which are missing
	@tests/cluster/deps

# --- see it work -------------------------------------------------------------

.PHONY: demo
demo: ## The main job for real: a local control plane, the operator, a trading workload, the status
	@$(if $(KUBECONFIG),,tests/cluster/deps)
	@$(MAKE) --no-print-directory venv
	@$(BIN)/python -m examples.demo up

.PHONY: demo-down
demo-down: venv ## End the demo; nothing is left behind
	@$(BIN)/python -m examples.demo down

.PHONY: cluster-up
cluster-up: deps venv ## The bare local cluster alone (K8S=1.36 or 1.31)
	@$(BIN)/python -m tests.cluster.local up --k8s $(K8S)

.PHONY: cluster-down
cluster-down: venv ## End the local cluster
	@$(BIN)/python -m tests.cluster.local down

# --- measure it --------------------------------------------------------------

$(VENV)-bench/.installed: requirements/bench.txt pyproject.toml $(VENV)/.installed
	@$(PYTHON) -m venv $(VENV)-bench
	@$(BIN)/uv pip sync --quiet --python $(VENV)-bench/bin/python requirements/bench.txt
	@$(INSTALL) --quiet --python $(VENV)-bench/bin/python
	@touch $@

.PHONY: bench
bench: $(VENV)-bench/.installed ## Figures beside peers and the physical limit (BENCH="--output FILE", BENCH=--quick)
	@$(VENV)-bench/bin/python -m benchmarks $(BENCH)

# --- check it ----------------------------------------------------------------

K8S ?= 1.36
export K8S
PYTEST := $(BIN)/python -m pytest

# Minutes where nothing is built yet, with progress: not within a test, whose time is limited.
BUILD_CLUSTER := $(BIN)/python -m tests.cluster.local build

.PHONY: test
test: deps venv lint ## Everything, as continuous integration runs it
	@$(BUILD_CLUSTER)
	@$(PYTEST)

.PHONY: test-unit
test-unit: venv ## Tests that need nothing
	@$(PYTEST) -m "not faults and not cluster"

.PHONY: test-faults
test-faults: export FAULTS_KILLS ?= 10000
test-faults: export FAULTS_POWER_CUTS ?= 200
test-faults: export FAULTS_STRIDE ?= 1
test-faults: deps venv ## Real filesystems that fill up and fail, kill -9 (root; FAULTS_KILLS=10000)
	@$(PYTEST) --verbose -m faults

.PHONY: test-cluster
test-cluster: $(if $(KUBECONFIG),,deps) venv ## A real Kubernetes (K8S=1.36 or 1.31, or the cluster of KUBECONFIG)
	@$(if $(KUBECONFIG),,$(BUILD_CLUSTER))
	@$(PYTEST) -m cluster

.PHONY: test-pythons
test-pythons: deps venv ## The same on Python 3.13, 3.14 and a free-threaded one, each in a root of its own (root; minutes)
	@tests/pythons/run

.PHONY: soak
soak: venv ## Ten minutes with handlers that misbehave in every way (SECONDS=600)
	@$(BIN)/python -W ignore -m tests.event_bus.soak --seconds $(or $(SECONDS),600)

.PHONY: lint
lint: venv ## Format, style, types and layers
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/clang-format --dry-run --Werror riskbus/native/*.[ch] || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: venv ## Put the code in shape
	@$(BIN)/ruff format --quiet .
	@$(BIN)/clang-format -i riskbus/native/*.[ch]
	@$(BIN)/ruff check --quiet --fix .

.PHONY: clean
clean: ## Remove what builds and tests left in the tree
	@rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@rm -f riskbus/native/*.so

# --- generated files ---------------------------------------------------------

.PHONY: generate
generate: venv ## Write again what is made from the models and from the chart's values
	@$(BIN)/riskbus-operator crds --write crds charts/riskbus-operator/files/crds
	@$(BIN)/riskbus-operator reference --write docs/policy.md
	@$(BIN)/python charts/readme.py
	@$(BIN)/python docs/tables.py
