# make test, make train: each makes the environment in .venv first, if it is missing.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SITE := .venv/.site
TYPESCRIPT := 7.0.2
TSC := .venv/typescript-$(TYPESCRIPT)/node_modules/.bin/tsc

.PHONY: train test test-all torture gradcheck lessons site bundled lint oracle clean

train: $(READY)
	$(BIN)/tinysegnet train

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

# The same tests with more examples, and those that have no short form.
test-all: $(READY)
	TINYSEGNET_TESTS=long $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

# The long forms of what `make test` does in short: 200 kills, 10,000 mutants of each kind, 2,000 steps. With figures.
torture: $(READY)
	TINYSEGNET_KILLS=200 TINYSEGNET_MUTANTS=10000 TINYSEGNET_SOAK=2000 $(BIN)/python -m pytest --timeout 3600 \
		tests/data/test_hostile_pictures.py tests/weights/test_hostile_checkpoints.py tests/weights/test_hostile_weights.py \
		tests/weights/test_keras_files.py tests/training/test_soak.py tests/training/test_resume.py

gradcheck: $(READY)
	$(BIN)/tinysegnet gradcheck

# The students' notebooks from lessons/src. To work through them: pip install jupyterlab, then jupyter lab lessons.
lessons: $(READY)
	$(BIN)/python lessons/build.py

# The project's pages, to be opened from build/site/index.html without a network: lessons with their outputs (some
# minutes the first time, kept until a lesson or the library changes), API, results, gallery, search. LESSONS=fast takes
# small numbers, LESSONS=off no outputs. Needs npm the first time, which brings MathJax.
LESSONS ?= full
site: $(SITE)
	$(BIN)/python lessons/site/make.py --lessons $(LESSONS)

# How the bundled network was made: some minutes on two cores.
bundled: $(READY)
	$(BIN)/tinysegnet train --epochs 40 --runs runs --name bundled
	$(BIN)/tinysegnet export runs/bundled/last.safetensors --half --out tinysegnet/weights/toy.safetensors

# Needs npm the first time, which brings TypeScript: it checks the scripts of the walk.
lint: $(READY) $(TSC)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(TSC) --project tinysegnet/walk/page_source

# The same checks against PyTorch, which is a large download and never needed otherwise.
oracle: $(READY)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pytest tests/oracle

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'tinysegnet needs Python 3.11 or later: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

$(SITE): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[site]"
	touch $(SITE)

$(TSC): | $(READY)
	@command -v npm > /dev/null || { echo "npm is missing; it fetches TypeScript (on Debian: apt-get install npm)" >&2; exit 1; }
	npm install --silent --no-audit --no-fund --no-save --prefix .venv/typescript-$(TYPESCRIPT) typescript@$(TYPESCRIPT)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
