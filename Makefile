# `make help` lists what there is to make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check format bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv (Python 3.11+; nothing outside this folder)

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make setup PYTHON=python3.13"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: setup ## Transcribe the sample conversation, show the transcript and its word error rate
	$(BIN)/python samples/demo.py out/demo

up: setup ## Run the whole service on http://localhost:8000 until Ctrl-C
	$(BIN)/transcribe up

test: setup ## Run the tests, with real worker processes
	$(BIN)/python -m pytest

check: setup ## Check form, types and which package imports which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure speed and memory, each against its floor in the same run
	$(BIN)/python -m bench

lock: setup ## Pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header \
	  --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header \
	  --no-emit-index-url --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## Remove what was made here
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
