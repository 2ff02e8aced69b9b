# `make help` lists the targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# The model that set-up downloads, by its name in `transcribe models list`, with the two models for
# diarization; none: no models at all.
MODEL  ?= base
MODELS := $(if $(filter-out none,$(MODEL)),$(MODEL) segmentation-3.0 campplus-zh-en)
FETCHED := $(MODELS:%=$(VENV)/share/chordscribe/models/%/transcribe-model.json)
NEURAL := .venv-neural

.DEFAULT_GOAL := help
.PHONY: help setup demo up env test test-stacks test-security test-api test-recovery test-services test-faults test-engines test-models test-models-small test-browser check format docs bench bench-small nightly lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) $(FETCHED) ## Install everything in .venv, with a model (MODEL=base); MODEL=none: without models

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make setup PYTHON=python3.13"; exit 1; }
	@echo "Installing Chordscribe and its dependencies in $(VENV); this takes about a minute the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# These files are missing after a failure, so the next `make setup` retries.
$(FETCHED): | $(READY)
	@test -f $@ || $(BIN)/transcribe models pull $(MODELS) || { \
	  $(BIN)/python -c 'import pocketsphinx' 2>/dev/null && left="with PocketSphinx" || left="without any engine"; \
	  echo "Set-up continues without some of the models $(MODELS), and $$left if Whisper's is missing; run make setup to retry"; }

demo: setup ## Transcribe the sample conversation, show the transcript and its word error rate
	$(BIN)/python samples/demo.py out/demo

up: setup ## Run the whole service on http://localhost:8000 until Ctrl-C
	$(BIN)/transcribe up

env: ## Generate the passwords for docker compose in .env
	@umask 077; touch .env; \
	secret() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }; \
	give() { grep -q "^$$1=." .env || echo "$$1=$$2" >> .env; }; \
	give POSTGRES_PASSWORD $$(secret); give REDIS_PASSWORD $$(secret); \
	give MINIO_ACCESS_KEY transcribe; give MINIO_SECRET_KEY $$(secret); \
	give FLOWER_BASIC_AUTH admin:$$(secret); \
	echo "Passwords are in .env. Next: docker compose up -d --build"

# Number of test processes. Each runs its test files in turn, with one stack for all that share it.
SIDE_BY_SIDE ?= 2
SIDES := -n $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder

test: setup ## Run the tests, with a stack of real worker processes; SIDE_BY_SIDE=1 one after the other
	$(BIN)/python -m pytest $(SIDES) -m "not own_stack and not lengthy"

test-stacks: setup ## Run the long tests and those with their own stacks: with keys, killed, monitored, with other settings
	$(BIN)/python -m pytest $(SIDES) -m "own_stack or lengthy"

test-security: setup ## Test access by strangers: other sites, proxies, slow senders, other accounts
	$(BIN)/python -m pytest tests/security -n $(SIDE_BY_SIDE) --dist loadfile

test-api: setup ## Send a running service the requests that /openapi.json allows and forbids
	$(BIN)/python -m pytest tests/api

test-recovery: setup ## Test fairness, memory, killed workers and Ctrl-C at any moment, with real processes (minutes)
	$(BIN)/python -m pytest tests/recovery

test-services: setup ## Test with PostgreSQL, Redis and S3, also killed during jobs; as root, installs them with apt
	$(BIN)/python -m pytest tests/services

SEEDS ?= 25

test-faults: setup ## Inject faults into jobs for SEEDS seeds, one (SEED=17) or a range (SEED=10-25); see out/faults
	SEEDS=$(SEEDS) SEED=$(SEED) $(BIN)/python -m pytest tests/faults $(if $(SEED),-k "disturbed or stop")

ifdef EXTRAS
test-engines: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements-dev.txt -e '.[$(EXTRAS)]'
	$(BIN)/python -m pytest tests/engines
else
test-engines: $(NEURAL)/.ready ## Test all engines, in .venv-neural without a GPU (2.4 GB); with EXTRAS=riva that one in .venv
	@began=$$(date +%s); OMP_NUM_THREADS=1 $(NEURAL)/bin/python -m pytest tests/engines && \
	  echo "$$(cat $<); tested in $$(( $$(date +%s) - began )) s"
endif

# Recordings with references for `make test-models`, in a folder with dev/ and hostile/.
AUDIO ?= $(TRANSCRIBE_TEST_AUDIO)
WEIGHTS := base tiny.en segmentation-3.0 campplus-zh-en

test-models: $(NEURAL)/.ready ## Transcribe and diarize with real weights (285 MB once); AUDIO=FOLDER: measure accuracy
	@command -v flite || { test "$$(id -u)" = 0 && apt-get install -yqq flite; } || true
	@export MODEL_DIR=$(CURDIR)/$(NEURAL)/share/chordscribe/models $(if $(AUDIO),TRANSCRIBE_TEST_AUDIO=$(abspath $(AUDIO))); \
	$(NEURAL)/bin/transcribe models pull $(WEIGHTS) && $(NEURAL)/bin/python -m pytest -rPs tests/models

test-models-small: setup ## Run one job with the real weights of tiny.en (71 MB once); skipped if no source can be reached
	@export MODEL_DIR=$(CURDIR)/$(VENV)/share/chordscribe/models; \
	$(BIN)/transcribe models pull tiny.en || true; $(BIN)/python -m pytest tests/models/test_small.py

test-browser: setup ## Test the page at / in Chromium; as root, installs it with apt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements-dev.txt -e '.[browser]'
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  { test "$$(id -u)" = 0 && apt-get install -yqq --no-install-recommends chromium; } || true
	$(BIN)/python -m pytest tests/browser

$(NEURAL)/.ready: requirements-dev.txt requirements-neural.txt pyproject.toml
	test -x $(NEURAL)/bin/python || $(PYTHON) -m venv $(NEURAL)
	@date +%s > $(NEURAL)/.began
	$(NEURAL)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	# If the usual index only has PyTorch for CUDA, the index of PyTorch has it for CPUs.
	torch=$$(grep ^torch== requirements-neural.txt); \
	$(NEURAL)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$$torch" || \
	$(NEURAL)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$$torch" \
	  --index-url https://download.pytorch.org/whl/cpu
	$(NEURAL)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  -r requirements-neural.txt -e .
	# These are built for CUDA and cannot be loaded; without them torchaudio uses Python code.
	rm -f $(NEURAL)/lib/python3*/site-packages/torchaudio/lib/*.so
	@echo "$(NEURAL): $$(du -sh $(NEURAL) | cut -f1), installed in $$(( $$(date +%s) - $$(cat $(NEURAL)/.began) )) s" | tee $@

check: $(READY) ## Check format, types and imports between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## Build the documentation as a site that opens from the disk; dead links and anchors fail
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements-dev.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict --site-dir out/docs
	@echo "The site is in out/docs/index.html"

bench: setup ## Measure speed, memory and accuracy against their limits; ARGS=--all takes hours, RECORDINGS=FOLDER uses your own
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements-dev.txt -e '.[bench]'
	$(BIN)/python -m bench $(ARGS)

bench-small: setup ## Measure counts and ratios that must not grow and do not depend on the machine
	$(BIN)/python -m bench --small

nightly: ## Run the tests for a release, which take hours: faults with 25 seeds, all engines, servers, the page, benchmarks
	$(MAKE) test-recovery test-services test-browser test-engines test-models
	$(MAKE) test-faults SEEDS=25
	$(MAKE) bench ARGS=--all

lock: setup ## Pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header \
	  --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header \
	  --no-emit-index-url --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## Remove all generated files
	rm -rf $(VENV) $(NEURAL) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
