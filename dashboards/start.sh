#!/usr/bin/env bash
# Starts Debian's Prometheus on the shipped configuration beside the daemon that runs, in the foreground. Samples stay in
# .begat/monitoring.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs="${CARGO_TARGET_DIR:-target}/debug"
data="${BEGAT_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/begat}"
folder=.begat/monitoring
address="${BEGAT_PROMETHEUS:-127.0.0.1:9090}"
prometheus=.tools/usr/bin/prometheus
fail() { echo "monitoring: $*" >&2; exit 1; }

[ -x "$prometheus" ] || fail "no $prometheus: there is no apt here; install Prometheus and start it on dashboards/prometheus"
"$programs/begat" --data "$data" daemon status >/dev/null 2>&1 || fail "no daemon serves $data: start one with \`begat daemon start\`"
daemon=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["tcp"] or "")' "$data/endpoint.json")
[ -n "$daemon" ] || fail "the daemon of $data listens on its socket only: set \`listen\` in its configuration"

"$programs/begatd" dashboards --install "$folder" --overwrite
printf -- '- targets: ["%s"]\n' "$daemon" > "$folder/prometheus/targets/begatd.yml"
cat <<WHERE
Prometheus: http://$address scrapes begatd at $daemon
Alerts:     http://$address/alerts (without an Alertmanager at 127.0.0.1:9093 nobody is paged)
Boards:     $folder/grafana/boards, for a Grafana whose Prometheus this is; dashboards/README.md says how
Stop it with Ctrl-C.
WHERE
exec "$prometheus" --config.file="$folder/prometheus/prometheus.yml" --storage.tsdb.path="$folder/samples" \
	--web.listen-address="$address" --enable-feature=exemplar-storage --log.level=warn
