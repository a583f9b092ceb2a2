# How the project is set up, checked and tested. `make help` lists the targets.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
EXTRAS := train,dev
KAFKA := .cache/kafka

# The first Python that runs and fits: a shim may be on the path with nothing behind it.
FITS := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c '$(FITS)' >/dev/null 2>&1 && command -v "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help venv kafka test check bench clean

help:  ## List the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do printf '  make %-8s %s\n' "$$t" "$$d"; done

venv: $(READY)  ## Create .venv with everything that training and development need

$(READY): pyproject.toml
	@python='$(PYTHON)'; \
	if ! "$${python:-false}" -c '$(FITS)' 2>/dev/null; then \
		echo "Expected Python 3.11, 3.12 or 3.13 with the module venv, found $${python:-none on the path};" \
			"install one or name it: make PYTHON=/path/to/python." >&2; \
		exit 1; \
	fi; \
	set -ex; \
	if command -v uv >/dev/null; then \
		$(PY) -c '$(FITS)' 2>/dev/null || uv venv --quiet --clear --python "$$python" $(VENV); \
		uv pip install --quiet --python $(PY) --editable '.[$(EXTRAS)]'; \
	else \
		$(PY) -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear $(VENV); \
		$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'; \
	fi
	@touch $@

kafka: $(KAFKA)/.ready  ## Fetch the Apache Kafka that the integration tests run against

$(KAFKA)/.ready: tests/kit/pom.xml
	@if ! command -v mvn >/dev/null; then \
		echo "Expected Maven (mvn) on the path, found none; install it (Debian: maven)." >&2; \
		exit 1; \
	fi
	rm -rf $(KAFKA) $(KAFKA).part
	mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(KAFKA).part
	touch $(KAFKA).part/.ready
	mv $(KAFKA).part $(KAFKA)

test: $(READY)  ## Run all tests; those on a real Kafka or Redis skip where these are missing
	$(PY) -m pytest

check: $(READY)  ## Check format, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(READY)  ## Measure how many records a second the replay takes
	$(PY) -m tests.bench.replay

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
