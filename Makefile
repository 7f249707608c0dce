# Each target first installs what it needs into .venv if it is missing.

PYTHON ?= python3
BIN := .venv/bin
# Without --no-compile, pip compiles thousands of files that are never imported.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# A file of tests runs in one process, so that its tests share what they set up. PyTorch is for `make oracle`.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0 --ignore tests/oracle
TYPESCRIPT := 7.0.2
TSC := .venv/typescript-$(TYPESCRIPT)/node_modules/.bin/tsc
ASSEMBLYSCRIPT := 0.28.20
ASC := .venv/assemblyscript-$(ASSEMBLYSCRIPT)/node_modules/.bin/asc
KERNELS := tinysegnet/export/page_source/kernels

# Tests and lessons start hundreds of processes, each of which would otherwise compile all modules that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test test-all bounds coverage shuffle torture mutants gradcheck lessons site bundled kernels lint package oracle clean

train: .venv/.run
	@echo "Training on drawn streets takes about two minutes on two cores, and writes a report to runs/"
	$(BIN)/tinysegnet train

test: .venv/.test
	$(PYTEST)

# All tests, with more examples. Then the kernels with bounds checks.
test-all: .venv/.nbgrader
	TINYSEGNET_TESTS=long $(PYTEST)
	$(MAKE) bounds

# numba checks bounds only in kernels without threads, and its cache ignores the setting: so a new cache is used.
bounds: .venv/.test
	rm -rf build/bounds
	NUMBA_BOUNDSCHECK=1 TINYSEGNET_PARALLEL=0 TINYSEGNET_CACHE=$(CURDIR)/build/bounds $(PYTEST) $(KERNEL_TESTS)
KERNEL_TESTS := tests/ops tests/gradcheck tests/layers/test_threads.py tests/training/test_optim.py \
	tests/prediction/test_tiles.py

# The share of lines and branches of the package that the tests run. Kernels run as plain Python, because numba runs no
# lines; compiling and launching them is for a second run, with a new cache. Two of the tests left out list what a command
# imports, to which coverage adds its own imports, and the third would take very long.
coverage: .venv/.test
	$(PIP) coverage
	rm -rf build/coverage
	NUMBA_DISABLE_JIT=1 $(COVERED) --timeout 3000 --ignore tests/lessons \
		--deselect tests/cli/test_start_up.py::test_help_imports_nothing_heavy \
		--deselect tests/cli/test_start_up.py::test_commands_import_only_what_they_use \
		--deselect tests/gradcheck/test_network_check.py::test_gradients_of_every_model_are_right
	TINYSEGNET_CACHE=$(CURDIR)/build/coverage/kernels TINYSEGNET_TESTS=long $(COVERED) --timeout 3000 \
		tests/runtime tests/lessons/test_lessons_command.py tests/prediction/test_jobs.py \
		tests/cli/test_cli.py::test_warmup_compiles_the_kernels
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage json --quiet -o build/coverage/report.json
	@$(BIN)/python -c "import json; t = json.load(open('build/coverage/report.json'))['totals']; \
		print(f\"lines {t['percent_statements_covered']:.1f} %, branches {t['percent_branches_covered']:.1f} %\")"
COVERED := $(subst -m pytest,-m coverage run -m pytest,$(PYTEST))

# Run the tests in random order, RUNS times, to find tests that depend on others or on chance. SEED is the first seed.
RUNS ?= 20
shuffle: .venv/.test
	$(BIN)/python tests/shuffle.py --runs $(RUNS) --seed $(SEED)

# The longest forms of some tests measure the figures of the robustness page: 200 kills, 10,000 mutants of each kind,
# 2,000 steps.
torture: .venv/.test
	TINYSEGNET_KILLS=200 TINYSEGNET_MUTANTS=10000 TINYSEGNET_SOAK=2000 $(BIN)/python -m pytest --timeout 3600 \
		tests/data/test_hostile_pictures.py tests/weights/test_hostile_checkpoints.py tests/weights/test_hostile_weights.py \
		tests/weights/test_keras_files.py tests/training/test_soak.py tests/training/test_resume.py \
		tests/cli/test_distributed_commands.py

# Plant bugs in a copy of the package, one at a time, and list those that no test finds. SEED and COUNT choose the bugs,
# and MUTANTS adds further options: "--areas ops --near" plants bugs in ops/ only and runs only tests near each bug.
# 200 bugs take some hours. A second run continues the first.
SEED ?= 1
COUNT ?= 200
mutants: .venv/.test
	$(BIN)/python tests/mutation/mutants.py --seed $(SEED) --count $(COUNT) $(MUTANTS)

