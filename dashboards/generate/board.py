"""A board: its panels laid out in rows of 24 columns, numbered, with the variables and links that all boards share."""

import grafana as g

WIDTH = 24
DAEMON = 'instance=~"$instance"'


def variables(*more):
    """The variables of a board; the datasource and the daemon come first on every one."""
    instance = g.variable(
        "instance",
        "Daemon",
        "label_values(begat_build_info, instance)",
        description="The daemons that Prometheus scrapes.",
    )
    return [g.datasource(), instance, *more]


def recipe():
    return g.variable(
        "recipe",
        "Recipe",
        f"label_values(begat_launch_run_info{{{DAEMON}}}, recipe)",
        description="Only the runs that a launch of these recipes uses.",
    )


def active(change, name, label, labels=""):
    """A counter's change by a label, without the values of the label that nothing happened to in the time shown."""
    series = f"{name}{{{DAEMON}{labels}}}"
    return (
        f"sum by ({label}) ({change}({series}[$__rate_interval])) "
        f"and on ({label}) sum by ({label}) (increase({series}[$__range])) > 0"
    )


def place(items):
    """Gives every panel of (panel, width, height) its place, from left to right, and a number."""
    x = y = tallest = 0
    placed = []
    for number, (panel, width, height) in enumerate(items, 1):
        if x + width > WIDTH:
            x, y, tallest = 0, y + tallest, 0
        placed.append({"id": number, **panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, tallest = x + width, max(tallest, height)
    return placed


def row(title):
    return g.row(title), WIDTH, 1


def conditional(uid, panels):
    """The queries that may find nothing in a sound fleet, by board and panel, and why."""
    for panel in panels:
        for at, query in enumerate(panel["queries"]):
            if query.only:
                yield {"board": uid, "panel": panel["title"], "query": g.ref(at), "only": query.only}


def board(uid, title, description, items, templating, annotations, since="now-6h"):
    """The board as Grafana reads it, and which of its queries may find nothing."""
    panels = place(items)
    empty = list(conditional(uid, panels))
    panels = [{key: value for key, value in panel.items() if key != "queries"} for panel in panels]
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["begat"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "preload": False,
        "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timezone": "browser",
        "timepicker": {},
        "weekStart": "",
        "links": g.links(),
        "templating": {"list": templating},
        "annotations": {"list": annotations},
        "panels": panels,
    }, empty
