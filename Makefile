.DEFAULT_GOAL := help
.PHONY: help install serve test test-all lint format render docs lock audit sbom ci

help:  ## Show what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## Install the package, editable, with everything that development needs.
	python -m pip install --editable ".[dev]"
	pre-commit install

serve:  ## Serve on port 7860.
	python server.py

test:  ## Run the quick tests, as README has it.
	python -m pytest

test-all:  ## Run all tests, the slow ones too, and property tests with many examples.
	python -m pytest
	python -m pytest -m "slow or hypothesis" --hypothesis-profile=thorough

lint:  ## Check style and types.
	ruff check .
	ruff format --check .
	mypy
	mypy server.py  # on its own: mypy, like import, takes server/ for the module of that name

format:  ## Mend what can be mended without thinking.
	ruff check --fix .
	ruff format .

render:  ## Render openenv.yaml, data of the page, examples of answers and the tables of the documents from the code.
	python -m bench.render_manifest
	python -m bench.render_page
	python -m bench.render_examples
	python -m docs.render

docs:  ## Build the documentation as a site, in build/site; needs the extra docs.
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

LOCKED := CUSTOM_COMPILE_COMMAND="make lock" pip-compile --quiet --generate-hashes --no-reuse-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock:  ## Pin what the image installs. Keeps the pins that still fit; remove the lock files first to renew them all.
	$(LOCKED) --extra postgres --extra sealed --output-file requirements.lock pyproject.toml
	$(LOCKED) --only-build-deps --build-deps-for wheel --output-file requirements-build.lock pyproject.toml

audit:  ## Look up known vulnerabilities of what the image installs; needs the network, and fails where it cannot look.
	pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock --requirement requirements-build.lock

sbom:  ## Write dist/sbom.json, a CycloneDX list of what the image installs.
	mkdir -p dist
	cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json

ci:  ## Everything that must hold, in fresh virtual environments.
	.ci/run
