# All targets run in .venv. The first target that needs .venv creates it.
# Override variables on the command line, for example `make demo PORT=9009 ONCE=1`.

PYTHON ?= python3
PORT ?= 8009
PARTICIPANTS_PORT ?=
ONCE ?=
# Two test processes per core, because many tests wait for other processes.
PYTEST_ARGS ?= -n $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 ))) --dist worksteal

# Tests that `make chaos` and `make fuzz` run at full length. `make check` runs them in a short form.
LONG := tests/chaos tests/property tests/e2e/test_crash.py tests/e2e/test_family_crash.py tests/e2e/test_wait_crash.py tests/e2e/test_fuzz.py
# Slow tests: they start whole programs many times, wait for time limits, search large models, or read every file. Of the targets, only `make check` runs them.
SLOW := $(addprefix tests/e2e/test_,$(addsuffix .py,callbacks cli clocks database_trouble demo end_calls long_texts metrics overload schedule_crash starting stopping two_releases upgrade)) \
	tests/contract/store/test_migrating.py tests/unit/docs/test_language.py $(addprefix tests/unit/machines/verify/test_,family_guards.py further_guards.py time_guards.py value_guards.py reductions.py source.py)

VENV := .venv
BIN := $(VENV)/bin

# All processes of a test run share one cache of compiled Python files, so that pytest rewrites each assert only once.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help demo test watch coverage check lint migrate run diagrams dashboards openapi docs fuzz chaos bench bench-pages worker beat release clean environment

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' Makefile
	@echo '  variables: PYTHON=$(PYTHON) PORT=$(PORT) ONCE=1 (the demo stops by itself) PYTEST_ARGS="$(PYTEST_ARGS)"'

demo: $(VENV)/.runtime ## start everything, run four checkouts, check the books, run until Ctrl-C
	@$(BIN)/python -m participants.demo $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.dev ## run the fast tests, each on SQLite or on a PostgreSQL from a wheel (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --databases one -p no:schemathesis -m 'not programs' $(addprefix --ignore ,$(LONG) $(SLOW))

watch: $(VENV)/.dev ## run the unit tests at each change of a file, until Ctrl-C
	$(BIN)/ptw . --now --runner $(BIN)/pytest $(PYTEST_ARGS) tests/unit

coverage: $(VENV)/.dev ## run the tests and list the lines of the service that no test covers (in this process only)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m 'not programs' --cov --cov-report=term:skip-covered \
		tests/unit tests/integration tests/contract

check: lint test $(VENV)/.dev ## lint, all tests on both databases, chaos and fuzz in a short form, and the tests that need other programs
	@if git log -100 --format=%s 2>/dev/null | awk 'length > 72' | grep .; then echo "these commit subjects have more than 72 characters"; exit 1; fi
	$(BIN)/python -m diagrams --check
	$(BIN)/python -m deploy.observability --check
	$(BIN)/python -m app.settings_table --check
	$(BIN)/python -m deploy.sbom --check
	$(BIN)/python -m deploy.lock --check
	$(BIN)/python -m deploy.advisories
	$(BIN)/python -m docs.reference --check
	$(BIN)/python -m docs.site
	$(BIN)/python -m app.cli verify --all
	$(BIN)/python -m app.cli verify --all --sagas docs/examples/sagas,docs/examples/own-repository/sagas,docs/examples/branches --accept 'pivot too early:papers'
	$(BIN)/python -m pytest $(PYTEST_ARGS) --databases other -p no:schemathesis -m 'not programs' $(addprefix --ignore ,$(LONG) $(SLOW)) tests/integration tests/e2e
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(LONG) $(SLOW)
	@# These tests start browsers, brokers and servers, and a busy machine can be too slow for one of them.
	$(BIN)/python -m pytest $(PYTEST_ARGS) --dist loadfile -m programs || { [ $$? -eq 1 ] \
		&& echo 'These tests run once more, one after the other; what fails again fails the check.' \
		&& $(BIN)/python -m pytest -m programs --last-failed --maxfail 5 -vv; }

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

migrate: $(VENV)/.runtime ## migrate the database (DATABASE_URL, or var/saga.db)
	@mkdir -p var
	@$(BIN)/python -m flask --app app db upgrade

