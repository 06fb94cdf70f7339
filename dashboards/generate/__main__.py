"""Writes the boards, the rules and the configuration that go with them: `python3 dashboards/generate`.

`--out` is another folder than dashboards/, `--scale` shortens every duration, for a test that cannot wait for minutes.
"""

import argparse
import json
from pathlib import Path

import alerts
import boards
import configuration
import rules
import yaml
from durations import Durations

MADE = "Made by `make dashboards` from dashboards/generate; a change here is lost.\n"
PROMETHEUS = (
    MADE
    + "Targets are in targets/, rules in rules/. Start with --enable-feature=exemplar-storage, so that a slow step\n"
    "names its run."
)
ALERTMANAGER = (
    MADE + "Pages go to the webhook below, with the token in the file webhook_token beside this file. Both are yours\n"
    "to set; without a token leave http_config out."
)
CONDITIONAL = "conditional.json"


def files(d):
    """Every generated file: its path and its text."""
    empty = []
    for make in boards.ALL:
        board, conditional = make()
        empty += conditional
        yield f"grafana/boards/{board['uid']}.json", as_json(board)
    yield CONDITIONAL, as_json(empty)
    yield "prometheus/prometheus.yml", yaml.write(configuration.prometheus(d), PROMETHEUS)
    yield "prometheus/rules/begat.rules.yml", yaml.write({"groups": [rules.group(d)]}, MADE)
    yield "prometheus/rules/alerts.rules.yml", yaml.write({"groups": alerts.groups(d)}, MADE)
    yield "alertmanager/alertmanager.yml", yaml.write(configuration.alertmanager(d), ALERTMANAGER)


def as_json(value):
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    for name, text in files(Durations(arguments.scale)):
        path = arguments.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


main()
