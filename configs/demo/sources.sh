#!/usr/bin/env bash
# Builds the demo's datasets into FOLDER from the sources of the crates that Cargo.toml here names, unless they are there:
# sources.sh BEGAT FOLDER.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
begat=$1
folder=$2

pins=$(cat configs/demo/Cargo.lock "$begat" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/.pins" 2>/dev/null)" = "$pins" ]; then
	exit 0
fi
printf '\n\033[1m%s\033[0m\n' "Building the demo's datasets from the sources of the crates in configs/demo (about 50 MB to fetch)" >&2
rm -rf "$folder"
"$begat" demo-data "$folder"
echo "$pins" > "$folder/.pins"
