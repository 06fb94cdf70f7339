"""What runs, what waits, what failed, and what the devices do."""

import grafana as g
from board import DAEMON, active, board as assemble, recipe, row, variables
from boards import marks
from grafana import Query

OF_RECIPE = f'and on (instance, run) begat_launch_run_info{{{DAEMON},recipe=~"$recipe"}}'
LATELY = f'and on (instance, run) last_over_time(begat_launch_run_info{{{DAEMON},recipe=~"$recipe"}}[$__range])'
EXPLAINED = g.thresholds((None, g.RED), (0.1, g.YELLOW), (0.2, g.GREEN))


def board():
    items = [
        row("Now"),
        *((panel, 3, 4) for panel in stats()),
        row("Runs"),
        (running(), 24, 8),
        (failed(), 10, 7),
        (recipes(), 14, 7),
        (states(), 12, 8),
        (ended(), 12, 8),
        (waits(), 12, 8),
        (slots(), 12, 8),
        (found(), 8, 8),
        (used(), 8, 8),
        (verdicts(), 8, 8),
        row("GPUs"),
        *((panel, 8, 8) for panel in gpus()),
        row("Hosts"),
        *((panel, 8, 8) for panel in hosts()),
    ]
    annotations = [marks.starts(DAEMON, OF_RECIPE), marks.failures(DAEMON, OF_RECIPE)]
    return assemble(
        "begat-fleet",
        "begat / Fleet",
        "What runs, what waits, what failed, and what the devices do.",
        items,
        variables(recipe()),
        annotations,
    )


def stats():
    ended = f'begat_attempts_ended_total{{{DAEMON},outcome="failed"}}'
    saved = f"begat_memoised_device_seconds_total{{{DAEMON}}}"
    busy = f"sum(begat_device_slots_busy{{{DAEMON}}}) / sum(begat_device_slots{{{DAEMON}}})"
    data = f'{{{DAEMON},folder="data"}}'
    disk = f"min(begat_filesystem_free_bytes{data} / begat_filesystem_size_bytes{data})"
    return [
        g.stat(
            "Unreachable",
            "Daemons that do not answer Prometheus. Their own series just vanish, so look here first.",
            "short",
            f'count(up{{job="begatd",{DAEMON}}} == 0) or vector(0)',
            g.zero_is_good(),
        ),
        g.stat(
            "Firing alerts",
            "Alerts that fire now; RUNBOOKS.md has a section on each.",
            "short",
            'count(ALERTS{alertstate="firing",alertname=~"Begat.+"}) or vector(0)',
            g.zero_is_good(),
        ),
        g.stat("Running", "Runs whose process is alive.", "short", f'sum(begat_runs{{{DAEMON},state="running"}})'),
        g.stat("Waiting", "Runs that wait for a device slot.", "short", f"sum(begat_queue_length{{{DAEMON}}})"),
        g.stat(
            "Failed",
            "Attempts that failed in the time shown.",
            "short",
            f"sum(increase({ended}[$__range]))",
            g.zero_is_good(),
            decimals=0,
        ),
        g.stat("Slots busy", "Device slots that a stage holds, as a share of all.", "percentunit", busy, min=0, max=1),
        g.stat(
            "Saved",
            "Device time of stages that were found by their hash instead of run, in the time shown.",
            "s",
            f"sum(increase({saved}[$__range]))",
        ),
        g.stat(
            "Free disk",
            "Free share of the disk with the data folder, of the daemon that has least.",
            "percentunit",
            disk,
            EXPLAINED,
            min=0,
            max=1,
        ),
    ]


