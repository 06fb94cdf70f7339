#!/usr/bin/env bash
# `make parity`: compares begat with transformers and TRL from PyPI. Each TRL has an environment of its own, and all share
# one PyTorch. PARITY_PYTHON (TRL 1.16.0), PARITY_PYTHON_PPO (TRL 1.12.0) and PARITY_PYTHON_SMOOTHED (TRL 0.27.2) name
# Pythons that have the packages already; PARITY_SEED (0) changes the random inputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
folder=daemon/trainer/parity
export PYTHONDONTWRITEBYTECODE=1

# environment NAME: makes .venv-parity/NAME with the packages of requirements/NAME.txt, unless it is there.
environment() {
	local venv="$PWD/.venv-parity/$1" wanted="$folder/requirements/$1.txt"
	if ! cmp -s "$wanted" "$venv/requirements.txt"; then
		echo "parity: installing $1 into .venv-parity ($2)" >&2
		rm -rf "$venv"
		python3 -m venv "$venv"
		if [ "$1" != base ]; then
			"$PWD/.venv-parity/base/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
				>"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
		fi
		"$venv/bin/pip" install --quiet --requirement "$wanted"
		cp "$wanted" "$venv/requirements.txt"
	fi
}

# python VARIABLE TRL: names the Python of an environment in VARIABLE, unless it is set.
python() {
	if [ -z "${!1:-}" ]; then
		environment base "PyTorch, about 3 GB to fetch, once"
		environment "$2" "about 100 MB to fetch, once"
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