run: migrate ## serve only the orchestrator on PORT (needs a SECRET_KEY)
	@$(BIN)/python -m app

diagrams: $(VENV)/.runtime ## write all diagrams to diagrams/rendered and docs/sequences
	@$(BIN)/python -m diagrams

dashboards: $(VENV)/.dev ## write the dashboards and Prometheus rules in deploy/
	@$(BIN)/python -m deploy.observability

docs: $(VENV)/.dev ## build the documentation as a site in var/docs; a broken link or anchor is an error
	@$(BIN)/python -m docs.site

openapi: $(VENV)/.runtime ## write docs/openapi.json, the Postman collections, the table of settings and docs/reference
	@$(BIN)/python -m flask --app app openapi > docs/openapi.json && $(BIN)/python -m docs.postman
	@$(BIN)/python -m app.settings_table
	@$(BIN)/python -m docs.reference

fuzz: $(VENV)/.dev ## test every API operation with generated requests, at full length, on both databases
	FUZZ_EXAMPLES=400 $(BIN)/python -m pytest tests/e2e/test_fuzz.py -s

chaos: $(VENV)/.dev ## test every failure at full length (CHAOS_SEED=… repeats a run); about 25 minutes
	CHAOS=full $(BIN)/python -m pytest $(filter-out %fuzz.py,$(LONG)) -s

bench: $(VENV)/.dev ## run all benchmarks and write their tables to docs/performance.md; about 20 minutes
	@$(BIN)/python -m benchmarks

bench-pages: $(VENV)/.dev ## measure the operator's pages with a million sagas; about 2 minutes
	@$(BIN)/python -m benchmarks.admin_pages

worker: migrate ## run a worker for sagas from the broker (BROKER_URL)
	@$(BIN)/python -m celery -q -A app.worker worker --without-gossip --without-mingle

beat: migrate ## wake the workers for due sagas (BROKER_URL)
	@$(BIN)/python -m celery -q -A app.worker beat

release: $(VENV)/.dev ## tag VERSION, write its CHANGELOG section, build wheel, image, SBOM, chart (DRY=1 tries it, IMAGE=no)
	@$(BIN)/python -m deploy.release '$(VERSION)' $(if $(DRY),--dry) $(if $(filter no,$(IMAGE)),--no-image)

clean: ## remove .venv and all caches, but no database
	rm -rf $(VENV) build *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

demo run: export PORT := $(PORT)
demo: export PARTICIPANTS_PORT := $(PARTICIPANTS_PORT)

# The virtual environment. Each failure is reported in one line; pip's own output is in .venv/pip.log.

fail = { echo $(1) >&2; exit 1; }
version = import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))
no_network = NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|MaxRetryError

# Creates .venv when its Python does not run: .venv is missing, or the Python that created it was removed.
environment:
	@found=$$($(PYTHON) -c '$(version)' 2>/dev/null) || case "$$found" in \
		'') $(call fail,"$(PYTHON) does not run; install Python 3.11 or newer$(,) or say where it is: make PYTHON=…") ;; \
		*) $(call fail,"$(PYTHON) is Python $$found$(,) but 3.11 or newer is needed; say where it is: make PYTHON=…") ;; \
	esac
	@echo 'making $(VENV) …'
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
		$(call fail,"$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv"); }

$(VENV)/.runtime: requirements.txt $(if $(shell test -x $(BIN)/python && echo runs),,environment)
	$(call install,the service)

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(call install,the tests and checks)

, := ,

# Use: $(call install,NAME). Installs the packages of the first prerequisite; NAME is their name in messages.
define install
@echo 'installing the packages of $(1) (once, about 20 s) …'
@$(BIN)/python -m pip install --disable-pip-version-check --no-input --retries 2 -r $< >$(VENV)/pip.log 2>&1 \
	|| if grep -qE '$(no_network)' $(VENV)/pip.log; \
	then $(call fail,'no network: pip cannot reach its package index; connect (or give pip a proxy or mirror) and repeat'); \
	else $(call fail,"pip cannot install $<: $$(grep -m 1 ^ERROR $(VENV)/pip.log || tail -n 1 $(VENV)/pip.log)"); \
	fi
@touch $@
endef
