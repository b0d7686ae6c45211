# Only Python (3.11 or newer, with venv) and make are needed. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=
AGAINST ?= HEAD
VENV := .venv
BIN := $(VENV)/bin
LARGE := benchmarks/two_million.py
REALTIME := $(addprefix benchmarks/,realtime.py reconnecting.py positions.py)
FAULTS := $(addprefix benchmarks/,outages.py rolling.py)
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
GATEWAY := deploy/gateway/node_modules/.package-lock.json
COMPOSER := deploy/composition/node_modules/.package-lock.json
INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup run gateway schema-check test test-fuzz test-crash check format bench bench-realtime bench-faults bench-large schema gateway-files lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(DEVELOPMENT) ## Install everything for development (once, and when the lock changes)

run: $(RUNTIME) ## Start Agora with its databases; Ctrl-C stops it (ARGS="--port 8001" …)
	@$(BIN)/agora serve $(ARGS)

gateway: $(RUNTIME) $(GATEWAY) ## Start Agora in parts: four groups of subgraphs, a worker, and Hive Gateway (needs Node)
	@$(BIN)/agora gateway $(ARGS)

test: $(DEVELOPMENT) ## Run all tests, in parallel (ARGS="tests/data -k tenant" …)
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

test-fuzz: $(DEVELOPMENT) ## Compare both executors on many more generated operations, and the REST API with its description
	AGORA_FUZZ=20000 $(BIN)/pytest tests/schema/supergraph/test_differential.py tests/schema/test_fuzz.py $(ARGS)
	AGORA_FUZZ=5000 $(BIN)/pytest --timeout 2400 tests/server/test_rest_fuzz.py $(ARGS)

test-crash: $(DEVELOPMENT) ## Kill servers among a thousand orders, and take ten thousand random steps
	AGORA_CRASH=1000 AGORA_MODEL=10000 $(BIN)/pytest --timeout 2400 tests/crash $(ARGS)

check: $(DEVELOPMENT) ## Lint, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEVELOPMENT) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

bench: $(DEVELOPMENT) ## Run the benchmarks but those of realtime, faults and large catalogues (takes half an hour)
	@for each in $(filter-out $(REALTIME) $(FAULTS) $(LARGE),$(wildcard benchmarks/[!_]*.py)); do echo "== $$each"; $(BIN)/python $$each $(ARGS) || exit 1; done

bench-realtime: $(DEVELOPMENT) ## Measure ten thousand sockets, a reconnect storm, and positions of drivers
	@for each in $(REALTIME); do echo "== $$each"; $(BIN)/python $$each || exit 1; done

bench-faults: $(DEVELOPMENT) ## Kill one part after the other under load, and restart servers one after the other
	@for each in $(FAULTS); do echo "== $$each"; $(BIN)/python $$each || exit 1; done

bench-large: $(DEVELOPMENT) ## Compare 100,000 products with 2,000,000 (takes half an hour, 12 GB of disk)
	$(BIN)/python $(LARGE) $(ARGS)

schema: $(DEVELOPMENT) ## Write the schema files, the supergraph, the REST API's description, docs/authorisation.md and docs/privacy.md (needs Node)
	$(BIN)/agora schema --output schema/public.graphql
	$(BIN)/agora supergraph --output schema/supergraph.graphql
	$(BIN)/agora openapi --output schema/rest.openapi.json
	$(BIN)/python -m server.authorisation_matrix
	$(BIN)/python -m server.privacy_page

schema-check: $(DEVELOPMENT) $(COMPOSER) ## Find changes of the schema that break clients (AGAINST=a revision; needs Node)
	$(BIN)/agora schema-check --against $(AGAINST) $(ARGS)

gateway-files: $(DEVELOPMENT) ## Write the supergraph for docker-compose.yml and deploy/kubernetes
	$(BIN)/python deploy/gateway/addressed.py

lock: | $(BIN)/python ## Pin all dependencies of pyproject.toml anew
	$(INSTALL) uv
	printf 'hatchling\neditables\n' | $(COMPILE) pyproject.toml - --output-file requirements.lock >/dev/null
	printf 'hatchling\neditables\n' | $(COMPILE) --extra dev pyproject.toml - --output-file requirements-dev.lock >/dev/null

clean: ## Remove the environment and all caches; data in the home folder stays
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path '*/node_modules/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Agora needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.12 …")'
	@$(PYTHON) -c 'import ensurepip' || { echo 'The Python module venv is missing; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

%/node_modules/.package-lock.json: %/package-lock.json
	@command -v npm >/dev/null || { echo 'Node 20 or newer is missing, with npm' >&2; exit 1; }
	@echo 'Installing what $* needs of Node (once) …'
	@cd $* && npm ci --no-audit --no-fund --silent
	@touch $@

# The locks hold the build requirements too, so that nothing is downloaded that is not pinned by hash.
$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing Agora (takes a minute, once) …'
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo 'Installing Agora for development (takes a minute, once) …'
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@ $(RUNTIME)