def running():
    run = f'begat_run_state{{{DAEMON},state=~"queued|running|storing|interrupted"}}'
    live = f"and on (instance, run) {run} {OF_RECIPE}"
    by = "by (instance, run, stage)"
    columns = [
        ("", "short", Query(f"max by (instance, run, stage, state) ({run} {OF_RECIPE})", only="live")),
        (
            "",
            "short",
            Query(f"max by (instance, run, stage, kind) (begat_run_info{{{DAEMON}}} {live})", only="live"),
        ),
        (
            "Done",
            "percentunit",
            Query(f"max {by} (instance_run_stage:begat_stage_progress:ratio{{{DAEMON}}} {live})", only="live"),
        ),
        (
            "Time left",
            "s",
            Query(
                f"max {by} (instance_run_stage:begat_stage_remaining_seconds:estimate{{{DAEMON}}} {live})", only="live"
            ),
        ),
        (
            "Tokens per second",
            "short",
            Query(f"max {by} (begat_stage_tokens_per_second{{{DAEMON}}} {live})", only="live"),
        ),
        ("Loss", "short", Query(f"max {by} (begat_stage_loss{{{DAEMON}}} {live})", only="live")),
        (
            "Last event",
            "s",
            Query(f"max {by} (time() - begat_stage_last_event_timestamp_seconds{{{DAEMON}}} {live})", only="live"),
        ),
    ]
    meaning = (
        "Every run that is not over: how far it is, how long it still takes at the pace of its last interval, and how "
        "long ago it last wrote into its journal."
    )
    links, widths = [("run", g.run_link())], [("stage", 190), ("run", 130), ("Tokens per second", 150)]
    return g.table("What runs", meaning, columns, ["instance"], links, ("stage", "kind", "run"), widths)


def failed():
    by = "by (instance, run, stage)"
    expr = (
        f'max {by} (last_over_time(begat_run_state{{{DAEMON},state="failed"}}[$__range]) {LATELY}) '
        f'unless on (instance, run) last_over_time(begat_run_state{{{DAEMON},state="succeeded"}}[$__range])'
    )
    meaning = (
        "Runs that failed in the time shown and have not succeeded since. `begat show RUN` says why, `begat logs RUN` "
        "what they wrote."
    )
    columns = [("", "short", Query(expr))]
    links = [("run", g.run_link())]
    return g.table("What failed", meaning, columns, ["instance"], links, empty="Nothing failed")


def recipes():
    launches = f'last_over_time(begat_launch_run_info{{{DAEMON},recipe=~"$recipe"}}[$__range])'
    columns = [
        ("Runs", "short", Query(f"count by (recipe, launch) ({launches})")),
        (
            "Running",
            "short",
            Query(
                f"count by (recipe, launch) ({launches} and on (instance, run) "
                f'begat_run_state{{{DAEMON},state="running"}})',
                only="live",
            ),
        ),
        (
            "Failed",
            "short",
            Query(
                f"count by (recipe, launch) ({launches} and on (instance, run) "
                f'begat_run_state{{{DAEMON},state="failed"}})'
            ),
        ),
    ]
    return g.table(
        "Launches",
        "Launches in the time shown, and how many of their runs are alive or failed just now.",
        columns,
        [],
        order=("recipe", "launch"),
        widths=[("recipe", 150), ("launch", 310)],
    )


def states():
    return g.graph(
        "Runs by state",
        "How many runs are in each state that is not the last.",
        "short",
        [Query(f'sum by (state) (begat_runs{{{DAEMON},state!~"succeeded|cancelled"}})', "{{state}}")],
        stack=True,
    )


def ended():
    return g.graph(
        "Attempts that ended",
        "By outcome; an interrupted one goes on from its checkpoint by itself.",
        "short",
        [
            Query(
                f"sum by (outcome) (increase(begat_attempts_ended_total{{{DAEMON}}}[$__rate_interval]))", "{{outcome}}"
            ),
            Query(f"sum(increase(begat_attempt_resumes_total{{{DAEMON}}}[$__rate_interval]))", "resumed"),
        ],
    )


def waits():
    wait = f"sum by (le) (rate(begat_queue_wait_seconds_bucket{{{DAEMON}}}[$__rate_interval]))"
    return g.graph(
        "Wait for a slot",
        "How long runs that got a slot had waited: half of them less, 95 of 100 less.",
        "s",
        [Query(f"histogram_quantile(0.5, {wait})", "half"), Query(f"histogram_quantile(0.95, {wait})", "95 of 100")],
        sparse=True,
    )


def slots():
    return g.graph(
        "Device slots",
        "Slots in use, and slots there are, by device.",
        "short",
        [
            Query(f"sum by (device) (begat_device_slots_busy{{{DAEMON}}})", "{{device}} busy"),
            Query(f"sum by (device) (begat_device_slots{{{DAEMON}}})", "{{device}} in all"),
        ],
    )


