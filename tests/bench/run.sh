#!/usr/bin/env bash
# `make bench`: prepares the peers (PyTorch, transformers and TRL from PyPI, restic and jemalloc from Debian) and measures.
# Arguments choose parts: store models align checkpoints telemetry daemon scrape. BENCH_ROUNDS (5), BENCH_PYTHON and BENCH_PPO_PYTHON (Pythons
# that have the peers; PPO needs an older TRL), BENCH_DATA (the demo's datasets) and BENCH_WORK (room for about 5 GB) may be set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/tools/venv.sh
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

# Two versions of TRL, since the newer one has no PPO any more, over one PyTorch.
peer() {
	python_environment .venv-bench/torch tests/bench/requirements.txt &&
		python_environment ".venv-bench/$1" "tests/bench/requirements-$1.txt" .venv-bench/torch &&
		echo "$PWD/.venv-bench/$1/bin/python"
}
if [ -z "${BENCH_PYTHON:-}" ] || [ -z "${BENCH_PPO_PYTHON:-}" ]; then
	echo "bench: looking after PyTorch, transformers and TRL in .venv-bench (about 3 GB to fetch, once)" >&2
fi
BENCH_PYTHON="${BENCH_PYTHON:-$(peer trl)}"
BENCH_PPO_PYTHON="${BENCH_PPO_PYTHON:-$(peer ppo)}"
export BENCH_PYTHON BENCH_PPO_PYTHON

echo "bench: building what is measured" >&2
# The whole workspace, so that what `make build` made is used: fewer crates would have other features, and be built anew.
cargo build --quiet --workspace --bins --example bench_trainer --example store_bench --example many_runs

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
