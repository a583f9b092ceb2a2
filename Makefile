# How the project is set up, checked and tested. `make help` lists the targets.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
TRYING := $(VENV)/.trying
KAFKA := .cache/kafka

# The first Python that runs and fits: a shim may be on the path with nothing behind it.
FITS := import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c '$(FITS)' >/dev/null 2>&1 && command -v "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo walkthrough venv kafka test check bench bench-quick fuzz chaos clean

help:  ## List the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do printf '  make %-11s %s\n' "$$t" "$$d"; done

demo: $(TRYING)  ## Watch a bank's customers being scored live; the first time some gigabytes are downloaded
	@$(VENV)/bin/foretell demo $(ARGS)

walkthrough: $(TRYING)  ## Do what the README says under "Your own data", as it is written (5 minutes)
	@$(PY) -m tests.docs.walkthrough

venv: $(READY)  ## Create .venv with everything that training and development need

$(READY): EXTRAS := demo,dev
$(READY): QUIET := --quiet
$(READY): pyproject.toml
	@set -x; $(install)
	@touch $(TRYING) $@

$(TRYING): EXTRAS := demo
$(TRYING): pyproject.toml
	@$(install) || { \
		echo "Expected all packages to be installed, found the error above; where it finds no matching distribution," \
			"there is none for this platform: start Kafka and Redis yourself, as README.md tells under Live." >&2; \
		exit 1; \
	}
	@touch $@

# Puts Foretell with some extras into the environment, and makes that where it is not there or of another Python.
define install
python='$(PYTHON)'; \
	if ! "$${python:-false}" -c '$(FITS)' 2>/dev/null; then \
		echo "Expected Python 3.11, 3.12 or 3.13 with the module venv, found $${python:-none on the path};" \
			"install one or name it: make PYTHON=/path/to/python." >&2; \
		exit 1; \
	fi; \
	set -e; \
	if command -v uv >/dev/null; then \
		$(PY) -c '$(FITS)' 2>/dev/null || uv venv $(QUIET) --clear --python "$$python" $(VENV); \
		uv pip install $(QUIET) --python $(PY) --editable '.[$(EXTRAS)]'; \
	else \
		$(PY) -m pip --version >/dev/null 2>&1 || "$$python" -m venv --clear $(VENV); \
		$(PY) -m pip install $(QUIET) --disable-pip-version-check --editable '.[$(EXTRAS)]'; \
	fi
endef

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
	$(PY) -m pytest -n 2 --dist loadfile

check: $(READY)  ## Check format, lint and types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(READY) $(KAFKA)/.ready  ## Measure everything on real servers, with baselines (hours); ARGS="--compare OLD.json"
	$(PY) -m tests.bench $(ARGS)

bench-quick: $(READY) $(KAFKA)/.ready  ## Measure what matters most in five minutes
	$(PY) -m tests.bench --quick $(ARGS)

fuzz: $(READY)  ## Put a million mutated records through the codec and the pipeline (minutes); ARGS=--broker: through Kafka
	$(PY) -m tests.fuzz $(ARGS)

chaos: $(READY)  ## Play faults against real servers for ten minutes and prove that nothing is lost; SEED=n, ARGS=--short
	@$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(ARGS)

clean:  ## Remove the environment and all caches
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
