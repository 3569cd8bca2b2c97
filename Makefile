# make run    serve the demo on http://127.0.0.1:8000      make test   every check that guards a landing
# make lock   renew the locked dependencies                make bench  what it costs, measured (bench-check: against last)
# make mutants  change every word of the trials: some case must notice
VENV := .venv
BIN := $(VENV)/bin

# PYTHON=python3.12 chooses another interpreter than python3.
PYTHON ?=

.PHONY: run test bench bench-check alarm format lock docs oracle mutants sbom strangers systems FORCE
.DEFAULT_GOAL := run

# The script looks at each call whether the environment is there, of the chosen Python, and newer than its lock.
$(VENV)/.run $(VENV)/.dev: FORCE
	@PYTHON="$(PYTHON)" scripts/setup.sh $(VENV) $(patsubst .%,%,$(notdir $@))

FORCE:

run: $(VENV)/.run
	@exec $(BIN)/trialcards demo

test: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/trialcards trials lint --cases tests/trial_cases
	$(BIN)/python -m docs.generate --check
	$(BIN)/python -m pytest --durations=25

bench: $(VENV)/.dev
	@set -e; for file in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py); done

bench-check: $(VENV)/.dev
	@set -e; for file in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py) --check; done

# How many cards, refusals and unknown criteria ordinary charts get: CHARTS=a folder of Bundles, BEFORE=an older commit.
alarm: $(VENV)/.dev
	$(BIN)/python -m benchmarks.alarm $(if $(CHARTS),--charts $(CHARTS)) $(if $(BEFORE),--before $(BEFORE))

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Says what survives, and writes docs/mutation.md; CHECK=--check fails where that is out of date.
mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutation.prove $(CHECK)

# Another engine is asked the same questions; needs java, mvn, node and npm (docs/oracle.md).
oracle: $(VENV)/.dev
	$(BIN)/python -m tests.oracle_cql.oracle --charts $(or $(ORACLE_CHARTS),2000) --write

# Beside real systems (Keycloak, HAPI FHIR, PostgreSQL with PgBouncer, the image): fetched on first use, minutes each. SYSTEMS=keycloak chooses.
# Needs java 17, mvn, postgresql, pgbouncer; for the image root, buildah and debootstrap. Writes docs/systems.md.
systems: $(VENV)/.dev
	$(BIN)/python -m tests.systems.run $(SYSTEMS)

# Charts, calls and records of others through every door (docs/strangers.md): EVERY=10 takes every tenth chart.
strangers: $(VENV)/.dev
	$(BIN)/python -m tests.strangers.strangers --every $(or $(EVERY),1) --write

docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

# A bill of materials of what runs, from the locked dependencies; the same bytes for the same lock.
sbom: $(VENV)/.dev
	@mkdir -p dist
	@grep -v '^ *#' requirements.lock | $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON -o dist/sbom.json -
	@echo "dist/sbom.json"

# The option leaves the package index out of the file, so that it names none.
LOCK := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra postgres \
	--extra batch --extra otel --extra build
lock:
	@command -v uv >/dev/null || { echo "make lock needs uv; install it with: pip install uv"; exit 1; }
	$(LOCK) --extra dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock pyproject.toml -o requirements.lock
	$(LOCK) --extra spark --constraint requirements-dev.lock pyproject.toml -o requirements-spark.lock
