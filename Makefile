# Every target works in a fresh clone: all that it needs is make and a Python of 3.11 or newer.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup test test-all check format lint types layers operations demo bench bench-serving docs lock clients clean fuzz

setup: $(INSTALLED)

$(INSTALLED): scripts/setup requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python of 3.11 or newer found: make setup PYTHON=..." >&2; exit 1; }
	$(PYTHON) scripts/setup
	@touch $@

test: setup  ## what every change must pass; minutes
	$(BIN)/pytest -n auto -m "not slow" $(ARGS)

test-all: setup clients  ## the slow ones too
	$(BIN)/pytest -n auto $(ARGS)

clients: setup  ## AWS's other clients for the slow tests, in .clients: 1.3 GB, minutes the first time
	$(BIN)/python scripts/client-environments

# `make --keep-going check` names every part that fails.
check: format lint types layers operations

format: setup
	$(BIN)/ruff format --check

lint: setup
	$(BIN)/ruff check

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

operations: setup
	$(BIN)/python scripts/operations-docs --check

fuzz: setup  ## bent requests by the million: COUNT=20000 SEED=7 FROM=100
	$(BIN)/python scripts/fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(FROM),--from $(FROM))

docs: setup  ## after a new operation
	$(BIN)/python scripts/operations-docs

demo: setup  ## start a server, run the main job against it, stop it
	$(BIN)/python scripts/demo

bench: setup  ## start-up, memory, the wire, jobs and endpoints, beside SeaweedFS in .peers; minutes, on a quiet machine
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-serving: setup  ## predictions beside MLServer, LitServe, BentoML, MLflow, Ray Serve in .peers (3 GB); minutes, on a quiet machine
	$(BIN)/python benchmarks/serving/run.py $(ARGS)

lock: setup  ## after a change of dependencies in pyproject.toml
	scripts/lock

clean:
	rm -rf .venv .clients .peers dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
