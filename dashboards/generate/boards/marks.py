"""Annotations: what happened, as vertical marks. A mark's query holds for a step of a minute, the smallest drawn."""

import grafana as g


def starts(selector, also=""):
    expr = f"begat_stage_started_timestamp_seconds{{{selector}}} > time() - 60 {also}"
    return g.annotation("Starts", g.BLUE, expr, "{{stage}} started", "Run {{run}}.")


def checkpoints(selector, also=""):
    seconds = f'begat_stage_phase_seconds_total{{{selector},phase="checkpoint"}}'
    expr = f"increase({seconds}[$__rate_interval]) > 0 {also}"
    return g.annotation("Checkpoints", g.GREEN, expr, "{{stage}}: checkpoint", "Run {{run}} wrote a checkpoint.")


def failures(selector, also=""):
    expr = f'begat_run_state{{{selector},state="failed"}} == 1 {also}'
    return g.annotation("Failures", g.RED, expr, "{{stage}} failed", "Run {{run}}; `begat show {{run}}` says why.")


def daemon_starts(selector):
    expr = f'process_start_time_seconds{{job="begatd",{selector}}} > time() - 60'
    return g.annotation("Daemon starts", g.BLUE, expr, "begatd started", "{{instance}}")
