#!/usr/bin/env bash
# `make bench`: prepares the peers (PyTorch and transformers from PyPI, restic and jemalloc from Debian) and measures.
# Arguments choose parts: store models checkpoints daemon. BENCH_ROUNDS (5), BENCH_PYTHON (a Python that has the peers),
# BENCH_DATA (the demo's datasets) and BENCH_WORK (room for about 5 GB) may be set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
programs="${CARGO_TARGET_DIR:-target}/debug"
export BENCH_PROGRAMS="$programs"
export BENCH_WORK="${BENCH_WORK:-.begat/bench}"
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$BENCH_WORK"

bash tests/tools/fetch.sh
export BENCH_RESTIC="${BENCH_RESTIC:-.tools/usr/bin/restic}"
BENCH_JEMALLOC="${BENCH_JEMALLOC:-$(find "$PWD/.tools/usr/lib" -name libjemalloc.so.2 2>/dev/null | head -n1)}"
export BENCH_JEMALLOC
if [ ! -x "$BENCH_RESTIC" ] || [ -z "$BENCH_JEMALLOC" ]; then
	echo "bench: restic or jemalloc is missing; they come from Debian's packages (tests/tools/fetch.sh)" >&2
	exit 1
fi

if [ -z "${BENCH_PYTHON:-}" ]; then
	if ! cmp -s tests/bench/requirements.txt .venv-bench/requirements.txt; then
		echo "bench: installing PyTorch and transformers into .venv-bench (about 3 GB to fetch, once)" >&2
		python3 -m venv .venv-bench
		.venv-bench/bin/pip install --quiet --requirement tests/bench/requirements.txt
		cp tests/bench/requirements.txt .venv-bench/
	fi
	BENCH_PYTHON="$PWD/.venv-bench/bin/python"
fi
export BENCH_PYTHON

echo "bench: building what is measured" >&2
cargo build --quiet -p begat-trainer --bin begat-stage --example bench_trainer
cargo build --quiet -p begat-store --example store_bench

if [ -z "${BENCH_DATA:-}" ]; then
	BENCH_DATA=.begat/demo-sources
	if [ ! -d "$BENCH_DATA/heldout" ]; then
		echo "bench: building the demo's datasets (about 50 MB to fetch)" >&2
		rm -rf "$BENCH_DATA"
		"$programs/begat" demo-data "$BENCH_DATA"
	fi
fi
export BENCH_DATA

exec python3 tests/bench/bench.py "$@"
