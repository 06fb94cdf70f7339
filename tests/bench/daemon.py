"""begatd's start-up and idle memory, with an empty and with a filled data folder."""
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from measuring import ROUNDS, ROOT, median, run, table

IDLE_SECONDS = 5


class Daemon:
    """A running daemon, ready; `seconds` is how long that took from the fork on."""

    def __init__(self, programs, data):
        self.socket = data / "begatd.sock"
        start = time.perf_counter()
        self.child = subprocess.Popen([programs / "begatd", "--data", data, "--listen", "127.0.0.1:0"], cwd=ROOT,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=open(data.with_suffix(".log"), "ab"))
        while not self.is_ready():
            if self.child.poll() is not None:
                raise SystemExit(f"bench: begatd ended; see {data.with_suffix('.log')}")
            time.sleep(0.001)
        self.seconds = time.perf_counter() - start

    def is_ready(self):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.socket))
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def memory(self):
        """Resident and proportional bytes."""
        lines = Path(f"/proc/{self.child.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        return sizes["Rss:"], sizes["Pss:"]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


def fill(programs, data, datasets, folders):
    """Adds everything that the other parts made, and runs a recipe."""
    daemon = Daemon(programs, data)
    begat = [programs / "begat", "--data", data]
    try:
        for name in ("corpus", "sft", "heldout"):
            run([*begat, "add", datasets / name, "--name", f"demo/{name}"])
        for folder in folders:
            run([*begat, "add", folder, "--name", f"bench/{folder.name}"])
        run([*begat, "launch", ROOT / "configs/recipes/command.toml", "--follow"])
    finally:
        daemon.stop()


def measure(programs, data):
    seconds, memory = [], []
    for number in range(ROUNDS):
        daemon = Daemon(programs, data)
        seconds.append(daemon.seconds)
        if number == 0:
            time.sleep(IDLE_SECONDS)
            memory = daemon.memory()
        daemon.stop()
    return median(seconds), *memory


def report(programs, datasets, folders):
    # A socket's path has little room, so the data folders lie in the folder for temporary files.
    with tempfile.TemporaryDirectory(prefix="begat-bench-") as home:
        data = Path(home) / "data"
        data.mkdir()
        rows = [["empty data folder", *measure(programs, data)]]
        fill(programs, data, datasets, folders)
        stored = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
        rows.append([f"filled: {stored / 1e6:.0f} MB stored, a recipe run", *measure(programs, data)])
    rows = [[name, f"{1e3 * seconds:.0f}", f"{rss / 2**20:.1f}", f"{pss / 2**20:.1f}"]
            for name, seconds, rss, pss in rows]
    table(f"begatd: ms to /readyz (median of {ROUNDS}), memory in MiB after {IDLE_SECONDS} s idle",
          ["", "ready ms", "RSS", "PSS"], rows)
