"""Running `begat-stage` by hand: a work folder with its job, and what its journal says afterwards."""
import contextlib
import hashlib
import json
import threading
import time
from datetime import datetime

from measuring import cpu_seconds, fresh, run

MODELS = {
    "gpt2": {"model_type": "gpt2", "n_embd": 128, "n_layer": 4, "n_head": 4, "n_inner": 512, "n_positions": 256},
    "llama": {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
              "num_key_value_heads": 2, "intermediate_size": 352, "max_position_embeddings": 256},
}
OPTIMIZATION = {"weight_decay": 0.1, "warmup_ratio": 0.04}
PREFERENCES = {"max_length": 128, "per_device_train_batch_size": 32, "group_by_length": True, "learning_rate": 1e-4}
OUTPUTS = {"tokenizer": ("tokenizer", "tokenizer"), "reward": ("reward_model", "reward_model"),
           "reference_logps": ("logps", "dataset")}
UNSEEDED = {"tokenizer", "reference_logps"}


def is_progress(event):
    return event["event"] == "progress"


def has_read_pairs(event):
    return event["event"] == "log" and event["message"].endswith("pairs to train on")


class Stage:
    """One run of a stage in `work`; `inputs` are folders by name.

    What is measured begins with the first event for which `begins` holds.
    """

    def __init__(self, programs, work, kind, params, inputs, begins=is_progress, **execution):
        (fresh(work) / "inputs").mkdir()
        for name, folder in inputs.items():
            (work / "inputs" / name).symlink_to(folder.resolve())
        output, artifact = OUTPUTS.get(kind, ("model", "model"))
        derivation = {"format": "begat-derivation-1", "kind": kind, "revision": 1, "params": params,
                      "inputs": {name: hashlib.sha256(str(folder).encode()).hexdigest()
                                 for name, folder in inputs.items()}}
        if kind not in UNSEEDED:
            derivation["seed"] = 1
        job = {"contract": 1, "attempt": "0" * 64 + ".1", "recipe": "bench", "stage": kind, "derivation": derivation,
               "execution": {"device": "cpu", **execution}, "outputs": [{"name": output, "type": artifact}]}
        (work / "job.json").write_text(json.dumps(job))
        self.work, self.begins, self.ended, self.cpu_before = work, begins, False, 0.0
        self.cost = run([programs / "begat-stage", "run", work], started=self.watch)
        self.ended = True
        self.output = work / "outputs" / output
        self.checkpoints = work / "checkpoints"
        self.events = self.journal()

    def journal(self):
        path = self.work / "journal.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def watch(self, process):
        """Notes the CPU used when what is measured begins."""
        def look():
            while not self.ended and not any(map(self.begins, self.journal())):
                time.sleep(0.005)
            with contextlib.suppress(OSError):  # a stage that has ended by now is none that is measured
                self.cpu_before = cpu_seconds(process)
        threading.Thread(target=look, daemon=True).start()

    def count(self, event):
        return sum(one["event"] == event for one in self.events)

    def seconds_to(self, end):
        begin = next(filter(self.begins, self.events))
        times = [datetime.fromisoformat(one["time"]) for one in (begin, end)]
        return (times[1] - times[0]).total_seconds()

    def training_seconds(self):
        """From the first step's beginning until everything is written."""
        return self.seconds_to(self.events[-1])

    def training(self, done):
        """What `done` units of work took: seconds until the last step's end, and CPU until everything is written."""
        last = [event for event in self.events if is_progress(event)][-1]
        return {"done": done, "seconds": self.seconds_to(last), "cpu": self.cost.cpu - self.cpu_before}


def tokenizer(programs, work, corpus):
    return Stage(programs, work, "tokenizer", {"vocab_size": 2048}, {"corpus": corpus}).output


def pretrain(programs, work, architecture, corpus, tokens, steps, **execution):
    params = {"model": MODELS[architecture], "max_steps": steps, "max_length": 128,
              "per_device_train_batch_size": 8, "learning_rate": 4e-3, **OPTIMIZATION}
    return Stage(programs, work, "pretrain", params, {"corpus": corpus, "tokenizer": tokens}, **execution)


def sft(programs, work, model, dataset, **execution):
    params = {"num_train_epochs": 1, "max_length": 128, "per_device_train_batch_size": 32, "group_by_length": True,
              "learning_rate": 2e-3, **OPTIMIZATION}
    return Stage(programs, work, "sft", params, {"model": model, "dataset": dataset}, **execution)


def reference_logps(programs, work, model, pairs):
    return Stage(programs, work, "reference_logps", {"max_length": 128}, {"model": model, "dataset": pairs}).output


def reward(programs, work, model, pairs, **execution):
    params = {"num_train_epochs": 1, **PREFERENCES, **OPTIMIZATION}
    return Stage(programs, work, "reward", params, {"model": model, "dataset": pairs}, **execution)


def dpo(programs, work, model, pairs, logps=None, **execution):
    """Without `logps` the reference's log-probabilities are computed, and are in the time."""
    params = {"num_train_epochs": 1, **PREFERENCES, **OPTIMIZATION}
    inputs = {"model": model, "dataset": pairs}
    if logps:
        return Stage(programs, work, "dpo", params, {**inputs, "reference_logps": logps}, **execution)
    return Stage(programs, work, "dpo", params, inputs, begins=has_read_pairs, **execution)


def ppo(programs, work, policy, reward_model, prompts, episodes, **execution):
    params = {"total_episodes": episodes, "rollout_batch_size": 128, "num_ppo_epochs": 2, "response_length": 32,
              "per_device_train_batch_size": 64, "learning_rate": 1e-4, "vf_coef": 0.5, **OPTIMIZATION}
    inputs = {"policy": policy, "reward_model": reward_model, "prompts": prompts}
    return Stage(programs, work, "ppo", params, inputs, **execution)
