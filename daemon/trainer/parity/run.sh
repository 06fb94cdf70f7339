#!/usr/bin/env bash
# `make parity`: compares begat with transformers and TRL from PyPI. Each TRL has an environment of its own, and all share
# one PyTorch. PARITY_PYTHON (TRL 1.16.0), PARITY_PYTHON_PPO (TRL 1.12.0) and PARITY_PYTHON_SMOOTHED (TRL 0.27.2) name
# Pythons that have the packages already; PARITY_SEED (0) changes the random inputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
source tests/tools/venv.sh
folder=daemon/trainer/parity
export PYTHONDONTWRITEBYTECODE=1

# python VARIABLE TRL: names the Python of an environment in VARIABLE, unless it is set.
python() {
	if [ -z "${!1:-}" ]; then
		echo "parity: looking after $2 in .venv-parity (PyTorch is about 3 GB to fetch, once)" >&2
		python_environment .venv-parity/base "$folder/requirements/base.txt"
		python_environment ".venv-parity/$2" "$folder/requirements/$2.txt" .venv-parity/base
		printf -v "$1" '%s' "$PWD/.venv-parity/$2/bin/python"
	fi
	export "${1?}"
}

python PARITY_PYTHON trl-1.16.0
python PARITY_PYTHON_PPO trl-1.12.0
python PARITY_PYTHON_SMOOTHED trl-0.27.2
if [ $# -gt 0 ]; then
	exec "$PARITY_PYTHON" "$folder/parity.py" "$@"
fi
cargo build --quiet --workspace --bin begat-stage --example parity
programs="${CARGO_TARGET_DIR:-target}/debug"
exec "$PARITY_PYTHON" "$folder/parity.py" check "$programs/begat-stage" "$programs/examples/parity"