def found():
    return g.graph(
        "Found, not run",
        "Stages whose result was there already, by kind.",
        "short",
        [Query(active("increase", "begat_memoised_runs_total", "kind"), "{{kind}}")],
        empty="Nothing found",
    )


def used():
    return g.graph(
        "Device time",
        "Devices that stages used, by kind.",
        "short",
        [Query(active("rate", "begat_device_seconds_total", "kind"), "{{kind}}")],
        stack=True,
    )


def verdicts():
    return g.graph(
        "Reproductions",
        "Runs made again, by verdict. Anything but `identical` is a fault: see RUNBOOKS.md.",
        "short",
        [Query(active("increase", "begat_reproductions_total", "verdict"), "{{verdict}}")],
        empty="Nothing made again",
    )


def gpus():
    def one(title, meaning, unit, expr, legend="{{instance}} GPU {{gpu}}", **more):
        return g.graph(title, meaning, unit, [Query(expr, legend, only="gpu")], **more)

    gpu = f"{{{DAEMON}}}"
    return [
        one(
            "GPU utilisation",
            "Share of time in which a kernel ran. 100 % does not say that the GPU was used well: see MFU.",
            "percentunit",
            f"begat_gpu_utilization_ratio{gpu}",
            min=0,
            max=1,
        ),
        one(
            "GPU memory",
            "Memory in use, as a share.",
            "percentunit",
            f"begat_gpu_memory_used_bytes{gpu} / begat_gpu_memory_total_bytes{gpu}",
            min=0,
            max=1,
            steps=g.thresholds((None, g.GREEN), (0.95, g.ORANGE)),
        ),
        one(
            "GPU power",
            "Power drawn, as a share of the limit.",
            "percentunit",
            f"begat_gpu_power_watts{gpu} / begat_gpu_power_limit_watts{gpu}",
            min=0,
        ),
        one(
            "GPU temperature",
            "Of the chip.",
            "celsius",
            f"begat_gpu_temperature_celsius{gpu}",
            steps=g.thresholds((None, g.GREEN), (85, g.ORANGE), (92, g.RED)),
        ),
        one(
            "GPU clocks",
            "As they are, not as they could be.",
            "hertz",
            f"begat_gpu_clock_hertz{gpu}",
            "{{instance}} GPU {{gpu}} {{clock}}",
        ),
        one(
            "GPU throttled",
            "Reasons for which the clocks are held down; 1 while one holds.",
            "short",
            f"begat_gpu_throttled{gpu}",
            "{{instance}} GPU {{gpu}} {{reason}}",
            min=0,
            max=1,
        ),
        one(
            "GPU energy",
            "Drawn since the driver was loaded, per second.",
            "watt",
            f"rate(begat_gpu_energy_joules_total{gpu}[$__rate_interval])",
        ),
        one(
            "GPU memory errors",
            "ECC errors by type; uncorrected ones cost work.",
            "short",
            f"increase(begat_gpu_ecc_errors_total{gpu}[$__rate_interval])",
            "{{instance}} GPU {{gpu}} {{type}}",
        ),
        one(
            "GPU XID errors",
            "The driver's error reports by number.",
            "short",
            f"increase(begat_gpu_xid_errors_total{gpu}[$__rate_interval])",
            "{{instance}} GPU {{gpu}} XID {{xid}}",
        ),
    ]


def hosts():
    host = f"{{{DAEMON}}}"
    cpu = f'begat_host_cpu_seconds_total{{{DAEMON},mode!~"idle|iowait"}}'
    return [
        g.graph(
            "Processors",
            "Time that processors of the host were busy, as a number of processors.",
            "short",
            [Query(f"sum by (instance, mode) (rate({cpu}[$__rate_interval]))", "{{instance}} {{mode}}")],
            stack=True,
        ),
        g.graph(
            "Memory",
            "Memory of the host that programs can still have, and all of it.",
            "bytes",
            [
                Query(f"begat_host_memory_available_bytes{host}", "{{instance}} available"),
                Query(f"begat_host_memory_total_bytes{host}", "{{instance}} in all"),
            ],
            min=0,
        ),
        g.graph(
            "Load",
            "Processes that run or wait to, a mean of the last minute.",
            "short",
            [Query(f"begat_host_load1{host}", "{{instance}}")],
        ),
    ]
