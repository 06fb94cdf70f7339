#!/usr/bin/env bash
# Runs every test and says how many ran. Tests that could not run for want of a tool are listed; in CI they are failures.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
log=$(mktemp)
skipped=$(mktemp)
trap 'rm -f "$log" "$skipped"' EXIT
export BEGAT_NOT_RUN="$skipped"

echo "Building and testing; the first build takes some minutes on two cores." >&2
cargo build --workspace --bins --examples
status=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?

passed=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
failed=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
if [ -s "$skipped" ]; then
	echo
	echo "Not run, for want of a tool:"
	sort "$skipped"
	[ -z "${CI:-}" ] || status=1
fi
echo
echo "$passed passed, $failed failed"
exit "$status"
