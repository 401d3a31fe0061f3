# Set-up, demo, checks and tests. Needs Python >= 3.11 and make; everything else comes from PyPI.

PYTHON ?= python3
BIN := .venv/bin
USABLE := .venv/.usable
READY := .venv/.ready
BENCH := benchmarks/.venv
DEVICE ?= cpu
PIP := --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo check browser test storm docs bench clean

help:
	@echo "make demo   train a small VAE on digits and write its report (one minute, offline after set-up)"
	@echo "make test   check and test everything (six minutes)"
	@echo "make storm  the slow tests, then kill and damage runs at random for some minutes"
	@echo "make check  formatting, lint, types, import directions, wheel and sdist"
	@echo "make docs   write the generated pages and pictures anew"
	@echo "make bench  vaekit beside its peers: benchmarks/README.md"
	@echo "make clean  remove the virtual environments and caches"

$(USABLE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP) --editable .
	touch $@

$(READY): $(USABLE)
	$(BIN)/python -m pip install $(PIP) --editable '.[dev]'
	touch $@

demo: $(USABLE)
	$(BIN)/vaekit demo

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	rm -rf .venv/dist && $(BIN)/python -m build --outdir .venv/dist . > .venv/build.log
	$(BIN)/twine check --strict .venv/dist/*

# The explorer's page is tested in Chromium: Debian's, where we may install it; else those tests are skipped.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		test "$$(id -u)" = 0 && grep -qs '^ID=debian' /etc/os-release && \
		apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; \
	} || echo "no chromium: the tests of the explorer's page are skipped"

test: check browser
	$(BIN)/pytest

storm: $(READY)
	$(BIN)/pytest -m slow
	STORM_ROUNDS=100 $(BIN)/pytest tests/test_storm.py

docs: $(READY)
	$(BIN)/python docs/generate.py
	$(BIN)/python -m docs.parts
	$(BIN)/vaekit reproduce --report
	$(BIN)/python -m benchmarks.page
	$(BIN)/python docs/tables.py --page

$(BENCH)/.ready: pyproject.toml constraints.txt benchmarks/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install $(PIP) --requirement benchmarks/requirements.txt --editable .
	touch $@

bench: $(BENCH)/.ready
	$(BENCH)/bin/python -m benchmarks --device $(DEVICE) $(ARGUMENTS)

clean:
	rm -rf .venv $(BENCH) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
