# make run       the notebook, executed on the data set it makes itself
# make test      all tests: code style and types first, then the tests, the notebook among them
# make check     code style and types only, a minute
# make format    put the code into shape, as `make check` asks for it
# make trust     faults, load and bad input, the long way: prints the table of docs/survives.md
# make notebook  refresh the committed notebook (as make run, and cleaned), its measured times and docs/claims.md
# make bench     speed against the plain way: the tables of docs/speed.md
# make clean     remove what was written (out/ and caches); data, weights and .venv stay
# make help      this text
#
# Variables:
#   PYTHON=python3.12          the interpreter that makes .venv (3.11 or newer)
#   TORCH_INDEX=URL            take torch and torchvision from this index, e.g. PyTorch's own without CUDA
#   PORTRAIT_PRESET=paper      the preset of `make run` (quick unless told)
#   PORTRAIT_SKIP_TRAINING=1   train nothing and use a stored network

PYTHON ?= python3
TORCH_INDEX ?=
PORTRAIT_PRESET ?= quick

NOTEBOOK := Data_Mining_project.ipynb
INSTALLED := .venv/.installed
OUT := $(if $(PORTRAIT_WORK),$(PORTRAIT_WORK)/out,out)
PIP := .venv/bin/python -m pip --disable-pip-version-check

# albumentations would look for a newer version of itself at every import
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: run test check format trust notebook bench clean help .venv

run: $(INSTALLED)
	@echo "Executing $(NOTEBOOK) with the preset $(PORTRAIT_PRESET); its sections as they come:"
	@PORTRAIT_PRESET=$(PORTRAIT_PRESET) .venv/bin/python -m helpers.notebook "$(NOTEBOOK)" "$(OUT)"
	@echo "Done: the executed notebook is $(OUT)/$(NOTEBOOK), the cutouts are in $(OUT)/cutouts/"

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

check: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: $(INSTALLED)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

test: check
	.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
	    --nbval-lax --nbval-current-env --nbval-cell-timeout=600 tests "$(NOTEBOOK)"

trust: $(INSTALLED)
	.venv/bin/python -m pytest --long -o faulthandler_timeout=3600 tests/faults

# What is committed: executed with the quick preset, outputs and counts kept, all else stripped.
notebook: $(INSTALLED)
	PORTRAIT_PRESET=quick .venv/bin/python -m helpers.notebook --record "$(NOTEBOOK)" out
	.venv/bin/python -m helpers.experiments.verdicts docs/claims.md
	.venv/bin/nbstripout --keep-output --keep-count "out/$(NOTEBOOK)"
	cp "out/$(NOTEBOOK)" "$(NOTEBOOK)"

bench: $(INSTALLED)
	@.venv/bin/python -m benchmarks

clean:
	rm -rf out .pytest_cache .mypy_cache .ruff_cache
	find . \( -path ./.git -o -path ./.venv -o -path ./data \) -prune -o \
	    -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

.venv: $(INSTALLED)

# The stamp is newer than pyproject.toml once everything in there is installed. The weights are loaded once, as what is
# converted then is kept, and the first cutout does not have to wait for it.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." \
	        "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv make" >&2; \
	    exit 1; }
	@echo "Installing into .venv: about 6 GB with CUDA, most of which TORCH_INDEX=... spares. This takes minutes ..."
	@$(PYTHON) -m venv .venv
	@$(if $(TORCH_INDEX),$(PIP) install -q --index-url $(TORCH_INDEX) torch torchvision)
	@$(PIP) install -q -e '.[test]'
	@.venv/bin/python -c 'from helpers.cutout import load_matter; load_matter()' || true
	@.venv/bin/python -c 'from helpers.mine.solve import warm_up; warm_up()' || true
	@touch $@
	@echo "Installed."
