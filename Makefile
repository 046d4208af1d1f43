# Posthaste. `make help` lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check fmt lint docs unit examples venv python pythons infra image-check deny bench fuzz

# Arguments of `make run`, such as: make run ARGS='--once --fresh'
ARGS ?=
PYTHON ?= python3
TOOLCHAIN := need() { command -v cargo >/dev/null || { \
	echo "cargo is missing: install Rust 1.95 or newer with rustup" >&2; exit 1; }; \
	command -v cc >/dev/null || { echo "a C linker (cc) is missing: apt-get install gcc libc6-dev, or xcode-select --install" >&2; exit 1; }; }; need

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: ## Run everything on this machine: Postgres, API, dispatcher, samples, a live view (ARGS='--once')
	@$(TOOLCHAIN)
	@[ -x $${CARGO_TARGET_DIR:-target}/debug/posthaste ] || echo "building posthaste: the first build takes some minutes, later ones seconds" >&2
	@if [ -x $${CARGO_TARGET_DIR:-target}/debug/posthaste ]; then cargo build --quiet --bin posthaste; else cargo build --bin posthaste; fi
	@exec $${CARGO_TARGET_DIR:-target}/debug/posthaste dev $(ARGS)

test: check unit python infra ## Everything that CI runs: check, then all tests

check: fmt lint docs examples deny ## Formatting, lints, rustdoc, examples, dependencies

fmt:
	@$(TOOLCHAIN)
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Plain cargo: one Postgres then serves all tests of a binary; a process per test would start one each.
unit: venv
	cargo test --workspace --locked

examples:
	@if command -v $(PYTHON) >/dev/null; then \
		$(PYTHON) -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]' examples/functions/*.py examples/orders/python/*.py; \
	else echo "no $(PYTHON): the Python examples were not checked" >&2; fi

# The virtual environment is beside the build, and made again when what it holds changes. Tests of both languages use it.
venv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.10 or newer, with venv" >&2; exit 1; }
	@venv="$$(realpath -m "$${CARGO_TARGET_DIR:-target}")/venv"; cd sdk-python; \
	wanted="$$(pwd; $(PYTHON) --version; cat pyproject.toml tests/requirements.txt)"; \
	if [ "$$wanted" != "$$(cat "$$venv/holds" 2>/dev/null)" ]; then \
		$(PYTHON) -m venv --clear "$$venv"; "$$venv/bin/pip" install --quiet -r tests/requirements.txt -e .; echo "$$wanted" > "$$venv/holds"; fi

python: venv ## The Python SDK: types, lints, tests against the real binary
	@$(TOOLCHAIN)
	cargo build --locked --workspace --bin posthaste --example axum
	@venv="$$(realpath -m "$${CARGO_TARGET_DIR:-target}")/venv/bin"; cd sdk-python; \
	"$$venv/ruff" check .; "$$venv/ruff" format --check .; "$$venv/mypy" --strict -p posthaste; "$$venv/pytest"
	@$(MAKE) --no-print-directory pythons

# What needs no server, on each other Python that the package promises, with none of the stacks that it works with.
pythons: venv ## The Python SDK's types and unit tests on the other Pythons of this machine
	@target="$$(realpath -m "$${CARGO_TARGET_DIR:-target}")"; cd sdk-python; \
	own="$$($(PYTHON) -c 'import sys; print(sys.version_info.minor)')"; \
	for minor in 10 11 12 13 14; do \
		[ $$minor != "$$own" ] || continue; \
		found=; for each in python3.$$minor ~/.pyenv/versions/3.$$minor.*/bin/python3; do \
			if "$$each" --version >/dev/null 2>&1; then found="$$each"; break; fi; done; \
		if [ -z "$$found" ]; then echo "NOT CHECKED: Python 3.$$minor is not on this machine" >&2; continue; fi; \
		other="$$target/venv-3.$$minor"; packages="$$(grep -E '^(mypy|pydantic|pytest)==' tests/requirements.txt)"; \
		wanted="$$(pwd; "$$found" --version; cat pyproject.toml; echo "$$packages")"; \
		if [ "$$wanted" != "$$(cat "$$other/holds" 2>/dev/null)" ]; then \
			"$$target/venv/bin/uv" venv --quiet --clear --python "$$("$$found" -c 'import sys; print(sys.executable)')" "$$other"; \
			"$$target/venv/bin/uv" pip install --quiet --python "$$other/bin/python" $$packages -e .; echo "$$wanted" > "$$other/holds"; fi; \
		"$$other/bin/python" --version; "$$other/bin/mypy" --strict -p posthaste; \
		"$$other/bin/pytest" --ignore=tests/producer --ignore-glob='*_e2e.py' \
			--ignore=tests/test_dev.py --ignore=tests/test_docs.py --ignore=tests/test_readme.py --ignore=tests/test_tutorials.py; \
	done

# Terraform itself comes from no package registry: without one the tests say what they did not check, and check the rest.
infra: ## The Terraform modules and the container file: terraform test, checkov, hadolint, a real Postgres (no size: image-check)
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.10 or newer, with venv" >&2; exit 1; }
	@$(TOOLCHAIN)
	cargo build --locked --workspace --bin posthaste
	@venv="$$(realpath -m "$${CARGO_TARGET_DIR:-target}")/venv-infra"; cd terraform/tests; \
	wanted="$$(pwd; $(PYTHON) --version; cat requirements.txt)"; \
	if [ "$$wanted" != "$$(cat "$$venv/holds" 2>/dev/null)" ]; then \
		echo "installing checkov and hadolint: 300 MB, a minute or two, once" >&2; \
		$(PYTHON) -m venv --clear "$$venv"; "$$venv/bin/pip" install --quiet uv; \
		"$$venv/bin/uv" pip install --quiet --python "$$venv/bin/python" -r requirements.txt; echo "$$wanted" > "$$venv/holds"; fi; \
	"$$venv/bin/pytest" $(ARGS)

image-check: ## Run the container file's build as it is, on its context, and measure the binary (some minutes)
	POSTHASTE_IMAGE_CHECK=1 $(MAKE) --no-print-directory infra ARGS='-s test_container.py'

deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	else echo "no cargo-deny: licences and bans were not checked" >&2; fi

fuzz: ## Mutate hostile tokens, JSON, headers and expressions for an hour, and fail on what panics or passes (ARGS='SECONDS SEED SURFACE')
	@$(TOOLCHAIN)
	cargo run --profile fuzz --locked -p posthaste-fuzz -- $(ARGS)

bench: ## Measure against the targets, bare HTTP and the peers (ARGS='--quick'); the report goes to docs/reference
	@$(TOOLCHAIN)
	cargo build --release --locked -p posthaste-benches -p posthaste-cli
	@cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}/peers" \
		|| echo "the peers did not build: they are left out of the report" >&2
	"$${CARGO_TARGET_DIR:-target}/release/bench" run --out docs/reference/benchmark.md $(ARGS)
