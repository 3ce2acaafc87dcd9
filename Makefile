# Every target sets up what it needs; the second time that costs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BUILD := build
COHORTS ?= ../shared/cohorts
ROOMS := riskscore training serving model_cards

.DEFAULT_GOAL := help
.PHONY: help setup run test machines lint types bench serve oracle agreement bundles cards wheelhouse bento sbom clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY) ## make .venv with the locked dependencies

run: $(READY) ## fit, judge, export, write cards, predict: the main job, into build/
	@$(BIN)/python -m training run --out $(BUILD)
	@$(BIN)/python -m model_cards render $(BUILD)/deb-tace-hcc/*/*
	@echo
	@echo "Serve one:  RISKSCORE_MODELS=$(BUILD)/deb-tace-hcc/os/cox make serve"
	@echo "then POST patients to http://127.0.0.1:3000/v1/predict"

test: $(READY) ## run every test, with coverage of riskscore/
	@$(BIN)/python -m pytest --cov --cov-report=term

machines: $(READY) ## the numeric tests and the main job as other processors compute them
	@$(BIN)/python -m tests.machines

lint: $(READY) ## ruff: rules and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

bench: $(READY) ## measure speed and memory, as ratios in one run
	@$(BIN)/python -m tests.benchmarks

serve: $(READY) ## serve RISKSCORE_MODELS, or the shipped models, on http://127.0.0.1:3000
	@BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml serve serving.service:RiskScore

oracle: ## make the reference numbers again with R (survival, jsonlite)
	@for script in tests/oracle/*.R; do Rscript "$$script" || exit; done

agreement: $(READY) ## compare with those numbers, and write the table of it
	@AGREEMENT=write $(BIN)/python -m pytest -q tests/riskscore/test_metrics_oracle.py tests/riskscore/test_competing.py tests/training/test_validation_oracle.py
	@cat tests/oracle/README.md

bundles: $(READY) ## fit the shipped bundles again
	@$(BIN)/python -m training run --again --out riskscore/bundles
	@if [ -d $(COHORTS) ]; then $(BIN)/python -m training ship --cohorts $(COHORTS) --out riskscore/bundles; else echo "no $(COHORTS): hcc-tace and the external validations stay as they are"; fi

cards: $(READY) ## write the committed cards of the shipped bundles again
	@$(BIN)/python -m model_cards all

wheelhouse: $(READY) ## every package a server needs, into build/wheelhouse, for machines without a network
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes -r serving/requirements.lock --dest $(BUILD)/wheelhouse
	@$(BIN)/python -m build --wheel --no-isolation --outdir $(BUILD)/wheelhouse . >/dev/null
	@ls $(BUILD)/wheelhouse | wc -l | xargs echo "packages in $(BUILD)/wheelhouse:"

bento: $(READY) ## a Bento that serves from any directory, into build/bento
	@mkdir -p $(BUILD)
	@rm -rf $(BUILD)/bento && BENTOML_DO_NOT_TRACK=True BENTOML_HOME=$(abspath $(BUILD))/bentoml $(BIN)/bentoml build --output tag | tail -n 1
	@cp -r $$(ls -td $(BUILD)/bentoml/bentos/riskscore/*/ | head -n 1) $(BUILD)/bento
	@echo "Serve it:  bentoml serve $(BUILD)/bento"

sbom: $(READY) ## the software bill of materials of a server (CycloneDX), into build/sbom.json
	@mkdir -p $(BUILD)
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file $(BUILD)/sbom.json serving/requirements.lock

clean: ## remove packages and caches; keeps .venv, and the models, cards and reviews in build/
	rm -rf $(BUILD)/wheelhouse $(BUILD)/bento $(BUILD)/bentoml $(BUILD)/sbom.json
	rm -rf dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
