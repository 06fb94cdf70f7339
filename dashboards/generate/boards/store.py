"""The store: how it grows, what sharing and compression save, and whether it is sound."""

import grafana as g
from board import DAEMON, board as assemble, row, variables
from boards import marks
from grafana import Query

STORE = f"{{{DAEMON}}}"
DATA = f'{{{DAEMON},folder="data"}}'


def board():
    items = [
        row("Now"),
        *((panel, 3, 4) for panel in stats()),
        row("Growth"),
        *((panel, 12, 8) for panel in growth()),
        row("Work"),
        *((panel, 12, 8) for panel in work()),
    ]
    return assemble(
        "begat-store",
        "begat / Store",
        "Growth, sharing and health of the store.",
        items,
        variables(),
        [marks.daemon_starts(DAEMON)],
        "now-7d",
    )


def stats():
    free = f"min(begat_filesystem_free_bytes{DATA} / begat_filesystem_size_bytes{DATA})"
    checked = f"time() - min(begat_store_fsck_last_run_timestamp_seconds{STORE} > 0)"
    low = g.thresholds((None, g.RED), (0.1, g.YELLOW), (0.2, g.GREEN))
    return [
        g.stat("On disk", "Bytes of the store's packs.", "bytes", f"sum(begat_store_stored_bytes{STORE})"),
        g.stat(
            "As files",
            "What the same blobs would take as plain files.",
            "bytes",
            f"sum(begat_store_logical_bytes{STORE})",
        ),
        g.stat(
            "Sharing",
            "Bytes of all blobs to bytes of distinct chunks.",
            "short",
            f"avg(begat_store_deduplication_ratio{STORE})",
            decimals=2,
        ),
        g.stat(
            "Compression",
            "Bytes of distinct chunks to bytes on disk.",
            "short",
            f"avg(begat_store_compression_ratio{STORE})",
            decimals=2,
        ),
        g.stat("Free disk", "Free share of the disk with the data folder.", "percentunit", free, low, min=0, max=1),
        g.stat(
            "Read-only",
            "Stores that refuse writes since an fsync failed. See RUNBOOKS.md.",
            "short",
            f"sum(begat_store_read_only{STORE})",
            g.zero_is_good(),
        ),
        g.stat(
            "Damage",
            "What the last check found wrong.",
            "short",
            f"sum(begat_store_fsck_errors{STORE})",
            g.zero_is_good(),
        ),
        g.stat(
            "Last check",
            "Time since the last `begat fsck`, of the daemon that waits longest.",
            "s",
            checked,
            g.thresholds((None, g.GREEN), (2592000, g.YELLOW)),
            empty="Never",
        ),
    ]


def growth():
    each = "{{instance}}"
    return [
        g.graph(
            "Bytes",
            "As plain files, without what is shared, and on disk.",
            "bytes",
            [
                Query(f"sum(begat_store_logical_bytes{STORE})", "as files"),
                Query(f"sum(begat_store_unique_bytes{STORE})", "distinct chunks"),
                Query(f"sum(begat_store_stored_bytes{STORE})", "on disk"),
            ],
            min=0,
        ),
        g.graph(
            "What sharing and compression save",
            "Factors; 1 saves nothing.",
            "short",
            [
                Query(f"begat_store_deduplication_ratio{STORE}", f"sharing {each}"),
                Query(f"begat_store_compression_ratio{STORE}", f"compression {each}"),
            ],
            min=1,
        ),
        g.graph(
            "Free disk in 24 hours",
            "Of the disk with the data folder, and where it will be in 24 hours at the pace of the last six.",
            "bytes",
            [
                Query(f"begat_filesystem_free_bytes{DATA}", f"free {each}"),
                Query(f"predict_linear(begat_filesystem_free_bytes{DATA}[6h], 86400)", f"in 24 h {each}"),
                Query(f"begat_filesystem_size_bytes{DATA}", f"size {each}"),
            ],
            min=0,
        ),
        g.graph(
            "Objects",
            "Blobs, distinct chunks and packs.",
            "short",
            [
                Query(f"sum(begat_store_blobs{STORE})", "blobs"),
                Query(f"sum(begat_store_chunks{STORE})", "chunks"),
                Query(f"sum(begat_store_packs{STORE})", "packs"),
            ],
            log=True,
        ),
    ]


def work():
    def rate(name):
        return f"sum(rate({name}{STORE}[$__rate_interval]))"

    def speed(what):
        return f"{rate(f'begat_store_{what}_bytes_total')} / ({rate(f'begat_store_{seconds[what]}_seconds_total')} > 0)"

    seconds = {"ingested": "ingest", "restored": "restore"}
    return [
        g.graph(
            "Taken in and given out",
            "Bytes of blobs per second.",
            "Bps",
            [
                Query(rate("begat_store_ingested_bytes_total"), "taken in"),
                Query(rate("begat_store_restored_bytes_total"), "given out"),
            ],
        ),
        g.graph(
            "Speed",
            "Bytes per second of work: what the store does while it is asked to.",
            "Bps",
            [Query(speed("ingested"), "taking in"), Query(speed("restored"), "giving out")],
            sparse=True,
        ),
    ]
