"""Processes and their cost: wall time, CPU time and memory of a command, and workers that take turns."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


def say(text):
    print(text, file=sys.stderr, flush=True)


class Cost:
    """What one command cost: seconds by the clock, seconds of CPU, most bytes of memory; and what it printed."""

    def __init__(self, wall, usage, output):
        self.wall, self.output = wall, output
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss = usage.ru_maxrss * 1024


def cpu_seconds(process):
    """CPU that a running process has used so far, in hundredths of a second."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command, started=None, **variables):
    """Runs a command to its end; it failing ends the benchmark with what it said. `started` is told its process id."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], env={**os.environ, **variables}, cwd=ROOT, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        if started:
            started(child.pid)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"{errors.read()}bench: {command[0]} ended with {child.returncode}")
    return Cost(wall, usage, output)


class Worker:
    """A program that does so many units of work for each number it is sent, and says what it did.

    The CPU of a turn is what the process used meanwhile, unless the program counts for itself.
    """

    def __init__(self, command, **variables):
        self.child = subprocess.Popen([str(part) for part in command], env={**os.environ, **variables}, cwd=ROOT,
                                      text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr)
        self.about = self.read()

    def read(self):
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"bench: {self.child.args} ended with {self.child.wait()}")
        return json.loads(line)

    def turn(self, times):
        before = cpu_seconds(self.child.pid)
        self.child.stdin.write(f"{times}\n")
        self.child.stdin.flush()
        done = self.read()
        done.setdefault("cpu", cpu_seconds(self.child.pid) - before)
        return done

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def in_turns(first, second):
    """Calls both ROUNDS times, the one that begins alternating, so that a busy spell of the machine meets both."""
    pairs = []
    for number in range(ROUNDS):
        if number % 2 == 0:
            one = first()
            pairs.append((one, second()))
        else:
            two = second()
            pairs.append((first(), two))
    return pairs


def median(values):
    return statistics.median(list(values))


def fresh(folder):
    """An empty folder in its place."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def table(title, columns, rows):
    """Prints a table: the first column to the left, the others to the right."""
    cells = [columns] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        line = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(line))
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    sys.stdout.flush()
