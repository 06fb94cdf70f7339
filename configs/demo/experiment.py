"""The demo's claims over several seeds, its settings beside others, and reward hacking; results.md says how to read them.

`experiment.py BEGAT seeds [N]`: both recipes with the seeds 1 to N (3) of everything after pretraining, on the 600 held-out prompts.
`experiment.py BEGAT choose`: other settings of PPO and DPO, judged on prompts of the training crates that no stage reads.
`experiment.py BEGAT hacked`: what llama.toml's and hacked.toml's DPO did to the same SFT.

Prints Markdown. Nothing is computed here but means and intervals over what the reports of `evaluate` say.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

begat = sys.argv[1]
RECIPES = Path("configs/recipes")
Z = statistics.NormalDist().inv_cdf(0.975)
STRENGTHS = ("negligibly", "slightly", "better", "significantly")
# Rows of demo/prompts-preference from here on are read by no stage of the recipes.
SLICE = {"first_prompt": 2200, "prompts": 600}


def ask(*arguments):
    answer = subprocess.run([begat, "--json", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


class Launch:
    """A recipe that ran whole: its stages' metrics and reports."""

    def __init__(self, recipe, **changes):
        sets = [part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        launch = ask("launch", str(RECIPES / f"{recipe}.toml"), "--follow", *sets)
        self.stages = {stage["stage"]: stage for stage in launch["stages"]}

    def metrics(self, stage):
        return ask("show", self.stages[stage]["run"])["metrics"]

    def samples(self, stage):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "report"
            digest = self.stages[stage]["outputs"]["report"]
            subprocess.run([begat, "checkout", digest, str(target)], check=True, capture_output=True)
            return [json.loads(line) for line in (target / "samples.jsonl").read_text().splitlines()]


def interval(values):
    return statistics.fmean(values), Z * statistics.stdev(values) / len(values) ** 0.5


def over_prompts(differences):
    """Of each seed and pooled: the mean over prompts; pooled, a prompt's figure is its mean over the seeds."""
    return [interval(one) for one in differences] + [interval([statistics.fmean(of) for of in zip(*differences)])]


def over_reports(launches, stage, name):
    """The same from the reports' own intervals, for figures that they do not give prompt by prompt. How the seeds vary together
    is then not known; the pooled width is the largest that it can be."""
    found = [launch.metrics(stage) for launch in launches]
    each = [(one[name], (one[f"{name}_high"] - one[f"{name}_low"]) / 2) for one in found]
    return each + [tuple(statistics.fmean(part) for part in zip(*each))]


def between(launches, first, second, name):
    def differences(launch):
        before, after = launch.samples(first), launch.samples(second)
        assert [one["prompt"] for one in before] == [one["prompt"] for one in after]
        return [new[name] - old[name] for old, new in zip(before, after)]

    return over_prompts([differences(launch) for launch in launches])


def within(launches, stage, name):
    return over_prompts([[one[name] - one[f"reference_{name}"] for one in launch.samples(stage)] for launch in launches])


def row(title, cells):
    print("| " + " | ".join([title, *cells]) + " |")


def heading(title, seeds):
    print()
    row(title, [f"seed {seed}" for seed in seeds] + ["pooled"])
    row("---", ["---"] * (len(seeds) + 1))


def signed(pairs):
    return [f"{value:+.3f} ± {half:.3f}" for value, half in pairs]


def plain(values):
    return [f"{value:.3f}" for value in [*values, statistics.fmean(values)]]


def each(launches, stage, name):
    return [launch.metrics(stage)[name] for launch in launches]


def accuracy(launches, strengths):
    """Agreement of a reward model with held-out pairs of these strengths, with the number of pairs."""
    cells, totals = [], [0.0, 0.0]
    for launch in launches:
        found = launch.metrics("reward")
        pairs = sum(found[f"eval_pairs_{strength}"] for strength in strengths)
        right = sum(found[f"eval_accuracy_{strength}"] * found[f"eval_pairs_{strength}"] for strength in strengths)
        totals = [totals[0] + right, totals[1] + pairs]
        cells.append(f"{right / pairs:.3f} (n {pairs:.0f})")
    return [*cells, f"{totals[0] / totals[1]:.3f} (n {totals[1]:.0f})"]


def policy(launches, seeds, name, stage, others):
    heading(f"{name} against its SFT", seeds)
    row("gold, sampled", signed(within(launches, stage, "gold_score")))
    row("gold, greedy", signed(over_reports(launches, stage, "gold_difference_greedy")))
    row("RM score, sampled", signed(within(launches, stage, "reward")))
    wins = over_reports(launches, stage, "win_rate_gold")
    row("win rate by gold, sampled", [f"{value:.3f} ± {half:.3f}" for value, half in wins])
    row("KL, nats a sequence", plain(each(launches, stage, "kl")))
    for title, name in others:
        row(title, plain(each(launches, stage, name)))


def seeds(count):
    numbers = range(1, count + 1)

    def launches(recipe):
        # The demo's own launch has seed 1 throughout, so that its runs are found.
        return [Launch(recipe, name=f"{recipe}-seed-{seed}", seed=seed, **{"stages.pretrain.seed": 1}) for seed in numbers]

    gpt, llama = launches("gpt"), launches("llama")
    lengths = [("length, tokens", "mean_length"), ("unique answers", "unique"), ("parses", "parses")]
    heading("SFT against the pretrained model, gold, sampled", numbers)
    for recipe, found in (("gpt", gpt), ("llama", llama)):
        row(recipe, signed(between(found, "evaluate_pretrain", "evaluate_sft", "gold_score")))
    heading("Reward model, accuracy on held-out pairs by strength", numbers)
    for strength in STRENGTHS:
        row(f"gpt, {strength}", accuracy(gpt, [strength]))
    row("llama, negligibly and slightly", accuracy(llama, STRENGTHS[:2]))
    row("llama, better and significantly", accuracy(llama, STRENGTHS[2:]))
    policy(gpt, numbers, "PPO", "evaluate_ppo", lengths)
    heading("Rejection sampling: gold of the kept, by K", numbers)
    for k in (1, 2, 4, 8):
        row(f"K = {k}", plain(each(llama, "rejection_sampling", f"gold_score_best_of_{k}")))
    row("K = 8 against K = 1", signed(over_reports(llama, "rejection_sampling", "gold_score_gain_of_8")))
    policy(llama, numbers, "DPO", "evaluate_dpo", lengths)


SETTINGS = {
    ("gpt", "ppo"): [
        {}, {"kl_coef": 0.02}, {"kl_coef": 0.1}, {"learning_rate": 1e-4}, {"learning_rate": 4e-4}, {"num_ppo_epochs": 4},
    ],
    ("llama", "dpo"): [
        {}, {"beta": 0.05}, {"beta": 0.3}, {"learning_rate": 5e-5}, {"learning_rate": 2e-4}, {"sft_loss_weight": 0.2},
    ],
}


def choose():
    for (recipe, stage), settings in SETTINGS.items():
        print()
        row(stage, ["gold, sampled", "against SFT", "greedy, against SFT", "RM score", "KL", "length", "unique"])
        row("---", ["---"] * 7)
        for setting in settings:
            evaluate = f"stages.evaluate_{stage}"
            changes = {f"{evaluate}.inputs.dataset": "demo/prompts-preference"}
            changes |= {f"{evaluate}.{key}": value for key, value in SLICE.items()}
            changes |= {f"stages.{stage}.{key}": value for key, value in setting.items()}
            launch = Launch(recipe, name=f"{recipe}-choose", **changes)
            found = launch.metrics(f"evaluate_{stage}")
            cells = [f"{found['gold_score']:.3f}"]
            for difference in ("gold_difference", "gold_difference_greedy"):
                half = (found[f"{difference}_high"] - found[f"{difference}_low"]) / 2
                cells += signed([(found[difference], half)])
            cells += [f"{found[name]:.3f}" for name in ("reward_mean", "kl", "mean_length", "unique")]
            row(", ".join(f"{key} = {value}" for key, value in setting.items()) or "the recipe's", cells)


def hacked():
    found = [Launch(recipe).metrics("evaluate_dpo") for recipe in ("llama", "hacked")]
    print()
    row("against the same SFT", ["llama.toml", "hacked.toml"])
    row("---", ["---"] * 2)
    for title, name in (("RM score", "reward_difference"), ("gold, sampled", "gold_difference"),
                        ("gold, greedy", "gold_difference_greedy")):
        row(title, signed([(one[name], (one[f"{name}_high"] - one[f"{name}_low"]) / 2) for one in found]))
    for title, name in (("win rate by the RM", "win_rate_reward"), ("win rate by gold", "win_rate_gold"),
                        ("KL, nats a sequence", "kl"), ("length, tokens", "mean_length"), ("unique answers", "unique"),
                        ("unique answers, greedy", "unique_greedy")):
        row(title, [f"{one[name]:.3f}" for one in found])


if sys.argv[2] == "choose":
    choose()
elif sys.argv[2] == "hacked":
    hacked()
else:
    seeds(int(sys.argv[3]) if len(sys.argv) > 3 else 3)
