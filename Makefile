# Every target sets up what it needs (see tools/setup.sh); none needs an activated environment.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

python := .venv/bin/python

# One thread of linear algebra: the matrices are small, and more threads only get in each other's way.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export MPLBACKEND := Agg
# Keep compiled modules beside the code, as kernels are: starting a process takes half as long.
export PYTHONDONTWRITEBYTECODE :=

# pytest's own options, e.g. make test ARGS="tests/cohort -k wide"
ARGS ?=
WORKERS ?= 2
# Whole files to each worker, the slowest first: tests/conftest.py has the order.
parallel := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test test-all test-pandas3 check format bench studies docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the pinned packages; the other targets do it by themselves
	@bash tools/setup.sh

demo: setup ## run the example studies and say where their reports are
	@.venv/bin/longsurv demo

test: setup ## run the tests that are fast, nine in ten, in some minutes
	@$(python) -m pytest $(parallel) -m "not slow and not study" $(ARGS)

test-all: setup ## run the slow ones too, as has to pass before anything lands
	@$(python) -m pytest $(parallel) $(ARGS)

test-pandas3: setup ## run the tests under pandas 3, where lifelines is not installed
	@bash tools/pandas3.sh $(parallel) $(ARGS)

check: setup ## lint, formatting, types and the directions of imports
	@status=0; \
	$(python) -m ruff check --output-format concise . || status=1; \
	$(python) -m ruff format --check --output-format concise . || status=1; \
	bash tools/typecheck.sh || status=1; \
	$(python) -m pytest -q --tb=short tests/test_imports.py || status=1; \
	exit $$status

format: setup ## let ruff format the code and fix what it can
	@$(python) -m ruff format .
	@$(python) -m ruff check --fix .

bench: setup ## measure longsurv against other tools, side by side
	@$(python) tests/benchmarks/run.py $(ARGS)

studies: setup ## run the long simulation studies
	@$(python) -m pytest $(parallel) -m study $(ARGS) || [ $$? -eq 5 ]  # 5: none was selected

docs: setup ## build the documentation, executing every example, into docs/_build/html
	@bash tools/docs.sh $(ARGS)

lock: setup ## pin the packages anew, after a change of pyproject.toml
	@bash tools/lock.sh

clean: ## remove everything that was made here, .venv included
	@rm -rf .venv .venv-pandas3 build dist docs/_build longsurv-demo .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	@find src models tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
