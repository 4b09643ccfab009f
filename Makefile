# Two commands for a fresh machine: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The frameworks that development tests with, for the CPU; users bring their own.
FRAMEWORKS := torch==2.13.0 tensorflow-cpu==2.21.0
# Of protobuf 4.25: its code runs with every runtime since 4.21, and so beside any framework's.
PROTOC := grpcio-tools==1.60.2 setuptools<81

.PHONY: setup demo test lint types imports check screenshots bench proto clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet $(FRAMEWORKS)
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $(STAMP)

demo: setup
	$(BIN)/fwtop demo torch

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test

screenshots: setup
	$(BIN)/python -m screenshots.make

bench: setup
	$(BIN)/python -m tests.benchmarks

# xplane_pb2.py is committed: only who changes the .proto needs this, with Python 3.8 to 3.12.
proto:
	$(PYTHON) -m venv build/protoc
	build/protoc/bin/python -m pip install --quiet $(foreach it,$(PROTOC),'$(it)')
	build/protoc/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. fwtop/traces/xplane.proto

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
