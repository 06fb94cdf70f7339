# Everything that begat can be asked to do from a clone. `make demo` and `make test` need nothing before them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo seeds test build libtorch tools schemas metrics-table dashboards monitoring pictures parity bench drill lint install clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

libtorch: ## fetch the pinned libtorch (CUDA=1: what a GPU needs besides)
	@CUDA=$(CUDA) bash daemon/trainer/libtorch/fetch.sh

build: libtorch ## build begatd, begat and begat-stage into target/debug
	@echo "Building begat; the first time this compiles libtorch's bindings and takes some minutes on two cores." >&2
	@cargo build --workspace --bins

demo: build ## from real text to two whole lineages, traced and compared, in one command
	@bash configs/demo/run.sh

tools: ## fetch what the tests need of Debian's packages, without root, into .tools
	@bash tests/tools/fetch.sh

seeds: demo ## the demo's claims over three seeds, its settings beside others, and reward hacking (half an hour more)
	@for part in seeds choose hacked; do \
		BEGAT_DATA="$${BEGAT_DATA:-$$PWD/.begat/demo}" python3 configs/demo/experiment.py "$${CARGO_TARGET_DIR:-target}/debug/begat" $$part; \
	done

test: libtorch tools ## run every test, and say how many there were
	@bash tests/tools/test.sh

schemas: ## write the generated JSON Schemas and the OpenAPI document
	@cargo run --quiet -p begat-schemas --bin begat-schemas
	@cargo run --quiet -p begatd --bin begatd -- openapi > schemas/json/openapi.json.new
	@mv schemas/json/openapi.json.new schemas/json/openapi.json

metrics-table: ## write the table of all metrics
	@cargo run --quiet -p begatd --bin begatd -- metrics-table > dashboards/METRICS.md.new
	@mv dashboards/METRICS.md.new dashboards/METRICS.md

dashboards: ## write the generated boards, rules and configuration for monitoring
	@python3 -B dashboards/generate

monitoring: build tools ## start Debian's Prometheus beside the daemon that runs (BEGAT_DATA names its data folder)
	@bash dashboards/start.sh

pictures: build tools ## draw the boards with Grafana's panel components in Chromium (npm, 500 MB; runs both recipes first)
	@bash dashboards/pictures/run.sh

lint: libtorch ## format, clippy with warnings denied, licences, bans and sources
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	@bash tests/tools/deny.sh

parity: build ## compare with transformers and TRL from PyPI (downloads about 3 GB once)
	@bash daemon/trainer/parity/run.sh

bench: build tools ## measure, each figure beside a baseline of the same run (downloads about 3 GB once)
	@bash tests/bench/run.sh

drill: build ## the kill, resume and reproduce tests at demo size (hours)
	@cargo test -p begat-tests --test drill -- --nocapture --test-threads=1

install: build ## install the three programs into ~/.cargo/bin
	@cargo install --quiet --locked --debug --path daemon/server
	@cargo install --quiet --locked --debug --path client
	@cargo install --quiet --locked --debug --path daemon/trainer

clean: ## remove what was built, but neither libtorch nor data
	@cargo clean
