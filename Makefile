# The front door: each target does its own set-up. The build itself is Meson's (meson.build).
.DEFAULT_GOAL := build
BUILD := build
PYTHON := .venv/bin/python

.PHONY: build setup pythons test bench demo lint format sanitize install clean fresh help

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## Install what the build and the tests need (apt, a virtual environment)
	@scripts/setup.sh

build: setup ## build/lowtide
	@scripts/build.sh $(BUILD)

pythons: ## List the interpreters to test with; get the missing ones from Debian testing
	@python3 scripts/pythons.py

test: build pythons ## Every test
	@$(PYTHON) scripts/run_tests.py --build $(BUILD)
