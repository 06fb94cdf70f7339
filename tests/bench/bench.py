"""Measures begat beside what else does the same work, and prints tables; README.md says how to read them.

`bench.py [store|models|align|checkpoints|telemetry|daemon|scrape ...]`: all parts, or those named. run.sh prepares what it needs.
"""
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import align
import checkpoints
import daemon
import lineage
import models
import scrape
import store
import telemetry
from measuring import ROOT, ROUNDS, fresh, say

PARTS = ("store", "models", "align", "checkpoints", "telemetry", "daemon", "scrape")


def path_of(variable):
    return Path(os.environ[variable])


def first_line(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    vectors = [flag for flag in ("avx2", "avx512f", "avx512_bf16") if flag in flags]
    return f"{named[0] if named else platform.machine()}, {os.cpu_count()} processors, {' '.join(vectors)}"


def versions(python):
    """What the Python that a variable names has of the peers."""
    names = ("torch", "transformers", "trl")
    script = f"import importlib.metadata as of; print(', '.join(f'{{name}} {{of.version(name)}}' for name in {names}))"
    return first_line([path_of(python), "-c", script])


def describe():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    commit = first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    print(f"begat {commit} on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}")
    print(f"  machine: {processor()}, {memory:.0f} GiB, Linux {platform.release()}, load {load()} at the start")
    print(f"  peers: {first_line([path_of('BENCH_RESTIC'), 'version'])}; {versions('BENCH_PYTHON')}; "
          f"for PPO {versions('BENCH_PPO_PYTHON')}")
    print(f"  {ROUNDS} rounds, the two sides in turns; warm; the same threads and allocator settings")
    sys.stdout.flush()


def load():
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def main():
    parts = sys.argv[1:] or PARTS
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SystemExit(f"bench: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    programs, examples, data = path_of("BENCH_PROGRAMS"), path_of("BENCH_PROGRAMS") / "examples", path_of("BENCH_DATA")
    describe()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=path_of("BENCH_WORK")) as work:
        work = Path(work)
        if "models" in parts:
            say("bench: training and generation")
            models.report(models.Peers(examples / "bench_trainer", path_of("BENCH_PYTHON"), path_of("BENCH_JEMALLOC")))
        if "align" in parts:
            say("bench: the alignment stages")
            peers = align.Peers(path_of("BENCH_PYTHON"), path_of("BENCH_PPO_PYTHON"), path_of("BENCH_JEMALLOC"))
            align.report(peers, programs, fresh(work / "align"), data)
        if "checkpoints" in parts:
            say("bench: the price of checkpoints")
            checkpoints.report(programs, work, data, os.cpu_count())
        if "telemetry" in parts:
            say("bench: the price of telemetry")
            telemetry.report(programs, work, data, sorted({1, os.cpu_count()}))
        folders = {}
        if "store" in parts or "daemon" in parts:
            folders["lineage"] = lineage.make(programs, work, data)
        if "store" in parts:
            say("bench: the store")
            folders["random"] = lineage.random(work)
            store.report(examples / "store_bench", path_of("BENCH_RESTIC"), work, folders)
        if "daemon" in parts:
            say("bench: the daemon")
            daemon.report(programs, data, sorted(folders["lineage"].iterdir()))
        if "scrape" in parts:
            say("bench: a scrape")
            scrape.report(programs, examples)
    print(f"\nLoad at the end: {load()}. Figures of a busy machine swing; the CPU columns and the ratios swing least.")


main()
