"""What telemetry costs a training, told apart within one training, since two differ by more than the cost.

A stage trains for minutes. By turns of two seconds begatd follows it and is scraped every second, or lies still (SIGSTOP) and asks
nothing of the machine. The journal says how far the stage was at each moment, so each turn has a speed, and each pair of
turns a ratio. What the stage itself spends on telling is among what no phase of its steps accounts for.
"""
import json
import math
import os
import signal
import statistics
import tempfile
import time
from bisect import bisect
from datetime import datetime
from pathlib import Path

import lineage
from daemon import Daemon
from measuring import cpu_seconds, run, table
from scrape import OPENMETRICS, scrape

TURN_SECONDS, TOKENS = 2.0, 8 * 128
PAIRS = int(os.environ.get("BENCH_TELEMETRY_PAIRS", "60"))
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
max_steps = 1000000
max_length = 128
per_device_train_batch_size = 8
learning_rate = 4e-3
weight_decay = 0.1
warmup_ratio = 0.04
save_steps = 0
logging_steps = 1
threads = {threads}
"""


class Journal:
    """How far a stage was at a moment, by the journal that it wrote."""

    def __init__(self, path):
        events = [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        done = [event for event in events if event["event"] == "progress" and event["step"] > 0]
        self.times = [datetime.fromisoformat(event["time"]).timestamp() for event in done]
        self.steps = [event["step"] for event in done]
        phases = [event for event in events if event["event"] == "metrics"]
        named = [sum(value for name, value in event["values"].items() if name.startswith("seconds/")) for event in phases]
        # The first steps warm up.
        wall = self.times[-1] - self.times[9]
        inside = {event["step"] for event in done[10:]}
        self.rest = 1 - sum(one for one, event in zip(named, phases) if event["step"] in inside) / wall

    def at(self, moment):
        """Steps done, with the part of the one that goes on."""
        after = bisect(self.times, moment)
        before, behind = self.times[after - 1], self.times[after]
        return self.steps[after - 1] + (moment - before) / (behind - before) * (self.steps[after] - self.steps[after - 1])

    def speed(self, begin, end):
        return TOKENS * (self.at(end) - self.at(begin)) / (end - begin)


def follow(daemon):
    """A turn in which the daemon works, and is scraped every second."""
    os.kill(daemon.child.pid, signal.SIGCONT)
    begin, used = time.time(), cpu_seconds(daemon.child.pid)
    for second in range(int(TURN_SECONDS)):
        scrape(daemon, OPENMETRICS)
        time.sleep(max(0.0, begin + second + 1 - time.time()))
    daemon.used += cpu_seconds(daemon.child.pid) - used
    return begin, time.time()


def leave_alone(daemon):
    os.kill(daemon.child.pid, signal.SIGSTOP)
    begin = time.time()
    time.sleep(TURN_SECONDS)
    return begin, time.time()


def in_turns(daemon):
    """Pairs of turns, followed and not, the one that begins alternating."""
    pairs, daemon.used = [], 0.0
    for number in range(PAIRS):
        if number % 2 == 0:
            followed = follow(daemon)
            pairs.append((followed, leave_alone(daemon)))
        else:
            alone = leave_alone(daemon)
            pairs.append((follow(daemon), alone))
    os.kill(daemon.child.pid, signal.SIGCONT)
    return pairs


def trimmed(values):
    """The mean of the middle three fifths, and half of its 95 % interval (Tukey and McLaughlin 1963): a busy spell of the machine
    that meets one turn of a pair says nothing of the price."""
    values, cut = sorted(values), len(values) // 5
    middle = values[cut:len(values) - cut]
    winsorised = [middle[0]] * cut + middle + [middle[-1]] * cut
    error = statistics.stdev(winsorised) / (len(middle) / len(values)) / math.sqrt(len(values))
    return statistics.mean(middle), 1.96 * error


def journal_at_work(data):
    while True:
        for path in (data / "work").glob("*/journal.jsonl"):
            if path.read_text().count('"progress"') > 20:
                return path
        time.sleep(0.2)


def measure(programs, corpus, threads):
    with tempfile.TemporaryDirectory(prefix="begat-bench-") as home:
        data, recipe = Path(home) / "data", Path(home) / "telemetry.toml"
        data.mkdir()
        recipe.write_text(RECIPE.format(threads=threads))
        daemon, begat = Daemon(programs, data), [programs / "begat", "--data", data]
        try:
            run([*begat, "add", corpus, "--name", "corpus"])
            run([*begat, "launch", recipe])
            path = journal_at_work(data)
            pairs = in_turns(daemon)
            time.sleep(1)
            journal = Journal(path)
            run([*begat, "cancel", "telemetry"])
            while path.exists() and b'\nbegat_device_slots_busy{device="cpu"} 0\n' not in scrape(daemon, OPENMETRICS)[1]:
                time.sleep(0.2)
        finally:
            os.kill(daemon.child.pid, signal.SIGCONT)
            daemon.stop()
    speeds = [(journal.speed(*followed), journal.speed(*alone)) for followed, alone in pairs]
    prices = [100 * (1 - followed / alone) for followed, alone in speeds]
    price, half = trimmed(prices)
    return [f"gpt2, {threads} thread{'s' * (threads > 1)}, {len(pairs)} pairs of turns",
            *(f"{statistics.mean(one):,.0f}" for one in zip(*speeds)),
            f"{price:+.2f} % ±{half:.2f}", f"{100 * daemon.used / (TURN_SECONDS * PAIRS):.2f} %", f"{100 * journal.rest:.2f} %"]


def report(programs, work, data, counts):
    corpus = lineage.first_rows(data / "corpus", work / "corpus", 200)
    rows = [measure(programs, corpus, threads) for threads in counts]
    table("A training that tells of each step, by turns followed and scraped every second, and left alone (tokens/s; price ± half a "
          "95 % interval)",
          ["", "followed", "left alone", "price", "begatd, of a core", "stage, in no phase"], rows)
