"""The store against restic: the same folder in, and the same folder out again."""
import filecmp
import os
import shutil

import lineage
from measuring import fresh, in_turns, median, run, table

SECRET = {"RESTIC_PASSWORD": "bench", "RESTIC_PROGRESS_FPS": "0"}


class Figures:
    """MB/s by the wall and by the CPU for each direction, stored bytes, and most memory."""

    def __init__(self, wall, cpu, stored, rss):
        self.wall, self.cpu, self.stored, self.rss = wall, cpu, stored, rss


def begat(example, work, folder):
    """The store's example stores, restores and compares in one process, as a daemon would."""
    output = run([example, folder, "--store", work]).output
    found = {name: float(value) for name, value in (line.split() for line in output.splitlines())}
    wall, cpu = ({what: found[f"{what}_{clock}_mb_per_second"] for what in ("ingest", "restore")}
                 for clock in ("wall", "cpu"))
    return Figures(wall, cpu, found["stored_bytes"], found["peak_memory_bytes"])


class Restic:
    def __init__(self, program, work):
        self.repository, self.out = work / "restic-repository", work / "restic-out"
        self.command = [program, "--quiet", "--no-cache", "-r", self.repository]

    def call(self, *arguments):
        return run([*self.command, *arguments], **SECRET)

    def measure(self, folder):
        """Its start-up, which is mostly deriving its key, is measured by a command that does no work, and taken off."""
        fresh(self.repository)
        fresh(self.out)
        self.call("init")
        idle = self.call("snapshots")
        # restic restores a relative folder below its target by that name, an absolute one by its whole path.
        costs = {"ingest": self.call("backup", folder.resolve()),
                 "restore": self.call("restore", "latest", "--target", self.out)}
        size = lineage.size(folder) / 1e6
        wall = {what: size / (cost.wall - idle.wall) for what, cost in costs.items()}
        cpu = {what: size / (cost.cpu - idle.cpu) for what, cost in costs.items()}
        if not same(folder, self.out / folder.resolve().relative_to("/")):
            raise SystemExit(f"bench: what restic restored differs from {folder}")
        return Figures(wall, cpu, lineage.size(self.repository), max(cost.rss for cost in costs.values()))


def same(one, other):
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file())
    _, differing, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return not differing and not missing


def speeds(name, pairs):
    for what in ("ingest", "restore"):
        cells = [f"{name}, {what}"]
        for clock in ("wall", "cpu"):
            rates = [(getattr(ours, clock)[what], getattr(theirs, clock)[what]) for ours, theirs in pairs]
            cells += [f"{median(one):.0f}" for one in zip(*rates)]
            cells.append(f"{median(ours / theirs for ours, theirs in rates):.2f}x")
        yield cells


def sizes(name, size, pairs):
    ours, theirs = (median(one.stored for one in peer) for peer in zip(*pairs))
    memory = (median(one.rss for one in peer) for peer in zip(*pairs))
    return [name, f"{size / 1e6:.1f}", f"{ours / 1e6:.1f}", f"{theirs / 1e6:.1f}", f"{theirs / ours:.3f}x",
            *(f"{bytes_ / 2**20:.0f}" for bytes_ in memory)]


def report(example, restic, work, folders):
    peer = Restic(restic, work)
    speed_rows, size_rows = [], []
    for name, folder in folders.items():
        pairs = in_turns(lambda: begat(example, work, folder), lambda: peer.measure(folder))
        speed_rows += speeds(name, pairs)
        size_rows.append(sizes(name, lineage.size(folder), pairs))
        shutil.rmtree(peer.out)
        os.sync()
    table("Store, MB/s against restic (by the wall, all processors; and per second of CPU)",
          ["", "begat", "restic", "ratio", "begat/CPU s", "restic/CPU s", "ratio"], speed_rows)
    table("Store, MB stored and peak RSS in MiB",
          ["", "given", "begat", "restic", "ratio", "RSS begat", "RSS restic"], size_rows)
