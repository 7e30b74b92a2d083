# Every target does the set-up that it needs and skips what is done. See `make help`.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
Q ?=
DOCS ?= corpus
CASES ?= eval/cases/test.jsonl
# Taken as they are: otherwise make expands every $ in a question.
override Q := $(value Q)
override DOCS := $(value DOCS)
override CASES := $(value CASES)
export Q DOCS CASES

# A wheel of hnswlib built for this processor would crash on another one that shares pip's cache.
export HNSWLIB_NO_NATIVE := 1

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TEST_MODELS := smollm2-135m
# What models and index depend on besides files; never fails, as grep without a match would.
SETTINGS := env | sed -n '/^RAG_/p' | sort | cksum

.PHONY: help setup ask serve ingest test test-slow check format bench eval eval-gate cases-check corpus-check clean models index

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup: index ## install everything, download the models, index the corpus

ask: index ## answer a question: make ask Q="how do I debias position effects?"
	@[ -n "$$Q" ] || { echo 'usage: make ask Q="your question"' >&2; exit 2; }
	@$(BIN)/rag ask -- "$$Q" || [ $$? -eq 3 ]  # 3: the corpus does not say

serve: index ## start the HTTP service on 127.0.0.1:8000
	@exec $(BIN)/rag serve

ingest: models ## index a folder: make ingest DOCS=path
	@rm -f "$${RAG_DATA_DIR:-.data}/.indexed"
	@$(MAKE) --no-print-directory index

test: .venv/.installed ## run the quick tests
	$(BIN)/python -m pytest -m "not slow and not browser"

test-slow: models ## run the tests that need the real models
	$(BIN)/rag models pull $(TEST_MODELS)
	$(BIN)/python -m pytest -m slow

check: .venv/.installed ## lint, format check, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: models ## measure times, memory and quality beside their targets
	$(BIN)/python -m eval bench

eval: models ## measure everything and write eval-report/: make eval [DOCS=corpus CASES=file.jsonl]
	$(BIN)/python -m eval all --docs "$$DOCS" --cases "$$CASES"

eval-gate: models ## refuse a loss of quality: floors and the stored baseline (minutes, no LLM)
	$(BIN)/python -m eval gate

cases-check: .venv/.installed ## lint the evaluation cases against the corpus
	$(BIN)/python -m eval cases

corpus-check: .venv/.installed ## lint the study corpus, and against ../shared/seeds where they are
	$(BIN)/python -m eval corpus --docs "$$DOCS"

clean: ## remove the environment and tool caches; keeps the index, the databases and the models
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@echo "Installing into .venv; the first time takes a few minutes." >&2
	@$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@

# The stamp holds a digest of what decides which models are wanted, then a path for each of them.
models: .venv/.installed
	@wanted="$$($(SETTINGS)) $$(cksum < rag/models.toml)"; stamp=.venv/.models; \
	there() { \
	    [ "$$(head -n 1 $$stamp 2> /dev/null)" = "$$wanted" ] && \
	    tail -n +2 $$stamp | while read -r _ path; do [ -e "$$path" ] || exit 1; done; \
	}; \
	there || { \
	    { echo "$$wanted" && $(BIN)/rag models pull; } > $$stamp.new && mv $$stamp.new $$stamp; \
	}

# The stamp is as old as the start of the ingest, so that a change during it is not missed. The two
# sources hold the versions of the index's format and of the parser.
index: models
	@data="$${RAG_DATA_DIR:-.data}"; stamp="$$data/.indexed"; wanted="$$DOCS $$($(SETTINGS))"; \
	if [ "$$(cat "$$stamp" 2> /dev/null)" != "$$wanted" ] || \
	    [ -n "$$(find "$$DOCS" index/storage.py ingest/pipeline.py -newer "$$stamp" -print -quit)" ]; then \
	    mkdir -p "$$data" && echo "$$wanted" > "$$stamp.new" && \
	    $(BIN)/rag ingest -- "$$DOCS" && mv "$$stamp.new" "$$stamp"; \
	fi
