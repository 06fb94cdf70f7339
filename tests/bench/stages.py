"""Running `begat-stage` by hand: a work folder with its job, and what its journal says afterwards."""
import hashlib
import json
from datetime import datetime

from measuring import fresh, run

MODELS = {
    "gpt2": {"model_type": "gpt2", "n_embd": 128, "n_layer": 4, "n_head": 4, "n_inner": 512, "n_positions": 256},
    "llama": {"model_type": "llama", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
              "num_key_value_heads": 2, "intermediate_size": 352, "max_position_embeddings": 256},
}
OPTIMIZATION = {"weight_decay": 0.1, "warmup_ratio": 0.04}
OUTPUTS = {"tokenizer": "tokenizer", "pretrain": "model", "sft": "model"}


class Stage:
    """One run of a stage in `work`; `inputs` are folders by name."""

    def __init__(self, programs, work, kind, params, inputs, **execution):
        (fresh(work) / "inputs").mkdir()
        for name, folder in inputs.items():
            (work / "inputs" / name).symlink_to(folder.resolve())
        output = OUTPUTS[kind]
        derivation = {"format": "begat-derivation-1", "kind": kind, "revision": 1, "params": params,
                      "inputs": {name: hashlib.sha256(str(folder).encode()).hexdigest()
                                 for name, folder in inputs.items()}}
        if kind != "tokenizer":
            derivation["seed"] = 1
        job = {"contract": 1, "attempt": "0" * 64 + ".1", "recipe": "bench", "stage": kind, "derivation": derivation,
               "execution": {"device": "cpu", **execution}, "outputs": [{"name": output, "type": output}]}
        (work / "job.json").write_text(json.dumps(job))
        self.cost = run([programs / "begat-stage", "run", work])
        self.output = work / "outputs" / output
        self.checkpoints = work / "checkpoints"
        journal = (work / "journal.jsonl").read_text().splitlines()
        self.events = [json.loads(line) for line in journal]

    def count(self, event):
        return sum(one["event"] == event for one in self.events)

    def training_seconds(self):
        """From the first step's beginning until everything is written."""
        begin = next(one for one in self.events if one["event"] == "progress")
        times = [datetime.fromisoformat(one["time"]) for one in (begin, self.events[-1])]
        return (times[1] - times[0]).total_seconds()


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
