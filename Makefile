# Everything runs through uv and .venv; nothing here needs root, Docker or a system package.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# uv from PATH, else one of our own in .uv (see the rule below).
FOUND_UV := $(shell command -v uv 2>/dev/null)
UV := $(or $(FOUND_UV),$(CURDIR)/.uv/bin/uv)
export UV
export UV_SYSTEM_CERTS := 1
BIN := .venv/bin
MEMBERS := protos/python kit services/gateway services/stats services/privacy services/audit dev client
PROJECTS := pyproject.toml $(MEMBERS:%=%/pyproject.toml)
PYTHON_ROOMS := kit services dev client tests tools bench

ARGS ?=
# Extra arguments of pytest: make test TESTS=tests/unit/kit, or TESTS="-k erasure".
TESTS ?=
# One more than the cores of a small machine: who waits for a whole stack computes nothing.
WORKERS ?= 3
# Revision to compare the protos with; see tools/gen_protos.py for the default.
BASE ?=

.PHONY: help run test lint types imports protos protos-check isolate bench fmt clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name words; do \
		printf '  make %-14s %s\n' "$$name" "$$words"; done

run: .venv/.synced ## Start everything and show one deletion; ARGS=--once stops after it
	@exec $(BIN)/igstats-dev run $(ARGS)

test: .venv/.synced ## Run every test; TESTS=path or TESTS="-k word" narrows it
	@exec $(BIN)/pytest -n $(WORKERS) --dist loadgroup --durations=15 $(TESTS)

lint: .venv/.synced ## Check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.synced ## Check types, strictly
	@$(BIN)/mypy $(PYTHON_ROOMS)

imports: .venv/.synced ## Check which room imports which
	@$(BIN)/lint-imports

protos: .venv/.synced ## Generate the Python stubs from protos/
	@$(BIN)/python tools/gen_protos.py generate

protos-check: .venv/.synced ## Check the protos: rules, drift of the stubs, compatibility with git history
	@$(BIN)/python tools/gen_protos.py lint
	@$(BIN)/python tools/gen_protos.py drift
	@$(BIN)/python tools/gen_protos.py breaking $(BASE)

isolate: .venv/.synced ## Import every service with only its own dependencies; the stubs at floor and newest runtime
	@$(BIN)/python tools/isolate.py

bench: .venv/.synced ## Run the benchmarks
	@set -e; for name in erasure growth audit; do echo "== $$name"; $(BIN)/python "bench/$$name.py"; done

fmt: .venv/.synced ## Format the code and repair what lint can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## Remove what was built, cached and stored (.venv and .uv stay)
	@rm -rf build dist .igstats .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.uv/*' -prune -exec rm -rf {} +

.venv/.synced: uv.lock $(PROJECTS) | $(UV)
	@$(UV) sync --frozen --quiet --compile-bytecode
	@touch $@

# The second line serves systems whose python3 comes without ensurepip.
$(CURDIR)/.uv/bin/uv:
	@echo "uv is not in PATH: fetching it into .uv"
	@rm -rf .uv; python3 -m venv .uv >/dev/null 2>&1 && .uv/bin/pip install --quiet uv \
		|| python3 -m pip install --quiet --target .uv uv
