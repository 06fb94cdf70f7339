#!/usr/bin/env python3
"""Compares begat with transformers and TRL.

    parity.py check BEGAT_STAGE PARITY     compares: each row max|a − b| / max|b|, at most 1e-5
    parity.py goldens OUT                  writes the golden values that the ordinary tests compare with

Run by TRL 1.16.0's Python; PARITY_PYTHON_PPO and PARITY_PYTHON_SMOOTHED name those of TRL 1.12.0 and 0.27.2. PARITY is
the example `parity` of begat-trainer. PARITY_SEED (0) changes the random inputs of a check.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_PROGRESS_BARS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Fixed sums on the other side as well, and no accelerator that happens to be there.
os.environ.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

from safetensors.torch import load_file

import models
from table import Table, largest

HERE = Path(__file__).parent
KEPT = ["reward-llama-margin-centred", "dpo-llama-nll", "dpo-gpt2-smoothed", "sft-step-float64-gpt2", "generate-gpt2",
        "generate-llama", "ppo-gpt2-k1-rollout", "ppo-gpt2-k1-update-2", "ppo-llama-k3-whitened-penalty-rollout",
        "ppo-llama-k3-whitened-penalty-update-2"]
OVER_TOKENS = "; over tokens, where TRL's own mean goes over padding as well"
# A mean of scores may nearly cancel: it is exact to the rounding of the scores that it is made of.
MEANS = {("reward", "margin"): "scores", ("reward", "mean_reward"): "scores"}
NOTES = {("ppo_update", "approximate_kl"): OVER_TOKENS, ("ppo_update", "entropy"): OVER_TOKENS,
         ("ppo_update", "ratio"): OVER_TOKENS,
         ("ppo_rollout", "log_probabilities"): "; TRL divides logits by T + 1e-7, begat by T",
         ("ppo_rollout", "advantages"): "; whitened by the unbiased variance on both sides"}


def write_cases(out, size, seed):
    """Each TRL in an environment of its own, all at once."""
    pythons = {"with_trl_1_16.py": sys.executable, "with_trl_1_12.py": os.environ["PARITY_PYTHON_PPO"],
               "with_trl_0_27.py": os.environ["PARITY_PYTHON_SMOOTHED"]}
    logs = {name: out.parent / f"{name}.log" for name in pythons}
    running = {name: subprocess.Popen([python, HERE / name, out, size, str(seed)], stdout=logs[name].open("w"),
                                      stderr=subprocess.STDOUT) for name, python in pythons.items()}
    bad = [name for name, process in running.items() if process.wait() != 0]
    for name in bad:
        print(f"{logs[name].read_text()[-4000:]}\n{name} failed", file=sys.stderr)
    if bad:
        sys.exit(1)


def compare_case(table, folder):
    about = json.loads((folder / "case.json").read_text())
    ours, theirs = load_file(folder / "ours.safetensors"), load_file(folder / "theirs.safetensors")
    groups = {}
    for key, value in theirs.items():
        group, _, name = key.partition("gradient.") if "gradient." in key else key.partition("parameter.")
        if name:
            groups.setdefault(key.removesuffix(name), {})[name] = (ours.get(key), value)
        elif about["kind"] == "generate":
            gap = f" (the two best logits are at least {about['smallest_gap']:.1e} apart)"
            table.compare(f"{folder.name}: {key}{gap}", about["against"], ours.get(key), value, limit=0.0)
        elif key in about.get("zero", []):
            table.compare_zeros(f"{folder.name}: {key}", about["against"], ours.get(key), value)
        elif not key.startswith("input."):
            note = NOTES.get((about["kind"], key), "")
            of = MEANS.get((about["kind"], key))
            note += f" (beside the largest of {of})" if of else ""
            scale = largest(theirs[of]) if of else None
            table.compare(f"{folder.name}: {key}{note}", about["against"], ours.get(key), value, scale=scale)
    for group, pairs in groups.items():
        table.compare_all(f"{folder.name}: {group.removesuffix('.')}s", about["against"], pairs)


def check(stage, program):
    table = Table()
    with tempfile.TemporaryDirectory() as work:
        models.check_theirs(table, stage, work)
        models.check_ours(table, stage, work)
        cases = Path(work) / "cases"
        cases.mkdir()
        write_cases(cases, "usual", int(os.environ.get("PARITY_SEED", "0")))
        folders = sorted(cases.iterdir())
        subprocess.run([program, *folders], check=True)
        for folder in folders:
            compare_case(table, folder)
    return table.verdict()


def write_goldens(out):
    models.write_goldens(out)
    with tempfile.TemporaryDirectory() as work:
        cases = Path(work) / "cases"
        cases.mkdir()
        write_cases(cases, "small", 0)
        shutil.rmtree(out / "trl", ignore_errors=True)
        for name in KEPT:
            shutil.copytree(cases / name, out / "trl" / name)


def main():
    match sys.argv[1:]:
        case ["goldens", out]:
            write_goldens(Path(out))
        case ["check", stage, program]:
            sys.exit(0 if check(stage, program) else 1)
        case _:
            sys.exit(__doc__)


main()