gradcheck: .venv/.run
	$(BIN)/tinysegnet gradcheck

# Build the students' notebooks from lessons/src. To work through the lessons, see lessons/README.md.
lessons: .venv/.test
	$(BIN)/python lessons/build.py

# Build the documentation, build/site/index.html, which works offline. Running the lessons takes some minutes the first
# time; their outputs are kept until a lesson or the library changes. LESSONS=fast runs them with small numbers, and
# LESSONS=off does not run them. The first build needs npm, which fetches MathJax.
LESSONS ?= full
site: .venv/.site
	$(BIN)/python lessons/site/make.py --lessons $(LESSONS)

# Train the bundled network again, which takes some minutes on two cores.
bundled: .venv/.run
	$(BIN)/tinysegnet train --epochs 40 --runs runs --name bundled
	$(BIN)/tinysegnet export runs/bundled/last.safetensors --half --out tinysegnet/weights/toy.safetensors

# Compile the kernels of the live page. The first run needs npm, which fetches AssemblyScript. Warning 201 is about
# 64-bit addresses, which the kernels do not use.
kernels: $(ASC)
	$(COMPILED) --outFile $(KERNELS).wasm
COMPILED = $(ASC) $(KERNELS).ts -O3 --converge --noAssert --runtime stub --enable simd --disableWarning 201

# The first run needs npm, which fetches TypeScript for the checks of the pages' scripts, and AssemblyScript.
lint: .venv/.lint $(TSC) $(ASC)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(TSC) --project tinysegnet/walk/page_source
	$(TSC) --project tinysegnet/export/page_source
	$(TSC) --project lessons/tinysegnet_lessons/fragments/page_source
	@mkdir -p build
	$(COMPILED) --outFile build/kernels.wasm
	@cmp build/kernels.wasm $(KERNELS).wasm || { echo "$(KERNELS).wasm is not compiled from $(KERNELS).ts: make kernels" >&2; exit 1; }

# Build the wheel and the source archive in dist/, and try the wheel in a new environment.
TRIED := $(CURDIR)/build/wheel
package: .venv/.test
	rm -rf dist $(TRIED)
	$(BIN)/python -m hatchling build
	$(PYTHON) -m venv $(TRIED)/.venv
	$(TRIED)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt dist/*.whl
	cd $(TRIED) && .venv/bin/tinysegnet doctor && .venv/bin/tinysegnet lessons my-lessons \
		&& .venv/bin/tinysegnet data scenes --out scenes && .venv/bin/tinysegnet predict toy scenes/images --out pictures

# Compare results with PyTorch and other libraries, which are large downloads and are not needed otherwise, and imported
# masks with pycocotools and labelme. Only one file of labelme is used, which does not need its dependencies, such as Qt.
oracle: .venv/.test
	$(PIP) torch==2.13.0 openvino==2026.4.1 jax==0.10.2 pycocotools==2.0.11
	$(PIP) --no-deps labelme==6.3.1
	$(BIN)/python -m pytest tests/oracle

define install
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'tinysegnet needs Python 3.11 or later: make PYTHON=python3.12')"
	@echo "Installing $(2) into .venv: up to a minute the first time"
	@test -e $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable ".$(1)"
	@touch .venv/.run $@
endef

.venv/.run: pyproject.toml constraints.txt
	$(call install,,tinysegnet)

.venv/.test: pyproject.toml constraints.txt
	$(call install,[test],tinysegnet and the tools of its tests)

.venv/.nbgrader: .venv/.test
	@echo "Installing nbgrader, with JupyterLab, into .venv: up to a minute the first time"
	@$(PIP) nbgrader
	@touch $@

.venv/.lint: pyproject.toml constraints.txt
	$(call install,[lint],ruff and mypy)

.venv/.site: pyproject.toml constraints.txt
	$(call install,[site],Sphinx and the tools of the site)

$(TSC):
	$(call install_npm,typescript,$(TYPESCRIPT))

$(ASC):
	$(call install_npm,assemblyscript,$(ASSEMBLYSCRIPT))

define install_npm
	@command -v npm > /dev/null || { echo "npm is missing; it fetches $(1) (on Debian: apt-get install npm)" >&2; exit 1; }
	npm install --silent --no-audit --no-fund --no-save --prefix .venv/$(1)-$(2) $(1)@$(2)
endef

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
