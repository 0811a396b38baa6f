# make demo    JupyterLab with the quickstart notebook      make demo PORT=9999, HEADLESS=1 for no browser
# make check   lint, types, fast tests                      under two minutes once set up
# make test    everything, in two environments and a real browser
# make zoo     whole models with their certificates, a table  written to docs/zoo.md
#
# Every target may be run again, in any order; what is there already is kept.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

PYTHON ?= python3
PORT ?=
VENV := .venv
RUN := $(VENV)/bin/python
NUMPY2 := .venv-numpy2
SETUP := $(wildcard pyproject.toml scripts/environment.py scripts/debian.py scripts/constraints*.txt)
BUNDLE := splinecam_widget/static/widget.js
# The same files as in hatch_build.py.
JS_SOURCES := $(wildcard package.json package-lock.json tsconfig.json) \
	$(filter-out %.test.ts,$(wildcard js/*.ts js/*.css js/*.mjs))

.PHONY: help demo check test setup lint types test-js test-numpy2 test-python wheel bundle chromium bench benchmark zoo clean

help:
	@sed -n '1,6s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.made-demo $(BUNDLE)
	@echo "== the engine's loops"
	@$(RUN) -m splinecam_widget.engine
	@$(RUN) scripts/demo.py --port "$(PORT)"

check: setup lint types test-js
	@echo "== fast Python tests"
	@$(RUN) -m pytest -q -n auto --maxprocesses 4 --ignore=tests/ui -m "not slow and not browser"

test: setup chromium lint types test-js test-numpy2 test-python

setup: $(VENV)/.made-test $(BUNDLE)

lint: setup
	@echo "== lint"
	@$(RUN) -m ruff check .

types: setup
	@echo "== types"
	@$(RUN) -m mypy

test-js: setup
	@echo "== TypeScript: types"
	@npm run --silent typecheck
	@echo "== TypeScript: tests"
	@npm test --silent

# The wheel, in an environment with numpy 2 and neither graph-tool nor Node.js. The tests run from their own folder, so
# that they import the installed package.
test-numpy2: wheel
	@echo "== the wheel with numpy 2, without graph-tool, without Node.js"
	@PATH="$(CURDIR)/$(NUMPY2)/bin" $(CURDIR)/$(RUN) scripts/environment.py $(NUMPY2) --extras test --wheel dist/*.whl
	@$(RUN) -m splinecam_widget.engine > $(NUMPY2)/other.log 2>&1 & other=$$!; \
	  (cd tests && PATH="$(CURDIR)/$(NUMPY2)/bin" python -m splinecam_widget.engine) && wait $$other || { cat $(NUMPY2)/other.log; exit 1; }
	@cd tests && PATH="$(CURDIR)/$(NUMPY2)/bin" SPLINECAM_INSTALLED=1 pytest -q -n auto --maxprocesses 4 --ignore=ui -m "not slow and not browser"

test-python: setup chromium
	@echo "== all Python tests that need no browser, with the notebooks"
	@$(RUN) -m splinecam_widget.engine
	@$(RUN) -m pytest -q -n auto --maxprocesses 4 -m "not browser"
	@echo "== tests in a browser"
	@$(RUN) -m pytest -m browser

wheel: setup
	@rm -rf dist
	@$(RUN) -m hatchling build -t wheel -d dist

bundle: $(BUNDLE)

chromium:
	@$(PYTHON) scripts/debian.py chromium chromium

bench: setup
	@$(RUN) benchmarks/engine.py
	@$(RUN) benchmarks/growth.py
	@$(RUN) benchmarks/live.py
	@$(RUN) benchmarks/conv.py
	@$(RUN) benchmarks/scale.py
	@$(RUN) benchmarks/analysis.py

benchmark: setup
	@$(RUN) benchmarks/engine.py --quick --name ''

zoo: setup
	@$(RUN) benchmarks/zoo.py

clean:
	rm -rf $(VENV) $(NUMPY2) dist node_modules splinecam_widget/static artifacts

$(VENV)/.made-demo: $(SETUP) | $(BUNDLE)
	@$(PYTHON) scripts/environment.py $(VENV) --extras demo,analysis --graph-tool
	@touch $@

$(VENV)/.made-test: $(SETUP) | $(BUNDLE)
	@$(PYTHON) scripts/environment.py $(VENV) --extras demo,analysis,test,dev,bench --graph-tool
	@touch $@ $(VENV)/.made-demo

$(BUNDLE): node_modules/.package-lock.json $(JS_SOURCES)
	@echo "== building the front end"
	@npm run --silent build
	@touch splinecam_widget/static/*

node_modules/.package-lock.json: package-lock.json
	@command -v npm > /dev/null || { echo "setup: npm is not on PATH; install Node.js 20 or newer with npm" >&2; exit 1; }
	@echo "== installing the front end's packages"
	@npm ci --no-audit --no-fund
	@touch $@
