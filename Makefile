# Everything runs out of .venv, which the first target that needs it makes; a second run finds it made.
# Override on the command line, e.g. `make demo PORT=9009 ONCE=1`.

PYTHON ?= python3
PORT ?= 8009
PARTICIPANTS_PORT ?=
ONCE ?=
# Twice as many as there are cores, for many of the tests wait for processes.
PYTEST_ARGS ?= -n $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 ))) --dist worksteal

# What has a target of its own at full length, and a short form in `check`.
LONG := tests/chaos tests/property tests/e2e/test_crash.py tests/e2e/test_fuzz.py
# What starts whole programs again and again, or waits for a time limit: in `check`, so that `test` takes minutes.
SLOW := $(addprefix tests/e2e/test_,$(addsuffix .py,cli database_trouble demo metrics overload starting stopping)) \
	tests/contract/store/test_migrating.py

VENV := .venv
BIN := $(VENV)/bin

# Compiled once for all processes of a test run, with the rewritten asserts, and out of sight.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help demo test watch coverage check lint migrate run diagrams dashboards openapi fuzz chaos bench bench-pages worker beat clean environment

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s  %s\n", $$1, $$2 }' Makefile
	@echo '  variables: PYTHON=$(PYTHON) PORT=$(PORT) ONCE=1 (demo ends by itself) PYTEST_ARGS="$(PYTEST_ARGS)"'

demo: $(VENV)/.runtime ## start everything, run four checkouts, check the ledgers, stay up until Ctrl-C
	@$(BIN)/python -m participants.demo $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.dev ## run the tests, on SQLite and on a PostgreSQL out of a wheel (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -p no:schemathesis -m 'not programs' $(addprefix --ignore ,$(LONG) $(SLOW))

watch: $(VENV)/.dev ## run the fast tests again whenever a file changes, until Ctrl-C
	$(BIN)/ptw . --now --runner $(BIN)/pytest $(PYTEST_ARGS) tests/unit

coverage: $(VENV)/.dev ## run the tests and say which lines of the service no test runs (in this process alone)
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m 'not programs' --cov --cov-report=term:skip-covered \
		tests/unit tests/integration tests/contract

check: lint test $(VENV)/.dev ## lint, run all tests, a short form of chaos and fuzz, and what needs other programs
	$(BIN)/python -m diagrams --check
	$(BIN)/python -m deploy.observability --check
	$(BIN)/python -m pytest $(PYTEST_ARGS) $(LONG) $(SLOW)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --dist loadfile -m programs

lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

migrate: $(VENV)/.runtime ## bring the database (DATABASE_URL, or var/saga.db) up to date
	@mkdir -p var
	@$(BIN)/python -m flask --app app db upgrade

run: migrate ## serve the orchestrator alone on PORT (needs a SECRET_KEY)
	@$(BIN)/python -m app

diagrams: $(VENV)/.runtime ## draw every table anew into diagrams/rendered and docs/sequences
	@$(BIN)/python -m diagrams

dashboards: $(VENV)/.dev ## write the dashboards and rules in deploy/ anew
	@$(BIN)/python -m deploy.observability

openapi: $(VENV)/.runtime ## write docs/openapi.json and the Postman collections anew
	@$(BIN)/python -m flask --app app openapi > docs/openapi.json && $(BIN)/python -m docs.postman

fuzz: $(VENV)/.dev ## let the schema checker loose on every operation, at length, on both databases
	FUZZ_EXAMPLES=400 $(BIN)/python -m pytest tests/e2e/test_fuzz.py -s

chaos: $(VENV)/.dev ## every hazard at full length, with its figures (CHAOS_SEED=… repeats a run); about 25 minutes
	CHAOS=full $(BIN)/python -m pytest $(filter-out %fuzz.py,$(LONG)) -s

bench: $(VENV)/.dev ## run all benchmarks and write their tables to docs/performance.md; about 20 minutes
	@$(BIN)/python -m benchmarks

bench-pages: $(VENV)/.dev ## measure the operator's pages with a million sagas; about 2 minutes
	@$(BIN)/python -m benchmarks.admin_pages

worker: migrate ## run sagas that come over the broker (BROKER_URL)
	@$(BIN)/python -m celery -A app.worker worker --without-gossip --without-mingle

beat: migrate ## find sagas that are due, and send them to the workers (BROKER_URL)
	@$(BIN)/python -m celery -A app.worker beat

clean: ## remove the environment and all caches; databases stay
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

demo run: export PORT := $(PORT)
demo: export PARTICIPANTS_PORT := $(PARTICIPANTS_PORT)

# The environment. Each failure is one line; what pip said stays in its log.

fail = { echo $(1) >&2; exit 1; }
version = import sys; print("%d.%d.%d" % sys.version_info[:3]); sys.exit(sys.version_info < (3, 11))
no_network = NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|MaxRetryError

# Asked for only where there is none that runs (its own Python may have been removed): one that runs is kept.
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

# $(call install,what the first prerequisite lists)
define install
@echo 'installing the packages of $(1) (once, about 20 s) …'
@$(BIN)/python -m pip install --disable-pip-version-check --no-input --retries 2 -r $< >$(VENV)/pip.log 2>&1 \
	|| if grep -qE '$(no_network)' $(VENV)/pip.log; \
	then $(call fail,'no network: pip cannot reach its package index; connect (or give pip a proxy or mirror) and repeat'); \
	else $(call fail,"pip cannot install $<: $$(grep -m 1 ^ERROR $(VENV)/pip.log || tail -n 1 $(VENV)/pip.log)"); \
	fi
@touch $@
endef
