# Hestia. `make run` is all a newcomer needs; `make help` lists the rest.
#   PORT=8081        another port for run, dev, status and stop
#   PYTHON=python3.12  the Python that makes the environment (default: the newest that runs)
#   VENV=.venv       where the environment stands

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run dev setup test test-engines lint types status stop lock clean bench bench-all gauntlet shots

VENV ?= .venv
PYTHON ?=
PORT ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GATEWAY := $(BIN)/python -m hestia.cli.dev
PORT_FLAG := $(if $(PORT),--port $(PORT))
# Python's own noise about itself, and questions nobody is there to answer
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# A python3.12 on PATH may be a shim that does not run: each is tried. Debian's python3 may lack ensurepip.
define FIND_PYTHON
found=; old=; bare=; \
for p in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
  "$$p" -c pass >/dev/null 2>&1 || continue; \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || { old="$$p"; continue; }; \
  "$$p" -c 'import ensurepip, venv' >/dev/null 2>&1 || { bare="$$p"; continue; }; \
  found="$$p"; break; \
done; \
if [ -z "$$found" ] && [ -n "$$bare" ]; then \
  echo "$$bare cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
elif [ -z "$$found" ]; then \
  echo "Hestia needs Python 3.11 or newer$${old:+ ($$old is older)}. Install it, or name it: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3" >&2; exit 1; \
fi
endef

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: setup ## serve on 8080 (PORT=8081 for another), with the demo
	@exec $(GATEWAY) serve $(PORT_FLAG)

dev: setup ## serve, and restart when the code changes
	@exec $(GATEWAY) watch $(PORT_FLAG)

status: setup ## the services of the running gateway
	@$(GATEWAY) status $(PORT_FLAG)

stop: setup ## stop what `make run` or `make dev` started
	@$(GATEWAY) stop $(PORT_FLAG)

setup: $(STAMP) ## make .venv with everything in it
	@:

$(STAMP): requirements.lock pyproject.toml
	@$(FIND_PYTHON); \
	echo "Setting up $(VENV) with $$found (once; about a minute)"; \
	rm -f $(STAMP); \
	"$$found" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $(STAMP)

lint: setup ## ruff
	@$(BIN)/ruff check .

types: setup ## mypy --strict
	@$(BIN)/mypy --strict hestia

test: lint types ## lint, types and every test that needs no engine
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-engines: setup ## the tests that need real engines or minutes; never skips
	@$(BIN)/python -m pytest -m engines $(PYTEST_ARGS)

gauntlet: export HESTIA_KILLS ?= 100
gauntlet: export HESTIA_STORM ?= 100000
gauntlet: export HESTIA_FUZZ ?= 20
gauntlet: export HESTIA_SOAK_S ?= 300
gauntlet: export HESTIA_CROWDS ?= 5
gauntlet: setup ## kills, storms, fuzz, every fault at once, crowds: half an hour
	@$(BIN)/python -m pytest -s tests/life/test_kills.py tests/core/test_storm.py $(PYTEST_ARGS)
	@$(BIN)/python -m pytest -s tests/hostile/test_fuzz_*.py $(PYTEST_ARGS)
	@$(BIN)/python -m pytest -s -m engines -o faulthandler_timeout=1800 tests/gauntlet $(PYTEST_ARGS)

shots: setup ## make the pictures of the README anew (needs chromium and the font Inter)
	@$(BIN)/python -m tests.engines.shots

bench: setup ## Hestia beside its peers, in half an hour (BENCH_ARGS=--quick: 90 s)
	@$(BIN)/python -m bench $(BENCH_ARGS)

bench-all: setup ## the same for two hours, to be quoted
	@$(BIN)/python -m bench --all $(BENCH_ARGS)

lock: setup ## write requirements.lock anew (needs `uv` on PATH)
	@uv pip compile pyproject.toml --extra dev --extra speed --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

clean: ## remove .venv and every cache
	@rm -rf $(VENV) .make .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
