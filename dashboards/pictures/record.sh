#!/usr/bin/env bash
# Lets Debian's Prometheus watch a daemon that runs both recipes, each from nothing: record.sh FOLDER SIZE, where SIZE is
# `demo` or `test`. FOLDER then holds the samples, and in `times` when it began and ended.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1
size=$2
programs="${CARGO_TARGET_DIR:-target}/debug"
sources=.begat/demo-sources
begat="$programs/begat"
export BEGAT_DATA="$PWD/$folder/data"
say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

rm -rf "$folder"
mkdir -p "$folder"
case $size in
demo)
	prefix=demo
	recipes=(gpt llama)
	paths=configs/recipes
	settings=()
	bash configs/demo/sources.sh "$begat" "$sources"
	;;
test)
	prefix=test
	recipes=(test-align-gpt test-align-llama)
	paths=configs/recipes/test
	settings=(--set model=test-gpt2) # one base model for both, as in the demo
	sources="$folder/sources"
	python3 -B dashboards/pictures/small.py "$sources"
	;;
*)
	echo "pictures: SIZE is demo or test, not $size" >&2
	exit 1
	;;
esac
launch() { "$begat" launch "$paths/${1#test-}.toml" "${settings[@]}" --follow >/dev/null; }

stop() {
	bash dashboards/pictures/prometheus.sh stop "$folder"
	"$begat" daemon stop >/dev/null 2>&1 || true
}
trap stop EXIT
say "Starting begatd on $folder/data, and Prometheus beside it"
"$begat" daemon start -- --listen 127.0.0.1:0
daemon=$(sed -n 's/.*"tcp": *"\([^"]*\)".*/\1/p' "$BEGAT_DATA/endpoint.json")
bash dashboards/pictures/prometheus.sh start "$folder" "$daemon"
began=$(date +%s)
for dataset in "$sources"/*/; do
	"$begat" add "$dataset" --name "$prefix/$(basename "$dataset")" >/dev/null
done

say "Both recipes, from nothing"
launched=()
for recipe in "${recipes[@]}"; do
	launch "$recipe" 2> >(sed -u "s/^/$recipe: /" >&2) &
	launched+=($!)
done
for launch in "${launched[@]}"; do wait "$launch"; done

say "What people do besides: a launch that finds everything, a reproduction, a check, a checkout"
launch "${recipes[0]}"
"$begat" reproduce "${recipes[0]}/tokenizer" >/dev/null
"$begat" fsck >/dev/null
"$begat" checkout "${recipes[0]}/ppo" "$folder/checkout" >/dev/null
sleep 6 # a few scrapes, so that the last of it has been seen
echo "$began $(date +%s)" > "$folder/times"
