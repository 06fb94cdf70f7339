"""One row for each compared tensor, and the verdict."""

import math

LIMIT = 1e-5
# Below this part of its scale a float32 number is a zero with rounding errors.
ZERO = 1e-6


def largest(values):
    found = float(values.double().abs().max())
    return math.inf if math.isnan(found) else found


def difference(ours, theirs, scale=None):
    """max|a − b| / max|b| in float64, or beside `scale`; infinite if the shapes differ or a value is not a number."""
    if ours is None or ours.shape != theirs.shape:
        return math.inf
    ours, theirs = ours.double(), theirs.double()
    apart, scale = largest(ours - theirs), scale or largest(theirs)
    if apart == 0:
        return 0.0
    return apart / scale if 0 < scale < math.inf else math.inf


class Table:
    def __init__(self):
        self.compared, self.failed, self.worst = 0, 0, (0.0, "")
        print(f"{'':4}  {'largest':>8}  {'against':20}  what", flush=True)

    def add(self, name, against, found, tensors=1, limit=LIMIT):
        good = found <= limit
        self.compared += tensors
        self.failed += not good
        self.worst = max(self.worst, (found, name))
        print(f"{'ok' if good else 'FAIL':4}  {found:8.1e}  {against:20}  {name}", flush=True)

    def compare(self, name, against, ours, theirs, limit=LIMIT, scale=None):
        self.add(name, against, difference(ours, theirs, scale), limit=limit)

    def compare_all(self, name, against, pairs):
        """One row for many tensors of a kind, with the name of the worst; another for each that is zero in theory."""
        scale = max(largest(theirs) for _, theirs in pairs.values())
        zeros = {key: pair for key, pair in pairs.items() if 0 < largest(pair[1]) <= ZERO * scale}
        found, worst = max((difference(*pair), key) for key, pair in pairs.items() if key not in zeros)
        count = len(pairs) - len(zeros)
        self.add(f"{name}, {count} tensors, worst {worst}", against, found, tensors=count)
        for key, pair in zeros.items():
            self.compare_zeros(f"{name}, {key}", against, *pair, scale)

    def compare_zeros(self, name, against, ours, theirs, scale=1.0):
        """What is zero but for rounding has no relative difference: both sides have to be small beside `scale`."""
        fits = ours is not None and ours.shape == theirs.shape
        found = max(largest(ours), largest(theirs)) / scale if fits else math.inf
        self.add(f"{name} (zero but for rounding: its size)", against, found, limit=ZERO)

    def refuse(self, name, against):
        self.add(name, against, math.inf)

    def verdict(self):
        """Prints the last line; true if nothing failed."""
        verdict = f"{self.failed} rows FAIL" if self.failed else "all ok"
        print(f"parity: {self.compared} tensors compared, {verdict}; "
              f"largest difference {self.worst[0]:.1e} of a limit of {LIMIT:.0e} ({self.worst[1]})")
        return not self.failed
