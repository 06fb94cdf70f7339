#!/usr/bin/env bash
# The demo: real text to two trained, traceable models. Run again, it executes no stage. Data stays in .begat/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export BEGAT_DATA="${BEGAT_DATA:-$PWD/.begat/demo}"
programs="${CARGO_TARGET_DIR:-target}/debug"
begat="$programs/begat"
sources=".begat/demo-sources"
started=$SECONDS
say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

pins=$(cat configs/demo/Cargo.lock "$begat" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$sources/.pins" 2>/dev/null)" != "$pins" ]; then
	say "Building the demo's datasets from the sources of the crates in configs/demo (about 50 MB to fetch)"
	rm -rf "$sources"
	"$begat" demo-data "$sources"
	echo "$pins" > "$sources/.pins"
fi

say "Starting begatd on $BEGAT_DATA"
"$begat" daemon start
say "Adding the datasets"
for dataset in corpus sft heldout prompts-preference prompts-rl; do
	"$begat" add "$sources/$dataset" --name "demo/$dataset"
done

say "Training both architectures side by side (some minutes on two cores; a second time, nothing is run)"
begun=$SECONDS
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
"$begat" launch configs/recipes/gpt.toml --follow > "$logs/gpt" 2> >(sed -u 's/^/gpt    /' >&2) &
gpt=$!
"$begat" launch configs/recipes/llama.toml --follow > "$logs/llama" 2> >(sed -u 's/^/llama  /' >&2) &
llama=$!
wait "$gpt"
wait "$llama"
trained=$((SECONDS - begun))

python3 configs/demo/summary.py "$begat"
say "Where the fine-tuned GPT-2 came from"
"$begat" lineage gpt/sft
say "Next, try"
cat <<NEXT
  $begat --data ${BEGAT_DATA#"$PWD"/} reproduce gpt/sft
  $begat --data ${BEGAT_DATA#"$PWD"/} sample llama/sft \$'/// Returns true if the list is empty.\\npub fn' -n 3
  $begat --data ${BEGAT_DATA#"$PWD"/} show gpt/sft
NEXT
printf '\nTraining and evaluation took %d s, everything after the build %d s. Stop the daemon with: %s --data %s daemon stop\n' \
	"$trained" "$((SECONDS - started))" "$begat" "${BEGAT_DATA#"$PWD"/}"
