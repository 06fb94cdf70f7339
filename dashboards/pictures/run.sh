#!/usr/bin/env bash
# Draws every board with Grafana's panel components, in both themes, from what a real Prometheus answers. At first,
# both recipes are run for it; their samples stay in .begat/pictures/SIZE, and pictures are drawn from them again.
# SIZE is `demo` (a quarter of an hour) or `test` (a minute). BEGAT_PROMETHEUS=URL asks a Prometheus that is there
# instead, for the last BEGAT_MINUTES. ONLY=comparison draws the pictures alone whose names have that in them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=dashboards/pictures
size="${SIZE:-demo}"
folder=".begat/pictures/$size"
fail() { echo "pictures: $*" >&2; exit 1; }
say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

command -v npm >/dev/null || fail "there is no npm: install Node.js 20.19 or later"
export CHROMIUM="${CHROMIUM:-$(command -v chromium || true)}"
[ -n "$CHROMIUM" ] || fail "there is no chromium: \`apt-get install chromium\`, or name one in CHROMIUM"

installed="$here/node_modules/.package-lock.json"
if [ ! -e "$installed" ] || [ "$here/package-lock.json" -nt "$installed" ]; then
	say "Fetching Grafana's components (500 MB)"
	npm --prefix "$here" ci
fi
npm --prefix "$here" run --silent check
npm --prefix "$here" run --silent build >/dev/null

if [ -n "${BEGAT_PROMETHEUS:-}" ]; then
	out=.begat/pictures/drawn
	now=$(date +%s)
	from=$((now - ${BEGAT_MINUTES:-60} * 60))
	node "$here/dist/program/main.js" "$BEGAT_PROMETHEUS" "$from" "$now" "$out" "${ONLY:-}"
	exit
fi
[ -e "$folder/times" ] || bash "$here/record.sh" "$folder" "$size"
trap 'bash "$here/prometheus.sh" stop "$folder"' EXIT
bash "$here/prometheus.sh" start "$folder"
read -r from to < "$folder/times"
say "Drawing"
node "$here/dist/program/main.js" "http://$(cat "$folder/prometheus.address")" "$from" "$to" "$folder/drawn" "${ONLY:-}"
