"""Two recipes side by side: what each came to, what it cost, and how it got there.

Finished runs leave /metrics, so what a run came to is its last value in the time shown.
"""

import grafana as g
from board import DAEMON, board as assemble, row, variables
from boards import marks
from grafana import Query

SIDES = ("left", "right")
# A run's series stay for minutes after its end; a curve ends with its run, or a little later if the run was short.
ALIVE = (
    f'begat_run_state{{{DAEMON},state="running"}} or '
    f"time() - begat_stage_last_event_timestamp_seconds{{{DAEMON}}} < $__rate_interval_ms / 1000"
)
# On every panel that has both, each recipe is one colour.
COLORS = (g.BLUE, g.ORANGE)


def board():
    items = [
        row("What they came to"),
        (finals("left"), 24, 12),
        (finals("right"), 24, 12),
        *((panel, 8, 10) for panel in outcome()),
        row("What they cost, by stage"),
        *((panel, 8, 16) for panel in by_stage()),
        (energy(), 8, 6),
        (in_all(), 8, 6),
        (shared(), 8, 6),
        row("How they got there"),
        *((panel, 12, 8) for pair in curves() for panel in pair),
    ]
    both = f'and on (instance, run) begat_launch_run_info{{{DAEMON},recipe=~"$left|$right"}}'
    annotations = [mark(DAEMON, both) for mark in (marks.starts, marks.checkpoints, marks.failures)]
    return assemble(
        "begat-comparison",
        "begat / GPT vs Llama",
        "Two recipes side by side.",
        items,
        variables(side("left", "Left", "gpt"), side("right", "Right", "llama")),
        annotations,
        "now-24h",
    )


def side(name, label, default):
    return g.variable(
        name,
        label,
        f"label_values(begat_launch_run_info{{{DAEMON}}}, recipe)",
        multi=False,
        default=default,
        description="A recipe.",
    )


def of(side):
    return f'and on (instance, run) last_over_time(begat_launch_run_info{{{DAEMON},recipe="${side}"}}[$__range])'


def final(name, side, by="stage, run", only=None):
    """The last value of each run of a recipe. What two daemons know of one run is one row."""
    return f"max by ({by}) (last_over_time({name}{{{DAEMON}}}[$__range]) {of(side)})"


def finals(side):
    figures = [
        ("Gold", "percentunit", "begat_stage_gold_score"),
        ("Greedy", "percentunit", "begat_stage_gold_score_greedy"),
        ("Wins", "percentunit", "begat_stage_win_ratio"),
        ("Reward", "short", "begat_stage_reward"),
        ("KL", "short", "begat_stage_kl_nats"),
        ("Length", "short", "begat_stage_completion_length_tokens"),
        ("Unique", "percentunit", "begat_stage_completions_unique_ratio"),
        ("Held-out loss", "short", "begat_stage_eval_loss"),
    ]
    columns = [(name, unit, Query(final(metric, side))) for name, unit, metric in figures]
    return g.table(
        f"${side}",
        "The last value of each figure, by stage. Gold is a rule's score, not people's.",
        columns,
        [],
        [("run", g.run_link())],
        widths=[("stage", 190), ("run", 130)],
    )


def both(title, meaning, unit, query, only=None, **more):
    """Bars of both recipes: what `query` makes of a side."""
    queries = [Query(query(side), f"${side} {{{{stage}}}}", only) for side in SIDES]
    return g.bars(title, meaning, unit, queries, COLORS, **more)


def last(title, meaning, unit, name, only=None, **more):
    return both(title, meaning, unit, lambda side: final(name, side), only, **more)


def outcome():
    return [
        last(
            "Gold score",
            "Of sampled answers, by a rule that no reward model saw; stages that judge a model.",
            "percentunit",
            "begat_stage_gold_score",
            min=0,
            max=1,
        ),
        last(
            "Win rate",
            "Against the reference on the same prompts.",
            "percentunit",
            "begat_stage_win_ratio",
            min=0,
            max=1,
        ),
        last(
            "Reward",
            "What the recipe's own reward model says; those of two recipes are two scales.",
            "short",
            "begat_stage_reward",
        ),
        last("KL from the reference", "Of a whole answer, in nats.", "short", "begat_stage_kl_nats", min=0),
        last(
            "Completion length",
            "Tokens of a sampled answer.",
            "short",
            "begat_stage_completion_length_tokens",
            min=0,
        ),
        last(
            "Unique answers",
            "Share of the sampled answers that no other equals.",
            "percentunit",
            "begat_stage_completions_unique_ratio",
            min=0,
            max=1,
        ),
    ]


def took(side):
    ended, began = "begat_stage_last_event_timestamp_seconds", "begat_stage_started_timestamp_seconds"
    spent = f"last_over_time({ended}{{{DAEMON}}}[$__range]) - last_over_time({began}{{{DAEMON}}}[$__range])"
    return f"max by (stage, run) ({spent} {of(side)})"


def by_stage():
    return [
        last("Tokens", "Tokens trained on.", "short", "begat_stage_tokens_total", min=0),
        both("Time", "From a stage's start to its last event.", "s", took, min=0),
        last("Processor time", "Of the stage's processes.", "s", "begat_stage_cpu_seconds_total", min=0),
    ]


def energy():
    joules = "begat_stage_energy_joules_total"
    return last("Energy", "Of the GPUs, while a stage had one.", "joule", joules, "gpu", min=0)


def in_all():
    queries = [Query(f"sum({took(side)})", f"${side}") for side in SIDES]
    return g.bars("In all", "Time of all stages; a shared one counts for both.", "s", queries, COLORS, min=0)


def shared():
    both = " and on (instance, run) ".join(
        f'last_over_time(begat_launch_run_info{{{DAEMON},recipe="${side}"}}[$__range])' for side in SIDES
    )
    info = f"last_over_time(begat_run_info{{{DAEMON}}}[$__range])"
    expr = f"max by (stage, run) ({info} and on (instance, run) ({both}))"
    return g.table(
        "Shared",
        "Runs that both recipes use: run once, counted for both.",
        [("", "short", Query(expr))],
        [],
        [("run", g.run_link())],
    )


def curve(side, title, meaning, unit, name, **more):
    expr = (
        f'{name}{{{DAEMON}}} and on (instance, run) begat_launch_run_info{{{DAEMON},recipe="${side}"}} '
        f"and on (instance, run) ({ALIVE})"
    )
    return g.graph(f"${side}: {title}", meaning, unit, [Query(expr, "{{stage}} {{run}}")], **more)


def curves():
    kl = g.thresholds((None, g.GREEN), (10, g.ORANGE), (20, g.RED))
    figures = [
        (("loss", "Training loss of every stage that has one.", "short", "begat_stage_loss"), {}),
        (("reward", "The reward model's score of sampled answers.", "short", "begat_stage_reward"), {}),
        (
            ("KL from the reference", "Of a whole answer, in nats.", "short", "begat_stage_kl_nats"),
            {"steps": kl, "sparse": True},
        ),
        (
            ("completion length", "Tokens of a sampled answer.", "short", "begat_stage_completion_length_tokens"),
            {"sparse": True},
        ),
        (("tokens per second", "Of the last interval.", "short", "begat_stage_tokens_per_second"), {}),
    ]
    return [[curve(side, *figure, **more) for side in SIDES] for figure, more in figures]
