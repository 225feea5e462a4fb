# `make demo` and `make test` do all the set-up themselves: Python 3.11 or newer and a package index are enough.
PYTHON ?= python3
BIN := .venv/bin
DEMO_OUT := .demo
DOCS_OUT := .docs

BENCH_OUT := .bench
PEER :=
# The profiler speaks to stderr, in between the tables.
BENCH := KINETO_LOG_LEVEL=99 TORCH_CPP_LOG_LEVEL=ERROR $(BIN)/python benchmarks

.PHONY: demo test bench docs clean

demo: .venv/demo
	$(BIN)/stc-bench search --dataset digits --seeds 3 --out $(DEMO_OUT)
	$(BIN)/stc-bench search --method rs,rea,ls --seeds 500 --benchmark analog --out $(DEMO_OUT)
	$(BIN)/stc-bench report --results $(DEMO_OUT)
	$(BIN)/stc-bench report --all --results $(DEMO_OUT) --out $(DEMO_OUT)/report.html
	@echo
	@echo "Every table and figure of these records, on one page: $(DEMO_OUT)/report.html"
	@echo "This was the embedded demo. For the real thing: stc-bench data fetch cifar10, then stc-bench search (README, 'The real thing')."

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

# PEER=DIR compares with a checkout of AutoDL-Projects. Nothing else should run meanwhile.
bench: .venv/test
	$(BENCH)/startup.py --out $(BENCH_OUT)/startup.json
	$(BENCH)/step_floor.py --out $(BENCH_OUT)/step_floor.json
	$(BENCH)/step_speed.py $(if $(PEER),--peer $(PEER)) --out $(BENCH_OUT)/step_speed.json
	$(BENCH)/step_sweep.py --out $(BENCH_OUT)/step_sweep.json
	$(BENCH)/ranking_cost.py --no-all --out $(BENCH_OUT)/ranking_cost-500.json
	$(BENCH)/table_speed.py --out $(BENCH_OUT)/table_speed-500.json
	$(BENCH)/blackbox_speed.py --out $(BENCH_OUT)/blackbox_speed.json

# The API reference, HTML.
docs: .venv/docs
	$(BIN)/python docs/reference.py $(DOCS_OUT)
	@echo "The first page: $(DOCS_OUT)/index.html"

INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.venv/demo: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv .venv
	$(INSTALL) '.[demo]'
	touch $@

.venv/test: .venv/demo
	$(INSTALL) '.[test]'
	touch $@

.venv/docs: .venv/demo
	$(INSTALL) '.[docs]'
	touch $@

clean:
	rm -rf .venv $(DEMO_OUT) $(BENCH_OUT) $(DOCS_OUT)
