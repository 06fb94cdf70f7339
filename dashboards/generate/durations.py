"""Durations, all of them times one scale: 1 as shipped, less where a test must not wait for minutes."""

import re

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Durations:
    """Turns "5m" into what Prometheus reads, scaled."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def seconds(self, text):
        """The scaled duration as a number of seconds, for an expression."""
        number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
        seconds = round(int(number) * SECONDS[unit] * self.scale, 3)
        return int(seconds) if seconds == int(seconds) else seconds

    def __call__(self, text):
        """The scaled duration as Prometheus and Alertmanager write it."""
        milliseconds = max(round(self.seconds(text) * 1000), 1)
        for unit in ("d", "h", "m", "s"):
            if milliseconds % (SECONDS[unit] * 1000) == 0:
                return f"{milliseconds // (SECONDS[unit] * 1000)}{unit}"
        return f"{milliseconds}ms"
