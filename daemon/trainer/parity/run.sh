#!/usr/bin/env bash
# `make parity`: compares begat's models with transformers' from PyPI. PARITY_PYTHON names a Python that has the packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
folder=daemon/trainer/parity
if [ -z "${PARITY_PYTHON:-}" ]; then
	if ! cmp -s "$folder/requirements.txt" .venv-parity/requirements.txt; then
		echo "parity: installing PyTorch and transformers into .venv-parity (about 3 GB to fetch, once)" >&2
		python3 -m venv .venv-parity
		.venv-parity/bin/pip install --quiet --requirement "$folder/requirements.txt"
		cp "$folder/requirements.txt" .venv-parity/
	fi
	PARITY_PYTHON=.venv-parity/bin/python
fi
"$PARITY_PYTHON" "$folder/parity.py" check "${CARGO_TARGET_DIR:-target}/debug/begat-stage"
