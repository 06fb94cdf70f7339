"""What telemetry costs a training: the same steps under a daemon that follows them and is scraped every second, and by a
stage alone that reports next to nothing to nobody."""
import json
import tempfile
import threading
from datetime import datetime
from pathlib import Path

import lineage
import stages
from daemon import Daemon
from measuring import cpu_seconds, in_turns, median, run, table
from scrape import OPENMETRICS, scrape

STEPS, TOKENS = 150, 8 * 128
RECIPE = """
name = "telemetry"
model = "demo-gpt2"
[stages.tokenizer]
kind = "tokenizer"
inputs.corpus = "corpus"
vocab_size = 2048
[stages.pretrain]
kind = "pretrain"
inputs = {{ corpus = "corpus", tokenizer = "@tokenizer" }}
max_steps = {steps}
max_length = 128
per_device_train_batch_size = 8
learning_rate = 4e-3
weight_decay = 0.1
warmup_ratio = 0.04
save_steps = 0
threads = {threads}
"""


class Watched:
    """Trainings under a daemon that is scraped every second."""

    def __init__(self, programs, home, corpus, threads):
        data = home / "data"
        data.mkdir()
        self.recipe = home / "telemetry.toml"
        self.recipe.write_text(RECIPE.format(steps=STEPS, threads=threads))
        self.daemon, self.over = Daemon(programs, data), threading.Event()
        self.begat, self.seed = [programs / "begat", "--json", "--data", data], 0
        run([*self.begat, "add", corpus, "--name", "corpus"])
        threading.Thread(target=self.watch, daemon=True).start()
        self.training()  # trains the tokenizer besides, which the others find

    def watch(self):
        while not self.over.wait(1):
            scrape(self.daemon, OPENMETRICS)

    def training(self):
        """Seconds from the stage's beginning to its end, its CPU, and the daemon's meanwhile."""
        self.seed += 1
        before = cpu_seconds(self.daemon.child.pid)
        launch = run([*self.begat, "launch", self.recipe, "--follow", "--set", f"seed={self.seed}"]).output
        stage = next(one for one in json.loads(launch)["stages"] if one["stage"] == "pretrain")
        told = json.loads(run([*self.begat, "show", stage["run"]]).output)
        (end,) = [attempt["exit"] for attempt in told["attempt_list"]]
        begun, ended = (datetime.fromisoformat(end[name]) for name in ("started", "ended"))
        return (ended - begun).total_seconds(), end["cpu_milliseconds"] / 1e3, cpu_seconds(self.daemon.child.pid) - before

    def stop(self):
        self.over.set()
        self.daemon.stop()


def measure(programs, work, corpus, tokens, threads):
    def alone():
        stage = stages.pretrain(programs, work / "stage", "gpt2", corpus, tokens, STEPS, save_steps=0,
                                logging_steps=10**6, threads=threads)
        return stage.cost.wall, stage.cost.cpu

    with tempfile.TemporaryDirectory(prefix="begat-bench-") as home:
        watched = Watched(programs, Path(home), corpus, threads)
        try:
            pairs = in_turns(watched.training, alone)
        finally:
            watched.stop()
    speeds = [[STEPS * TOKENS / one[0] for one in pair] for pair in pairs]
    used = [[one[1] for one in pair] for pair in pairs]
    followed = median(one[2] for one, _ in pairs)
    cells = [f"gpt2, {threads} thread{'s' * (threads > 1)}, {STEPS} steps"]
    cells += [f"{median(one):,.0f}" for one in zip(*speeds)]
    cells.append(f"{100 * (1 - median(one / other for one, other in speeds)):+.1f} %")
    cells += [f"{median(one):.2f}" for one in zip(*used)]
    cells.append(f"{100 * (median(one / other for one, other in used) - 1):+.1f} %")
    return [*cells, f"{followed:.2f}"]


def report(programs, work, data, counts):
    corpus = lineage.first_rows(data / "corpus", work / "corpus", 200)
    tokens = stages.tokenizer(programs, work / "tokenizer", corpus)
    rows = [measure(programs, work, corpus, tokens, threads) for threads in counts]
    table("Training that is followed and scraped every second, against a stage alone (tokens/s; CPU s)",
          ["", "followed", "alone", "price", "CPU followed", "alone", "price", "begatd's CPU"], rows)
