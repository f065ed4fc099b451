# PYTHON=/path/to/python make app    picks the interpreter; otherwise the first suitable one is found.
# PORT=8000 make app                 serves there; GRADIO_SERVER_NAME=0.0.0.0 make app to the network.
PYTHON ?=
VENV   ?= .venv
PORT   ?= 7860

RUN    := $(VENV)/bin/python
# A process for each core; each takes the next file that waits, and makes its fixtures once.
PYTEST := $(RUN) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
# Otherwise each process of the tests compiles all of them anew, which takes 5 s.
unexport PYTHONDONTWRITEBYTECODE
USABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.PHONY: app test unit quality benchmark lab presets assets real-model space wheel-check
.DEFAULT_GOAL := app

app: $(VENV)/.installed
	GRADIO_SERVER_PORT=$(PORT) $(RUN) app.py

test: $(VENV)/.installed-dev
	$(PYTEST)

unit: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow"

quality: $(VENV)/.installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/oxlint --deny-warnings playground/static

benchmark: $(VENV)/.installed-dev
	$(RUN) -m benchmarks.defaults

lab: $(VENV)/.installed-dev
	$(RUN) -m benchmarks.lab

presets: $(VENV)/.installed
	$(RUN) -m benchmarks.presets

wheel-check: $(VENV)/.installed-dev
	WHEEL_CHECK=full $(RUN) -m pytest tests/test_package.py

# make space OUT=../space ARGS="--docker --name ME/NAME"
space:
	$(if $(OUT),,$(error expected a new folder: make space OUT=../space))
	$(or $(PYTHON),python3) -m playground.space $(ARGS) $(OUT)

# SmolLM2-135M-Instruct, for --model smollm2.
real-model: $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check "gguf>=0.17.1,<1"
	$(RUN) -m align_core fetch smollm2

assets: $(VENV)/.installed
	$(RUN) -m align_core build-assets

# The stamps make the second start instant; a changed requirements file installs again.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing what $< names into $(VENV), once: 1.6 GB there, and on Linux, where pip takes"
	@echo "torch with CUDA, 2.9 GB to download and more on disk. pip says nothing for some minutes."
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what $< names for tests and benchmarks into $(VENV), once: 0.3 GB more."
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/bin/python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if command -v $$python >/dev/null 2>&1 && $$python -c '$(USABLE)' >/dev/null 2>&1; then \
	        echo "Making $(VENV) with $$($$python --version)"; \
	        $$python -m venv $(VENV) && exit 0; \
	        rm -rf $(VENV); \
	    fi; \
	done; \
	echo "This needs Python 3.11, 3.12 or 3.13 with its venv module. Found: $$($(or $(PYTHON),python3) --version 2>&1)." >&2; \
	echo "Install one (python.org), or name one: make app PYTHON=/path/to/python3.12" >&2; \
	exit 1
