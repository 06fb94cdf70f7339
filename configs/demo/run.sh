#!/usr/bin/env bash
# The demo: real text to two whole lineages, traced and compared. Run again, it executes no stage. Data stays in .begat/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export BEGAT_DATA="${BEGAT_DATA:-$PWD/.begat/demo}"
programs="${CARGO_TARGET_DIR:-target}/debug"
begat="$programs/begat"
sources=".begat/demo-sources"
started=$SECONDS
launched=()
say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

bash configs/demo/sources.sh "$begat" "$sources"

say "Starting begatd on $BEGAT_DATA"
"$begat" daemon start
say "Adding the datasets"
for dataset in corpus sft heldout prompts-preference prompts-rl; do
	"$begat" add "$sources/$dataset" --name "demo/$dataset"
done

say "Both lineages, and GPT-2's shape besides (a quarter of an hour on two cores; a second time, nothing is run)"
begun=$SECONDS
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
for recipe in gpt llama gpt2; do
	"$begat" launch "configs/recipes/$recipe.toml" --follow > "$logs/$recipe" 2> >(sed -u "s/^/$(printf %-7s $recipe)/" >&2) &
	launched+=($!)
done
for launch in "${launched[@]}"; do wait "$launch"; done
trained=$((SECONDS - begun))

python3 configs/demo/summary.py "$begat"
say "The two lineages side by side"
"$begat" compare gpt llama
say "Where the model after PPO came from"
"$begat" lineage gpt/ppo
say "Next, try"
cat <<NEXT
  $begat --data ${BEGAT_DATA#"$PWD"/} reproduce gpt/ppo
  $begat --data ${BEGAT_DATA#"$PWD"/} sample llama/dpo $'/// Returns true if the list is empty.\\npub fn' -n 3
  $begat --data ${BEGAT_DATA#"$PWD"/} show gpt/evaluate_ppo
NEXT
printf '\nTraining and evaluation took %d s, everything after the build %d s. Stop the daemon with: %s --data %s daemon stop\n' \
	"$trained" "$((SECONDS - started))" "$begat" "${BEGAT_DATA#"$PWD"/}"
