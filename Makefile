# The only front door. Every target installs what it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := libs/events libs/gotemplate libs/runtime libs/kube libs/sandbox libs/cli \
	services/watcher services/analyzer services/router services/notifier services/loadtester services/coordinator
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
# Tests on real servers wait more than they work: two files at a time, each process with its own servers.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test again check format lint types layers unit laws contract chart sim hunt integration faults planes peer e2e soak audit bench gen lock up down clean

help: ## this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## a virtual environment with everything, pinned and hash-checked

$(STAMP): requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Serinus needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12")'
	@echo "installing into $(VENV) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

demo: setup ## releases a good version, then a bad one, on this machine; KEEP=1 leaves it running
	@$(BIN)/serinus demo $(if $(KEEP),--keep)

test: check chart sim integration faults ## everything that needs no cluster

again: format lint types layers # what failed when `make test` ran last
	@$(PYTEST) $(addprefix tests/,unit laws contract chart sim integration faults) -q --last-failed --last-failed-no-failures none || [ $$? -eq 5 ]

check: format lint types layers unit laws contract ## fast: before every push

format: setup
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff . | head -50; echo 'run: .venv/bin/ruff format .'; exit 1; }

lint: setup
	@$(BIN)/ruff check --quiet .

types: setup
	@$(BIN)/mypy $(foreach m,$(MEMBERS),-p serinus.$(notdir $(m)))

layers: setup
	@$(BIN)/lint-imports --no-cache

unit: setup
	@$(PYTEST) tests/unit -q -n 2

laws: setup
	@$(PYTEST) tests/laws -q -n 2

contract: setup
	@$(PYTEST) tests/contract -q

chart: setup ## the Helm chart by helm lint, goldens and a scanner (helm is built once, two minutes)
	@$(BIN)/python -m tests.tools.build --tools >/dev/null
	@$(PYTEST) tests/chart -q

audit: setup ## known holes of the locked packages (asks PyPI) and of the sources, of high severity
	@$(BIN)/bandit --quiet --recursive libs services deploy -lll
	@$(BIN)/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip

sim: setup ## the ring on virtual time with faults, and the mutants it must catch
	@$(PYTEST) tests/sim -q -n 2

hunt: setup ## as many random stories of each kind as STORIES says (3000), other ones each time
	@SERINUS_SIM_EXAMPLES=$(or $(STORIES),3000) $(PYTEST) tests/sim/test_ring.py -q -n 2 -k stays_safe

integration: setup ## real nats-server, real API server, real Prometheus, real Traefik
	@$(BIN)/python -m tests.tools.build >/dev/null
	@$(BIN)/python -m tests.tools.flagger >/dev/null
	@$(PYTEST) tests/integration -q $(SHARED)

faults: setup ## five processes on real servers, of which one after the other is killed
	@$(BIN)/python -m tests.tools.build >/dev/null
	@$(PYTEST) tests/faults -q

planes: setup ## real Istio, Contour, Envoy, nginx, Skipper and Traefik with real requests (root; builds some once)
	@$(BIN)/python -m tests.tools.build >/dev/null
	@$(BIN)/python -m tests.tools.build --planes >/dev/null
	@$(PYTEST) tests/planes -q -n 2 --dist loadgroup

peer: setup ## Flagger's recorded runs through our ring (needs the recorded traces, see tests/peer/README.md)
	@$(PYTEST) tests/peer -q --timeout=900

e2e: setup ## real pods, real traffic, on the cluster of KUBECONFIG, see tests/e2e/README.md
	@$(BIN)/python -m tests.tools.build --tools >/dev/null
	@$(PYTEST) tests/e2e -q --timeout=1800 --ignore=tests/e2e/test_disasters.py

soak: setup ## disasters in mid-release, and ten minutes of killed pods during fifty releases, on the cluster of KUBECONFIG
	@$(BIN)/python -m tests.tools.build --tools >/dev/null
	@SERINUS_TEST_SOAK=long $(PYTEST) tests/e2e/test_disasters.py tests/e2e/test_soak.py -q --timeout=3600

bench: setup ## counts and ratios against a real control plane; SUITES="core small" names some
	@$(BIN)/python -m tests.bench $(SUITES)

gen: setup ## schemas, CRDs, the AsyncAPI document, tables in the docs
	@$(BIN)/python -m tests.gen

lock: ## pins every dependency with its hashes; the file holds no address
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --upgrade requirements.in -o requirements.lock

up: ## NATS, Prometheus and the five services in containers, against KUBECONFIG
	@docker compose up --build --detach --wait

down:
	@docker compose down

clean: ## removes what make made in this folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
