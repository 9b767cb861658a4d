# The flow, in order: reading the targets is reading the architecture.
#
#   raw logs -> dbt models -> feature views -> registry -> model -> online store -> profile
#
# A stage runs when something it reads has changed; its stamp in data/.stamps says when it last did.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# movielens; tafeng; simulated, or of it web, social or orders; or a folder: SOURCE=./my_logs
SOURCE ?= movielens
PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3),python3.11)
VENV := .venv
UNIVERSAL := .venv-feast-universal
RUN := $(VENV)/bin/python -m profilestore
STAMPS := data/.stamps

DBT_FILES := $(shell find dbt_project -type f -not -path '*/target/*' -not -path '*/logs/*')
FEATURE_REPO := $(filter-out feature_repo/feature_views.py,$(wildcard feature_repo/*.py)) feature_repo/feature_store.yaml
TRAINING := $(shell find training -name '*.py' -o -name '*.yaml' -o -name '*.html') profilestore/encoding.py profilestore/artifacts.py

##@ The flow

.PHONY: setup
setup: $(VENV)/.installed ## Make the virtual environment from the locked requirements (Python 3.11)

$(VENV)/.installed: requirements/dev.lock requirements/carriers.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on the path; name one: make setup PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11" >&2; exit 2; }
	@echo "== setup: installing locked requirements (TensorFlow is large: a few minutes)"
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes --no-deps -r requirements/dev.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes --no-deps -r requirements/carriers.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: logs
logs: $(STAMPS)/logs ## Read SOURCE once and write its raw log to data/raw/

# What SOURCE is: its name, and of a folder also every file's checksum. Rewritten only when
# that is another than last time.
$(STAMPS)/source: always
	@mkdir -p $(STAMPS)
	@{ echo "$(SOURCE)"; test ! -d "$(SOURCE)" || find "$(SOURCE)" -type f -exec cksum {} + | sort; } > $@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm -f $@.new

$(STAMPS)/logs: $(VENV)/.installed $(STAMPS)/source $(wildcard data/live/events/*.jsonl)
	@echo "== logs: raw log of $(SOURCE)"
	$(RUN) logs --source "$(SOURCE)"
	@touch $@

.PHONY: build
build: $(STAMPS)/build ## dbt build: raw log -> contracted marts in the lake, with all dbt tests

$(STAMPS)/build: $(STAMPS)/logs $(DBT_FILES)
	@echo "== build: dbt models and their tests"
	$(RUN) build
	@touch $@

.PHONY: generate
generate: $(STAMPS)/generate ## Write feature_views.py and the README's table of features from the dbt manifest

$(STAMPS)/generate: $(STAMPS)/build $(wildcard profilestore/codegen/*.py)
	@echo "== generate: feature views from the dbt manifest"
	$(RUN) generate
	@touch $@

# It tells by its exit code whether anything breaks; make makes 2 of every such code.
.PHONY: plan
plan: $(STAMPS)/generate ## What the next apply would change, who reads it, and what it would break
	@$(RUN) plan

.PHONY: apply
apply: $(STAMPS)/apply ## feast apply: register entities, feature views and services

$(STAMPS)/apply: $(STAMPS)/generate $(FEATURE_REPO)
	@echo "== apply: Feast registry"
	$(RUN) apply
	@touch $@

.PHONY: train
train: $(STAMPS)/train ## Train the two-tower from offline features; evaluate; export a bundle (CONFIG=a YAML; RESUME=1: go on where it was stopped; WARM=current: begin from a bundle)

$(STAMPS)/train: $(STAMPS)/apply $(TRAINING)
	@echo "== train: two-tower from point-in-time features"
	$(RUN) train $(if $(CONFIG),--config $(CONFIG)) $(if $(RESUME),--resume) $(if $(WARM),--warm-start $(WARM))
	@touch $@

.PHONY: tune
tune: $(STAMPS)/apply ## Search settings of the training by its validation window (TRIALS=20; CONFIG=a YAML with `tune`)
	@echo "== tune: settings by the validation window"
	$(VENV)/bin/python -m training tune $(if $(CONFIG),--config $(CONFIG)) $(if $(TRIALS),--trials $(TRIALS))

.PHONY: segments
segments: $(STAMPS)/apply ## Learn vectors, anomaly scores and segments of people, unsupervised (data/profiles/)
	@echo "== segments: what sets people apart"
	$(VENV)/bin/python -m training profiles $(if $(CONFIG),--config $(CONFIG))

.PHONY: selection
selection: $(STAMPS)/train ## Which features the model would miss, and a list of those worth keeping (data/selection/)
	@echo "== selection: what the two-tower would miss"
	$(VENV)/bin/python -m training selection

# Always: values change as time passes, though no event came.
.PHONY: materialize
materialize: $(STAMPS)/apply ## Copy what is true now into the online store
	@echo "== materialize: what is true now goes online"
	$(RUN) materialize

.PHONY: profile
profile: $(STAMPS)/train ## Print one person's profile (USER_ID=..., else one of those seen last)
	@echo "== profile"
	$(RUN) profile $(USER_ID)

.PHONY: serve
serve: $(STAMPS)/train ## Serve profiles over HTTP, and the web page
	@test -e data/online/materialized.json || $(MAKE) --no-print-directory materialize
	$(RUN) serve

.PHONY: demo
demo: ## All of the above for SOURCE, from nothing to a printed profile
	@$(MAKE) --no-print-directory $(STAMPS)/train
	@$(MAKE) --no-print-directory materialize
	@$(MAKE) --no-print-directory profile

##@ Quality

.PHONY: test
test: $(VENV)/.installed ## All tests: unit, spec, contract, end to end (in a real browser)
	$(VENV)/bin/python -m pytest

.PHONY: kills
kills: $(VENV)/.installed ## Kill the service under load 50 times: no acknowledged event is lost, none counts twice
	$(VENV)/bin/python -m pytest -m kills tests/unit/serving/live

# Feast's tests want an older pytest than ours, and so an environment of their own. They are read
# from where you have them: sdk/python/tests of Feast's repository. STORES: lake, files, stock.
.PHONY: feast-universal
feast-universal: ## Feast's own test suite on our stores (FEAST_TESTS=<sdk/python/tests of Feast>)
	@test -f "$(FEAST_TESTS)/universal/feature_repos/repo_configuration.py" || { echo "Feast's test suite is not in FEAST_TESTS='$(FEAST_TESTS)'. Give the folder sdk/python/tests of a checkout of Feast: make feast-universal FEAST_TESTS=..." >&2; exit 2; }
	@$(MAKE) --no-print-directory $(UNIVERSAL)/.installed
	$(UNIVERSAL)/bin/python tests/feast_universal/run.py "$(FEAST_TESTS)" $(if $(STORES),--stores $(STORES))

$(UNIVERSAL)/.installed: requirements/feast-universal.lock pyproject.toml
	@echo "== feast-universal: installing locked requirements"
	test -x $(UNIVERSAL)/bin/python || $(PYTHON) -m venv $(UNIVERSAL)
	$(UNIVERSAL)/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements/feast-universal.lock
	$(UNIVERSAL)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.PHONY: lint
lint: $(VENV)/.installed ## ruff, import-linter, mypy, sqlfluff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy
	$(VENV)/bin/sqlfluff lint dbt_project/models dbt_project/tests

.PHONY: bench-demo
bench-demo: $(VENV)/.installed ## Measure the demo: time of each stage, model beside its baselines (QUICK=1: one epoch)
	$(VENV)/bin/python benchmarks/demo.py $(if $(QUICK),--quick)

.PHONY: bench-pit
bench-pit: $(VENV)/.installed ## Measure the point-in-time join beside Feast's stores and a hand-written query (QUICK=1: smaller)
	$(VENV)/bin/python benchmarks/pit.py $(if $(QUICK),--quick)

.PHONY: bench-materialize
bench-materialize: $(VENV)/.installed ## Measure materialisation beside Feast's engine, SQLite and Redis (QUICK=1: smaller; needs redis-server)
	$(VENV)/bin/python benchmarks/materialize.py $(if $(QUICK),--quick)

.PHONY: bench-features
bench-features: $(VENV)/.installed ## Measure raw logs to features: 1, 10 and 50 million events, beside bare SQL, and a day that is added (QUICK=1: small)
	$(VENV)/bin/python benchmarks/features.py $(if $(QUICK),--quick)

.PHONY: bench-online-read
bench-online-read: $(VENV)/.installed ## Measure online reads beside Feast's SQLite and Redis (QUICK=1: smaller; needs redis-server)
	$(VENV)/bin/python benchmarks/online_read.py $(if $(QUICK),--quick)

.PHONY: bench-privacy
bench-privacy: $(VENV)/.installed ## Measure what encryption costs a read, beside the same store without it (QUICK=1: smaller)
	$(VENV)/bin/python benchmarks/privacy.py $(if $(QUICK),--quick)

.PHONY: bench-movielens
bench-movielens: $(VENV)/.installed ## Measure the towers by the papers' protocol on MovieLens 1M (DATA=its folder; SEEDS="1 2"; QUICK=1: two epochs)
	$(VENV)/bin/python benchmarks/movielens.py $(if $(QUICK),--quick) $(if $(DATA),--data $(DATA)) $(if $(SEEDS),--seeds $(SEEDS))

.PHONY: bench-training
bench-training: $(STAMPS)/apply ## Measure training: input, positions a second, time to 95 % of the best, beside plain Keras and ALS (QUICK=1: few steps)
	$(VENV)/bin/python benchmarks/training_speed.py $(if $(QUICK),--quick) $(if $(CONFIG),--config $(CONFIG))

.PHONY: bench-ablation
bench-ablation: $(STAMPS)/apply ## What each part of the two-tower adds, on the log of SOURCE (ONLY="features loss"; QUICK=1: two variants, one epoch)
	$(VENV)/bin/python benchmarks/ablation.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(CONFIG),--config $(CONFIG))

.PHONY: bench-transfer
bench-transfer: $(VENV)/.installed ## What a training gains from former days, another source, two domains at once (QUICK=1: small)
	$(VENV)/bin/python benchmarks/transfer.py $(if $(QUICK),--quick)

.PHONY: bench-sources
bench-sources: $(VENV)/.installed ## From nothing to a profile with several logs, the model beside its baselines (SOURCES="movielens tafeng <folder>")
	$(VENV)/bin/python benchmarks/sources.py $(SOURCES)

.PHONY: bench-serving
bench-serving: $(STAMPS)/train ## Measure the service on one core beside `feast serve` and a bare loop, and at twice its load (QUICK=1: small; needs redis-server)
	$(VENV)/bin/python benchmarks/serving.py $(if $(QUICK),--quick)

.PHONY: bench-lists
bench-lists: $(STAMPS)/train ## What lists gain and lose by diversity, caps and a place for content (QUICK=1: fewer questions)
	$(VENV)/bin/python benchmarks/lists.py $(if $(QUICK),--quick)

.PHONY: screenshots
screenshots: $(STAMPS)/train ## Take the pictures of the page that README.md shows (needs Chromium or Chrome)
	@test -e data/online/materialized.json || $(MAKE) --no-print-directory materialize
	$(VENV)/bin/python docs/screenshots.py

.PHONY: schema
schema: $(VENV)/.installed ## Write docs/profile.schema.json, the JSON Schema of the profile document
	$(VENV)/bin/python -m serving.schema

.PHONY: client
client: $(VENV)/.installed ## Make a typed Python client of the service from its OpenAPI, in data/client/
	$(VENV)/bin/python -m serving.openapi data/client/openapi.json
	$(VENV)/bin/openapi-python-client generate --path data/client/openapi.json --output-path data/client/python --config serving/client.yaml --meta setup --overwrite --fail-on-warning

.PHONY: lock
lock: ## Resolve requirements/*.in anew into requirements/*.lock (needs uv on the path)
	cd requirements && for name in platform dev feast-universal; do uv pip compile $$name.in -o $$name.lock --generate-hashes --no-strip-extras --no-emit-index-url --python-version 3.11 --quiet --custom-compile-command "make lock" $$([ $$name = dev ] && echo "-c platform.lock"); done
	cd requirements && uv pip compile carriers.in -o carriers.lock --no-deps --generate-hashes --no-emit-index-url --python-version 3.11 --quiet --custom-compile-command "make lock"

##@ Housekeeping

.PHONY: clean
clean: ## Delete everything that was derived: data/ but the pseudonym key and the live log, and dbt's target/
	find data -mindepth 1 -maxdepth 1 -not -name keys -not -name live -exec rm -rf {} +
	rm -rf dbt_project/target dbt_project/logs

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: always
always:
