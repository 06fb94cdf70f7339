"""Learns to tell from a doc comment whether its function returns a bool: logistic regression on words, by SGD.

The stage contract is all it knows: $BEGAT_WORK holds job.json and inputs/; outputs/ and journal.jsonl are its to write.
"""

import json
import math
import os
import random
import re
from datetime import datetime, timezone
from pathlib import Path

work = Path(os.environ["BEGAT_WORK"])
job = json.loads((work / "job.json").read_text())
parameters = job["derivation"]["params"]["parameters"]
order = random.Random(job["derivation"]["seed"])
sequence = 0


def report(event, **fields):
    """Appends one event to the journal."""
    global sequence
    sequence += 1
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"seq": sequence, "time": now, "event": event, **fields})
    with open(work / "journal.jsonl", "a") as journal:
        journal.write(line + "\n")


def examples(path):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        words = set(re.findall(r"[a-z]+", row["prompt"].lower()))
        yield sorted(words), float(row["completion"].rstrip().endswith("-> bool"))


def probability(weights, words):
    score = weights.get("", 0.0) + sum(weights.get(word, 0.0) for word in words)
    return 1.0 / (1.0 + math.exp(-score))


report("started", contract=job["contract"])
folder = work / "inputs" / "dataset"
train = list(examples(folder / "train.jsonl"))
held_out = list(examples(folder / "validation.jsonl"))
weights = {}
for epoch in range(1, parameters["epochs"] + 1):
    order.shuffle(train)
    loss = 0.0
    for words, label in train:
        guess = probability(weights, words)
        loss -= math.log(max(guess if label else 1.0 - guess, 1e-12))
        step = parameters["learning_rate"] * (label - guess) / (1 + len(words))
        for word in ["", *words]:
            weights[word] = weights.get(word, 0.0) + step
    report("metrics", step=epoch, values={"loss": loss / len(train)})
    report("progress", step=epoch, of=parameters["epochs"], samples=epoch * len(train))

right = sum((probability(weights, words) > 0.5) == bool(label) for words, label in held_out)
accuracy = right / max(len(held_out), 1)
majority = max(sum(1 for _, label in held_out if label == value) for value in (0.0, 1.0)) / max(len(held_out), 1)
report("metrics", step=parameters["epochs"], values={"eval_accuracy": accuracy, "eval_majority": majority})

outputs = work / "outputs"
(outputs / "weights").mkdir(parents=True, exist_ok=True)
(outputs / "weights" / "weights.json").write_text(json.dumps(weights, sort_keys=True))
(outputs / "report").mkdir(exist_ok=True)
(outputs / "report" / "metrics.json").write_text(
    json.dumps(
        {
            "counts": {"held_out": len(held_out), "train": len(train)},
            "format": "begat-report-1",
            "metrics": {"eval_accuracy": accuracy, "eval_majority": majority},
        },
        separators=(",", ":"),
        sort_keys=True,
    )
)
report("finished", outputs=job["outputs"])
