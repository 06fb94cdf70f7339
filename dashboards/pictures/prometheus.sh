#!/usr/bin/env bash
# Debian's Prometheus on the shipped configuration, scraping ten times as often, because the recipes are short:
# prometheus.sh start FOLDER [ADDRESS OF THE DAEMON], which leaves its own address in FOLDER/prometheus.address;
# prometheus.sh stop FOLDER.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
action=$1
folder=$2
daemon=${3:-}
program=.tools/usr/bin/prometheus

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
	[ -x "$program" ] || { echo "pictures: no $program; \`make tools\` fetches it where there is an apt" >&2; exit 1; }
	python3 -B dashboards/generate --out "$folder/monitoring" --scale 0.1
	mkdir -p "$folder/monitoring/prometheus/targets"
	printf -- '- targets: [%s]\n' "${daemon:+\"$daemon\"}" > "$folder/monitoring/prometheus/targets/begatd.yml"
	printf -- '- targets: []\n' > "$folder/monitoring/prometheus/targets/alertmanager.yml"
	local address
	address=127.0.0.1:$(free_port)
	setsid "$program" --config.file="$folder/monitoring/prometheus/prometheus.yml" \
		--storage.tsdb.path="$folder/samples" --storage.tsdb.retention.time=10y \
		--web.listen-address="$address" --enable-feature=exemplar-storage --log.level=warn \
		>"$folder/prometheus.log" 2>&1 </dev/null &
	local pid=$!
	echo "$pid" > "$folder/prometheus.pid"
	until python3 -c "import urllib.request as r; r.urlopen('http://$address/-/ready')" 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || { cat "$folder/prometheus.log" >&2; exit 1; }
		sleep 0.2
	done
	echo "$address" > "$folder/prometheus.address"
}

# Waits for its end: what it has in memory is on the disk only then.
stop() {
	local pid
	pid=$(cat "$folder/prometheus.pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
	rm -f "$folder/prometheus.pid" "$folder/prometheus.address"
}

"$action"
