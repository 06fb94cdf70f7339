"""Training and generation against PyTorch: two programs, the same work, in turns."""
from measuring import ROUNDS, Worker, in_turns, median, say, table

ARCHITECTURES = ("gpt2", "llama")


def allocator(jemalloc):
    """Variables by which a Python program has the allocator, and its settings, that begat has."""
    return {"LD_PRELOAD": str(jemalloc), "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}


class Peers:
    """begat's example program and the PyTorch worker, on as many threads and the same allocator."""

    def __init__(self, example, python, jemalloc):
        self.example, self.python, self.jemalloc = example, python, jemalloc

    def workers(self, what, architecture, threads):
        ours = Worker([self.example, what, architecture, threads], OMP_NUM_THREADS=str(threads))
        theirs = Worker([self.python, "tests/bench/torch_worker.py", what, architecture, threads],
                        OMP_NUM_THREADS=str(threads), **allocator(self.jemalloc))
        return ours, theirs

    def row(self, what, architecture, threads, warm, times):
        ours, theirs = self.workers(what, architecture, threads)
        if ours.about != theirs.about:
            raise SystemExit(f"bench: the two models differ: {ours.about} and {theirs.about}")
        for worker in (ours, theirs):
            worker.turn(warm)
        pairs = in_turns(lambda: ours.turn(times), lambda: theirs.turn(times))
        for worker in (ours, theirs):
            worker.close()
        row = [case(architecture, threads), *cells(pairs, "tokens")]
        say(f"bench: {what} {'  '.join(row)}")
        return row


def case(architecture, threads):
    return f"{architecture}, {threads} thread{'s' * (threads > 1)}"


def cells(pairs, unit):
    """Both sides' rates and their ratio, by the clock and by CPU; `unit` is what each turn says how much it did of."""
    for per in ("seconds", "cpu"):
        rates = [(ours[unit] / ours[per], theirs[unit] / theirs[per]) for ours, theirs in pairs]
        yield from (f"{median(one):,.0f}" for one in zip(*rates))
        yield f"{median(ours / theirs for ours, theirs in rates):.2f}x"


def report(peers):
    columns = ["", "begat", "PyTorch", "ratio", "begat/CPU s", "PyTorch/CPU s", "ratio"]
    rows = [peers.row("train", architecture, threads, 5, 20)
            for architecture in ARCHITECTURES for threads in (1, 2)]
    table(f"Training tokens/s against eager PyTorch (median of {ROUNDS}; ratio: median of each turn's)", columns, rows)
    rows = [peers.row("generate", architecture, 1, 1, 4) for architecture in ARCHITECTURES]
    columns[2] = "transformers"
    columns[5] = "transformers/CPU s"
    table("Generation, new tokens/s against transformers.generate (32 prompts, 32 new tokens, sampling)", columns, rows)
