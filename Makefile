# The commands of this project; `make` lists them.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal
VIZ_PORT := 4141
UI_PORT := 5000
NOTEBOOKS_PORT := 8888
# Neither Kedro nor MLflow reports usage from here.
export DO_NOT_TRACK := true

.PHONY: help run test test-all rehearsal lint docs app cluster viz ui notebooks clean constraints

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

run: .venv/installed ## fit all three models on the embedded data
	@echo "==> kedro run: clustering, pca and cvae on the embedded data"
	$(BIN)/kedro run
	@echo "==> done: open the reports named above; 'make ui' and 'make viz' show the rest"

test: .venv/installed-dev ## run the tests, or some: make test TESTS=tests/estimators
	@echo "==> pytest $(TESTS)"
	$(PYTEST) $(TESTS)

test-all: .venv/installed-dev ## run what takes long too: servers that go away, kills, every command of every page
	@echo "==> pytest $(TESTS) (what takes long too)"
	$(PYTEST) -m "not rehearsal" $(TESTS)

rehearsal: .venv/installed-dev ## type what docs/cluster.md says, on two machines that this one pretends to be
	@echo "==> pytest -m rehearsal"
	$(PYTEST) -m rehearsal

lint: .venv/installed-dev ## check style, types and the direction of imports
	@echo "==> ruff, mypy, import-linter"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-docs ## build the site of the pages and docstrings; a broken link or an undocumented name ends it
	@echo "==> sphinx"
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs/site --doctree-dir build/doctrees . build/site
	@echo "==> done: open build/site/index.html"

app: .venv/installed-app ## open a page to play with the models of the last run; of an environment: make app ENV=benchmark
	@$(BIN)/python -m latents.app $(if $(ENV),--env $(ENV)) $(APP)

cluster: .venv/installed-cluster ## fit all three models on a Ray cluster of this machine, begun and ended with the run
	@echo "==> kedro run --env cluster: on a Ray cluster of this machine alone"
	RAY_ADDRESS=local $(BIN)/kedro run --env cluster
	@echo "==> done; docs/cluster.md says how to use one of many machines"

viz: .venv/installed ## show the pipelines in Kedro-Viz
	@echo "==> Kedro-Viz on http://127.0.0.1:$(VIZ_PORT) (Ctrl-C ends it)"
	$(BIN)/kedro viz run --no-browser --host 127.0.0.1 --port $(VIZ_PORT)

ui: .venv/installed ## show the runs in the MLflow UI
	@case "$${MLFLOW_TRACKING_URI:=sqlite:///$(CURDIR)/mlflow.db}" in \
	http*) echo "==> your runs are on the server $$MLFLOW_TRACKING_URI";; \
	*) echo "==> MLflow on http://127.0.0.1:$(UI_PORT) (Ctrl-C ends it)"; \
		MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec $(BIN)/mlflow ui --host 127.0.0.1 --port $(UI_PORT) \
			--workers 1 --backend-store-uri "$$MLFLOW_TRACKING_URI";; \
	esac

notebooks: .venv/installed-notebooks ## open the notebooks, which read the last run, in JupyterLab
	@echo "==> JupyterLab on http://127.0.0.1:$(NOTEBOOKS_PORT) (Ctrl-C ends it)"
	$(BIN)/kedro jupyter lab --ip=127.0.0.1 --port=$(NOTEBOOKS_PORT) notebooks

clean: ## remove what runs and tools have left; data/01_raw and .venv stay
	@echo "==> removing outputs, MLflow's database and artifacts, and caches"
	@if [ -x "$(BIN)/python" ]; then "$(BIN)/python" -m latents.clean; \
	else echo "==> outputs stay: there is no .venv to read the catalog with, which says what they are"; fi
	rm -rf mlflow.db mlflow.db-journal mlflow.db-shm mlflow.db-wal mlartifacts
	rm -rf .viz build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

constraints: .venv/installed-dev ## resolve constraints.txt anew from pyproject.toml
	@echo "==> uv pip compile"
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt pyproject.toml

# TORCH_INDEX=<address> takes torch and torchvision from another index, such as PyTorch's own of CPU builds.
.venv/installed: pyproject.toml constraints.txt
	@echo "==> making .venv and installing latents (some minutes the first time)"
	$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python 3.11 or later is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/pip install --quiet --constraint constraints.txt --no-deps --index-url $(TORCH_INDEX) torch torchvision)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	@echo "==> installing the development tools"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

.venv/installed-docs: .venv/installed
	@echo "==> installing Sphinx"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

.venv/installed-app: .venv/installed
	@echo "==> installing NiceGUI"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[app]"
	touch $@

.venv/installed-cluster: .venv/installed
	@echo "==> installing Ray"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[cluster]"
	touch $@

.venv/installed-notebooks: .venv/installed
	@echo "==> installing JupyterLab"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[notebooks]"
	touch $@
