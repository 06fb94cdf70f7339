"""Prints the demo's closing table from what `begat --json` says: nothing in it is computed here but the constant answer's row."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

begat = sys.argv[1]


def ask(*arguments):
    answer = subprocess.run([begat, "--json", *arguments], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def stage(recipe, name):
    launch = ask("show", recipe)
    row = next(row for row in launch["stages"] if row["stage"] == name)
    return row, ask("show", row["run"])


def samples(report):
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "report"
        subprocess.run([begat, "checkout", report, str(target)], check=True, capture_output=True)
        return [json.loads(line) for line in (target / "samples.jsonl").read_text().splitlines()]


def number(metrics, name):
    value = metrics.get(name)
    return f"{value:.3f}" if isinstance(value, float) else "–"


columns = ["recipe", "stage", "run", "checkpoint", "held-out loss", "gold", "gold, greedy", "parses", "unique", "tokens", "KL", "seconds"]
checkpoints = {
    "gpt2": ["pretrain", "sft"],
    "gpt": ["pretrain", "sft", "ppo"],
    "llama": ["pretrain", "sft", "dpo"],
}
rows, shown = [], {}
for recipe, stages in checkpoints.items():
    for trained in stages:
        row, run = stage(recipe, trained)
        verdict, evaluation = stage(recipe, f"evaluate_{trained}")
        metrics = evaluation["metrics"]
        rows.append(
            [
                recipe,
                trained,
                row["run"][:12],
                row["outputs"]["model"][:12],
                number(metrics, "eval_loss"),
                number(metrics, "gold_score"),
                number(metrics, "gold_score_greedy"),
                number(metrics, "parses"),
                number(metrics, "unique"),
                number(metrics, "mean_length"),
                number(metrics, "kl"),
                f"{run['seconds']:.0f}",
            ]
        )
        shown[recipe, trained] = samples(verdict["outputs"]["report"])
        constant = metrics.get("gold_score_constant")

if constant is not None:
    rows.append(["–", "always ` is_empty(&self) -> bool`", "–", "–", "–", f"{constant:.3f}", f"{constant:.3f}", "1.000", *"–" * 4])

widths = [max(len(str(row[at])) for row in [columns, *rows]) for at in range(len(columns))]
print("\nRuns (gold: likeness of a sampled signature to the real one, 0 to 1, by a rule; the first 600 held-out prompts)\n")
for row in [columns, ["─" * width for width in widths], *rows]:
    print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())

print("\nSamples: the first held-out prompts, not picked")
for at in range(4):
    first = shown["gpt", "pretrain"][at]
    print(f"\n  {first['prompt'].splitlines()[0]}")
    print(f"    {'the real one':<18}{first['reference'].strip()}")
    for (recipe, trained), completions in shown.items():
        text = " ".join(completions[at]["completion"].split())
        print(f"    {recipe + ' ' + trained:<18}{text[:90]}")
