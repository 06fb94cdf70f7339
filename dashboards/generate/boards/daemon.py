"""The daemon itself: does it answer, how fast, how far behind is it, what does it take."""

import grafana as g
from board import DAEMON, active, board as assemble, row, variables
from boards import marks
from grafana import Query

ALL = f"{{{DAEMON}}}"
TARGET = f'{{job="begatd",{DAEMON}}}'


def board():
    items = [
        row("Now"),
        *((panel, 3, 4) for panel in stats()),
        row("API"),
        *((panel, 12, 8) for panel in api()),
        row("Journals and inboxes"),
        *((panel, 8, 8) for panel in journals()),
        row("Process"),
        *((panel, 8, 8) for panel in process()),
    ]
    return assemble(
        "begat-daemon",
        "begat / Daemon",
        "Latency, errors, lag and needs of the daemon.",
        items,
        variables(),
        [marks.daemon_starts(DAEMON)],
    )


def rate(name, labels=""):
    return f"rate({name}{{{DAEMON}{labels}}}[$__rate_interval])"


def stats():
    failed = rate("begat_http_requests_total", ',status=~"5.."')
    errors = f"(sum({failed}) or vector(0)) / sum({rate('begat_http_requests_total')})"
    bad = g.thresholds((None, g.GREEN), (0.01, g.YELLOW), (0.05, g.RED))
    return [
        g.stat(
            "Answers",
            "Daemons that answer Prometheus, as a share.",
            "percentunit",
            f"avg(up{TARGET})",
            g.thresholds((None, g.RED), (1, g.GREEN)),
            min=0,
            max=1,
        ),
        g.stat(
            "Version",
            "Of begat, and of the contract between daemon and stages.",
            "short",
            f"begat_build_info{ALL}",
            legend="{{version}} / {{contract}}",
            text_mode="name",
        ),
        g.stat(
            "Up for",
            "Since the daemon started, of the one that started last.",
            "s",
            f"time() - max(process_start_time_seconds{TARGET})",
        ),
        g.stat("Requests", "Answered per second.", "reqps", f"sum({rate('begat_http_requests_total')})"),
        g.stat("Errors", "Share of requests answered with a 5xx status.", "percentunit", errors, bad),
        g.stat(
            "In flight", "Requests whose answer has not begun.", "short", f"sum(begat_http_requests_in_flight{ALL})"
        ),
        g.stat(
            "Journal lag",
            "Bytes that stages have written and the daemon not yet read.",
            "bytes",
            f"sum(begat_stage_journal_lag_bytes{ALL}) or vector(0)",
            g.thresholds((None, g.GREEN), (1048576, g.YELLOW), (67108864, g.RED)),
        ),
        g.stat(
            "Faulty lines",
            "Lines of journals that could not be read, in the time shown.",
            "short",
            f"sum(increase(begat_journal_faults_total{ALL}[$__range]))",
            g.zero_is_good(),
            decimals=0,
        ),
    ]


def api():
    bucket = rate("begat_http_request_duration_seconds_bucket")
    bad = ',status=~"[45].."'
    asked = f"sum by (route) (increase(begat_http_requests_total{ALL}[$__range])) > 0"
    return [
        g.graph(
            "Requests by route",
            "Answered per second, by route.",
            "reqps",
            [Query(active("rate", "begat_http_requests_total", "route"), "{{route}}")],
            legend="right",
        ),
        g.graph(
            "Errors by route",
            "Answers per second that were errors of the request (4xx) or of the daemon (5xx), by route.",
            "reqps",
            [Query(active("rate", "begat_http_requests_total", "route, status", bad), "{{status}} {{route}}")],
            empty="No errors",
            legend="right",
        ),
        g.graph(
            "Time to answer",
            "99 of 100 answers began within this time, by route.",
            "s",
            [Query(f"histogram_quantile(0.99, sum by (route, le) ({bucket})) and on (route) {asked}", "{{route}}")],
            log=True,
            legend="right",
        ),
        g.graph(
            "Time to answer, all routes",
            "Half, and 99 of 100, of the answers began within this time.",
            "s",
            [
                Query(f"histogram_quantile(0.5, sum by (le) ({bucket}))", "half"),
                Query(f"histogram_quantile(0.99, sum by (le) ({bucket}))", "99 of 100"),
            ],
        ),
    ]


def journals():
    return [
        g.graph(
            "Journal lines",
            "Read per second.",
            "short",
            [
                Query(f"sum({rate('begat_journal_events_total')})", "lines"),
                Query(f"sum({rate('begat_journal_faults_total')})", "unreadable"),
                Query(f"sum({rate('begat_stage_metrics_dropped_total')})", "figures beyond the limit of a run"),
            ],
        ),
        g.graph(
            "Lag by stage",
            "Bytes written and not yet read.",
            "bytes",
            [Query(f"sum by (stage) (begat_stage_journal_lag_bytes{ALL})", "{{stage}}")],
            legend="right",
        ),
        g.graph(
            "Inboxes",
            "Drops into watched folders per second, and what the watcher saw.",
            "short",
            [
                Query(f"sum by (inbox, outcome) ({rate('begat_inbox_drops_total')})", "{{inbox}} {{outcome}}"),
                Query(f"sum by (inbox) ({rate('begat_inbox_watch_events_total')})", "{{inbox}} seen"),
            ],
            empty="No inbox",
        ),
    ]


def process():
    each = "{{instance}}"

    def used(name):
        return f"rate({name}{TARGET}[$__rate_interval])"

    return [
        g.graph(
            "Processors", "That the daemon used.", "short", [Query(used("process_cpu_seconds_total"), each)], min=0
        ),
        g.graph("Memory", "Resident.", "bytes", [Query(f"process_resident_memory_bytes{TARGET}", each)], min=0),
        g.graph(
            "File descriptors",
            "Open ones, as a share of the limit.",
            "percentunit",
            [Query(f"process_open_fds{TARGET} / process_max_fds{TARGET}", each)],
            min=0,
            max=1,
        ),
        g.graph(
            "Workers busy",
            "Share of the time in which the runtime's workers worked.",
            "percentunit",
            [Query(f"{rate('begat_tokio_busy_seconds_total')} / begat_tokio_workers{ALL}", each)],
            min=0,
            max=1,
        ),
        g.graph(
            "Tasks",
            "Alive, and waiting in the runtime's queue.",
            "short",
            [
                Query(f"begat_tokio_tasks{ALL}", f"alive {each}"),
                Query(f"begat_tokio_queue_depth{ALL}", f"waiting {each}"),
            ],
        ),
        g.graph(
            "Scrape",
            "How long Prometheus waits for the daemon's metrics.",
            "s",
            [Query(f"scrape_duration_seconds{TARGET}", each)],
            steps=g.thresholds((None, g.GREEN), (2, g.RED)),
        ),
        g.graph(
            "Series",
            "Samples in a scrape: runs that ended long ago must not be among them.",
            "short",
            [Query(f"scrape_samples_scraped{TARGET}", each)],
        ),
    ]
