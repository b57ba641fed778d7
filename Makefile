# The front door: each target does its own set-up, then its work. The build itself is Meson's (meson.build).
.DEFAULT_GOAL := build
BUILD := build
PREFIX := /usr/local
VENV := .venv/bin/python
SANITIZE := -Db_sanitize=address,undefined -Db_lundef=false

.PHONY: help build demo test bench lint format sanitize pythons install clean fresh

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

build: ## Build build/lowtide
	@scripts/setup.sh build
	@scripts/build.sh $(BUILD)

demo: build ## Start a leaking web shop and show what doctor says about it
	@scripts/demo.sh $(BUILD)

test: ## Run every test
	@scripts/setup.sh test
	@scripts/build.sh $(BUILD)
	@scripts/build.sh build-sanitize $(SANITIZE)
	@python3 scripts/pythons.py
	@$(VENV) scripts/run_tests.py --build $(BUILD) --sanitized build-sanitize

bench: ## Measure stall, speed and memory, with the peer beside it
	@scripts/setup.sh bench
	@scripts/build.sh build-release --buildtype=release
	@python3 scripts/pythons.py
	@$(VENV) scripts/bench.py --build build-release

lint: ## Check format, clang-tidy, shell and Python scripts
	@scripts/setup.sh lint
	@scripts/lint.sh

format: ## Format the C sources
	@git ls-files '*.[ch]' | xargs clang-format -i

sanitize: ## Unit, CLI and live tests with AddressSanitizer and UBSan
	@scripts/setup.sh test
	@scripts/build.sh build-sanitize $(SANITIZE)
	@python3 scripts/pythons.py
	@$(VENV) scripts/run_tests.py --build build-sanitize --only unit --only cli --only live

pythons: ## List the interpreters to test with; get the missing ones from Debian testing
	@python3 scripts/pythons.py

install: ## Install to PREFIX (default /usr/local)
	@scripts/setup.sh build
	@scripts/build.sh build-install --buildtype=release --prefix=$(PREFIX) -Dtests=false
	@meson install -C build-install --no-rebuild

clean: ## Remove what the build made (not .venv and .pythons)
	@rm -rf build build-*

fresh: ## Try `make demo` and `make test` in a bare Debian
	@scripts/fresh-machine.sh
