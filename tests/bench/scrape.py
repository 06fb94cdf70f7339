"""What a scrape of /metrics costs a daemon with 50 live and 10,000 finished runs: milliseconds and bytes, in both forms."""
import json
import os
import socket
import tempfile
import time
from pathlib import Path

from daemon import Daemon
from measuring import median, run, table

LIVE, FINISHED = 50, int(os.environ.get("BENCH_FINISHED_RUNS", "10000"))
SCRAPES = 60
TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

# A stage with the metrics of a PPO run, which has the most, and a few of its own.
STAGE = """
import json, os, time
names = ["loss", "grad_norm", "lr", "objective/kl", "objective/entropy", "objective/scores", "objective/rlhf_reward",
         "objective/non_score_reward", "policy/approxkl_avg", "policy/clipfrac_avg", "policy/entropy_avg", "val/ratio",
         "loss/policy_avg", "loss/value_avg", "val/clipfrac_avg", "val/ratio_var", "val/num_eos_tokens", "eps", "kl_coef",
         "completions/mean_length", "completions/unique", "value_lr", "episode", "seconds/rollout", "seconds/scoring",
         "seconds/forward_backward", "seconds/optimizer", "seconds/checkpoint"]
journal = open(os.path.join(os.environ["BEGAT_WORK"], "journal.jsonl"), "a")
for seq in range(1, 10**9, 2):
    time_ = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    step = (seq + 1) // 2
    for number, event in ((seq, {"event": "metrics", "step": step, "values": {name: step / 7 for name in names}}),
                          (seq + 1, {"event": "progress", "step": step, "of": 10**6, "tokens": step, "samples": step})):
        journal.write(json.dumps({"seq": number, "time": time_, **event}) + "\\n")
    journal.flush()
    time.sleep(5)
"""


def recipe(path):
    lines = ['name = "scrape"', "seed = 1"]
    for number in range(LIVE):
        lines += [f"[stages.stage-{number}]", 'kind = "command"', f'argv = ["python3", "-c", {json.dumps(STAGE)}]',
                  'outputs = { out = "files" }', f"parameters = {{ number = {number} }}"]
    path.write_text("\n".join(lines))


def scrape(daemon, accept):
    """Milliseconds, and bytes of the body."""
    start = time.perf_counter()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           + f"Accept: {accept}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    took = time.perf_counter() - start
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    return 1e3 * took, body


def measure(daemon, accept):
    costs = [scrape(daemon, accept) for _ in range(SCRAPES)]
    times = sorted(cost[0] for cost in costs)
    body = costs[-1][1]
    runs = body.count(b"\nbegat_run_info{")
    assert runs == LIVE, f"{runs} runs are shown"
    return [f"{median(times):.1f}", f"{times[int(0.95 * SCRAPES)]:.1f}", f"{len(body) / 1e3:.0f}", runs]


def wait_until_all_run(daemon):
    while True:
        _, body = scrape(daemon, TEXT)
        if body.count(b"\nbegat_stage_step{") == LIVE:
            return
        time.sleep(0.5)


def wait_until_all_ended(daemon):
    """A daemon that stops leaves its stages alive, and these would stay for ever."""
    while b'\nbegat_device_slots_busy{device="cpu"} 0\n' not in scrape(daemon, TEXT)[1]:
        time.sleep(0.5)


def report(programs, examples):
    with tempfile.TemporaryDirectory(prefix="begat-bench-") as home:
        home = Path(home)
        data = home / "data"
        data.mkdir()
        run([examples / "many_runs", "fill", FINISHED, data / "ledger"])
        (home / "begatd.toml").write_text(f"[slots]\ncpu = {LIVE}\n")
        recipe(home / "scrape.toml")
        os.environ["BEGAT_CONFIG"] = str(home / "begatd.toml")
        daemon = Daemon(programs, data)
        begat = [programs / "begat", "--data", data]
        try:
            run([*begat, "launch", home / "scrape.toml"])
            wait_until_all_run(daemon)
            rows = [["Prometheus text", *measure(daemon, TEXT)], ["OpenMetrics", *measure(daemon, OPENMETRICS)]]
            run([*begat, "cancel", "scrape"])
            wait_until_all_ended(daemon)
        finally:
            daemon.stop()
            os.environ.pop("BEGAT_CONFIG")
    table(f"/metrics of {LIVE} live and {FINISHED} finished runs: ms and kB of {SCRAPES} scrapes",
          ["", "median ms", "95 % ms", "kB", "runs shown"], rows)
