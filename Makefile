# Needs make and Python 3.11 or newer; everything else goes into .venv, exactly as locked.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
BIN := .venv/bin
PYTHON := $(BIN)/python
UV := $(BIN)/uv
ARGS ?=
LOCKED = $(UV) pip compile --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" --quiet

.PHONY: help setup demo dev test check bench lock clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1#/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS='#' read -r name text; do printf '  make %-7s %s\n' "$$name" "$$text"; done

setup: .venv/.ready ## everything into .venv; again only when the lock changed

demo: setup ## a district and its vendors on this machine, one whole day synced
	$(BIN)/edpipeline sandbox demo $(ARGS)

dev: setup ## the same behind the Dagster UI
	$(BIN)/edpipeline sandbox dev $(ARGS)

# Bytecode is kept even where PYTHONDONTWRITEBYTECODE is set: every worker compiles all else anew.
test: setup ## every test, on DuckDB and on PostgreSQL
	PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder \
	  $(ARGS)

check: setup ## style, types and what Dagster would load
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/dagster definitions validate -w workspace.yaml --log-level warning

bench: setup ## how fast, next to what others take for the same work
	$(PYTHON) -m benchmarks $(ARGS)

lock: $(UV) ## both locks, from pyproject.toml; ARGS=--upgrade takes what is new
	$(LOCKED) pyproject.toml --extra sandbox --extra celery --group dev \
	  --output-file requirements.lock $(ARGS)
	$(LOCKED) pyproject.toml deploy/requirements.in --extra celery \
	  --constraint requirements.lock --output-file deploy/requirements.lock $(ARGS)

clean: ## remove what the targets above made, never your data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first usable Python makes the environment; ensurepip is what Debian splits off.
$(PYTHON):
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then exec "$$python" -m venv .venv; fi; \
	done; \
	echo 'edpipeline needs Python 3.11 or newer, with its venv module. Looked for: $(PYTHONS).' >&2; \
	echo 'Install one (on Debian and Ubuntu: python3 and python3-venv), then run make again.' >&2; \
	exit 1

# uv is locked and checked like everything else, so that the lock names its version too.
$(UV): | $(PYTHON)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt

# Compiling now saves seconds at every start where PYTHONDONTWRITEBYTECODE is set.
.venv/.ready: requirements.lock pyproject.toml | $(UV)
	@echo 'Installing what requirements.lock names into .venv ...'
	@$(UV) pip sync --quiet --python $(PYTHON) --require-hashes --compile-bytecode requirements.lock
	@$(UV) pip install --quiet --python $(PYTHON) --offline --no-deps --no-build-isolation --editable .
	@touch $@
