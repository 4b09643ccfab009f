# Two commands for a fresh machine: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The frameworks that development tests with, for the CPU; users bring their own.
FRAMEWORKS := torch==2.13.0 tensorflow-cpu==2.21.0
# Of protobuf 4.25: its code runs with every runtime since 4.21, and so beside any framework's.
PROTOC := grpcio-tools==1.60.2 setuptools<81

# What `make test-versions` tries the probe on, each in an environment of its own.
TENSORFLOWS := 2.16.2 2.18.1 2.21.0
# tf_keras asks for `tensorflow`, which the CPU's package does not count as.
TF_KERAS := tensorflow-cpu==2.18.1 tf_keras==2.18.0
KERAS_ON_JAX := keras==3.15.1 jax[cpu]==0.10.2

.PHONY: setup demo test test-versions lint types imports check screenshots bench proto clean

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

VERSIONS := $(TENSORFLOWS:%=build/tensorflow-%) build/tf-keras build/keras-jax

test-versions: setup $(VERSIONS:%=%/.installed)
	set -e; for it in $(TENSORFLOWS); do echo "TensorFlow $$it"; \
	  FWTOP_TENSORFLOW_PYTHON=$(CURDIR)/build/tensorflow-$$it/bin/python \
	  $(BIN)/python -m pytest tests/profilers/tensorflow; done
	FWTOP_TENSORFLOW_PYTHON=$(CURDIR)/build/tf-keras/bin/python \
	  $(BIN)/python -m pytest tests/profilers/tensorflow -k keras
	FWTOP_JAX_PYTHON=$(CURDIR)/build/keras-jax/bin/python \
	  $(BIN)/python -m pytest tests/profilers -k jax

build/tensorflow-%/.installed:
	$(PYTHON) -m venv build/tensorflow-$*
	build/tensorflow-$*/bin/python -m pip install --quiet tensorflow-cpu==$* tensorboard "setuptools<81"
	touch $@

build/tf-keras/.installed:
	$(PYTHON) -m venv build/tf-keras
	build/tf-keras/bin/python -m pip install --quiet $(firstword $(TF_KERAS)) "setuptools<81"
	build/tf-keras/bin/python -m pip install --quiet --no-deps $(lastword $(TF_KERAS))
	touch $@

build/keras-jax/.installed:
	$(PYTHON) -m venv build/keras-jax
	build/keras-jax/bin/python -m pip install --quiet $(foreach it,$(KERAS_ON_JAX),'$(it)')
	touch $@

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
