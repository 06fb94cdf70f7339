"""Reward model, DPO and PPO against TRL: begat's whole stages and TRL's whole `train()` calls, in turns."""
import json

import lineage
import stages
from measuring import ROUNDS, Worker, fresh, in_turns, say, table
from models import allocator, case, cells

CASES = (("gpt2", 1), ("llama", 1), ("llama", 2))
PAIRS, EPISODES, WARM = 640, 256, 128


class Peers:
    """TRL's worker programs; `pairs` has a Python for preferences, `ppo` one for what TRL no longer has."""

    def __init__(self, pairs, ppo, jemalloc):
        self.pairs, self.ppo, self.jemalloc = pairs, ppo, jemalloc

    def worker(self, python, threads, *files):
        return Worker([python, "tests/bench/trl_worker.py", threads, *files], OMP_NUM_THREADS=str(threads),
                      **allocator(self.jemalloc))


class Inputs:
    """What every turn begins with: an untrained model, a reward model on it, pairs, and prompts."""

    def __init__(self, programs, work, data, architecture, tokens):
        self.programs, self.work = programs, work
        corpus = lineage.first_rows(data / "corpus", work / "corpus", 200)
        self.pairs = pairs_of(data / "sft", work / "pairs", PAIRS)
        self.prompts = lineage.first_rows(data / "prompts-rl", work / "prompts", EPISODES)
        self.policy = stages.pretrain(programs, work / "policy", architecture, corpus, tokens, 1).output
        few = pairs_of(data / "sft", work / "few", WARM)
        self.reward_model = stages.reward(programs, work / "reward", self.policy, few).output
        self.logps = stages.reference_logps(programs, work / "logps", self.policy, self.pairs)

    def reward(self, threads):
        stage = stages.reward(self.programs, self.work / "turn", self.policy, self.pairs, threads=threads)
        return stage.training(PAIRS)

    def dpo(self, threads):
        stage = stages.dpo(self.programs, self.work / "turn", self.policy, self.pairs, threads=threads)
        return stage.training(PAIRS)

    def dpo_kept(self, threads):
        stage = stages.dpo(self.programs, self.work / "turn", self.policy, self.pairs, self.logps, threads=threads)
        return stage.training(PAIRS)

    def ppo_stage(self, threads):
        stage = stages.ppo(self.programs, self.work / "turn", self.policy, self.reward_model, self.prompts, EPISODES,
                           threads=threads)
        return stage.training(EPISODES)


def pairs_of(demonstrations, folder, count):
    """Preferences of the demo's lengths: each prompt's own answer against the next row's."""
    with open(demonstrations / "train.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(count + 1), lines)]
    fresh(folder)
    with open(folder / "train.jsonl", "w", encoding="utf-8") as out:
        for row, other in zip(rows, rows[1:]):
            pair = {"prompt": row["prompt"], "chosen": row["completion"], "rejected": other["completion"]}
            out.write(json.dumps(pair) + "\n")
    return folder


def row(what, name, ours, worker, count):
    """One table row: begat's stage `ours` beside the worker's `what`."""
    worker.turn(f"{what} {WARM}")
    pairs = in_turns(ours, lambda: worker.turn(f"{what} {count}"))
    found = [name, *cells(pairs, "done")]
    say(f"bench: {what} {'  '.join(found)}")
    return found


def rows_of(peers, inputs, architecture, threads):
    """The rows of one architecture and number of threads, by what is measured."""
    name = case(architecture, threads)
    rows = {}
    worker = peers.worker(peers.pairs, threads, inputs.policy, inputs.pairs / "train.jsonl")
    for what, ours in (("reward", inputs.reward), ("dpo_kept", inputs.dpo_kept), ("dpo", inputs.dpo)):
        rows[what] = row(what, name, lambda: ours(threads), worker, PAIRS)
    worker.close()
    worker = peers.worker(peers.ppo, threads, inputs.policy, inputs.prompts / "train.jsonl", inputs.reward_model)
    rows["ppo"] = row("ppo", name, lambda: inputs.ppo_stage(threads), worker, EPISODES)
    worker.close()
    return rows


def report(peers, programs, work, data):
    corpus = lineage.first_rows(data / "corpus", work / "corpus", 200)
    tokens = stages.tokenizer(programs, work / "tokenizer", corpus)
    inputs = {architecture: Inputs(programs, fresh(work / architecture), data, architecture, tokens)
              for architecture in stages.MODELS}
    found = [rows_of(peers, inputs[architecture], architecture, threads) for architecture, threads in CASES]
    columns = ["", "begat", "TRL", "ratio", "begat/CPU s", "TRL/CPU s", "ratio"]
    titles = {
        "reward": f"Reward model, pairs/s against TRL's RewardTrainer (median of {ROUNDS})",
        "dpo_kept": "DPO, pairs/s against TRL's DPOTrainer, the reference's log-probabilities kept on both sides",
        "dpo": "DPO, pairs/s, the reference's log-probabilities in the time of both sides",
        "ppo": "PPO, episodes/s against TRL's PPOTrainer (rollouts of 128, 32 new tokens, 2 epochs, minibatches of 64)",
    }
    for what, title in titles.items():
        table(title, columns, [rows[what] for rows in found])
