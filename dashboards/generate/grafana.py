"""Grafana's dashboard model (schemaVersion 41), as little of it as the boards use.

Colours are names of Grafana's palette, which has a light and a dark value for each; nothing here fixes one.
"""

import re

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
METRIC = re.compile(r"\b((?:begat|process|scrape)_[a-z0-9_]+|up(?=\{)|ALERTS)\b")
NO_RUNS = "No runs yet"
# What stands in a cell without a figure.
NO_FIGURE = "–"
# A variable whose query is one text, as opposed to the fields of an editor.
CLASSIC = 5
SILENCE = {"gpu": "No GPU here", "live": "Nothing runs"}
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"


class Query:
    """One query of a panel. `only` says when alone it has data: "gpu", or "live" (while a run is)."""

    def __init__(self, expr, legend="", only=None, exemplar=False):
        self.expr, self.legend, self.only, self.exemplar = " ".join(expr.split()), legend, only, exemplar

    def target(self, ref, instant, table):
        shape = {"instant": True, "range": False} if instant else {"instant": False, "range": True}
        return {
            "refId": ref,
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": self.expr,
            "format": "table" if table else "time_series",
            "legendFormat": self.legend or "__auto",
            **({"exemplar": True} if self.exemplar else {}),
            **shape,
        }


def metrics(queries):
    """The metrics that queries name, in their order, without what a histogram's parts add."""
    found = (re.sub(r"_bucket$", "", name) for query in queries for name in METRIC.findall(query.expr))
    return list(dict.fromkeys(found))


def described(meaning, queries):
    names = metrics(queries)
    return f"{meaning} Metric{'s' if len(names) > 1 else ''}: {', '.join(f'`{name}`' for name in names)}."


def thresholds(*steps):
    """Steps of (value from which, colour); the first one's value is None."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def zero_is_good(color=RED):
    return thresholds((None, GREEN), (1, color))


def mappings(empty):
    """A NaN says the same as no series at all."""
    return [{"type": "special", "options": {"match": "null+nan", "result": {"text": empty, "index": 0}}}]


def defaults(unit, empty, steps=None, custom=None, **more):
    color = {"mode": "thresholds"} if steps else {"mode": "palette-classic"}
    return {
        "unit": unit,
        "noValue": empty,
        "color": color,
        "mappings": mappings(empty),
        "thresholds": steps or thresholds((None, GREEN)),
        **({"custom": custom} if custom else {}),
        **more,
    }


def panel(kind, title, meaning, queries, field, options, instant=False, table=False, **more):
    targets = [query.target(ref(at), instant, table) for at, query in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": described(meaning, queries),
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": field, "overrides": more.pop("overrides", [])},
        "options": options,
        "queries": queries,
        **more,
    }


def ref(at):
    return chr(ord("A") + at)


def silence(queries, empty=NO_RUNS):
    """What a panel says that has nothing to show."""
    reasons = {query.only for query in queries}
    return SILENCE.get(reasons.pop(), empty) if len(reasons) == 1 else empty


def stat(title, meaning, unit, expr, steps=None, only=None, **more):
    queries = [Query(expr, more.pop("legend", ""), only)]
    said = silence(queries, more.pop("empty", NO_RUNS))
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto",
        "textMode": more.pop("text_mode", "value"),
        "colorMode": "value" if steps else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "wideLayout": True,
    }
    field = defaults(unit, said, steps or thresholds((None, "text")), **more)
    return panel("stat", title, meaning, queries, field, options, instant=True)


def graph(
    title,
    meaning,
    unit,
    queries,
    steps=None,
    stack=False,
    log=False,
    sparse=False,
    empty=NO_RUNS,
    legend="bottom",
    **more,
):
    """Curves in time. `sparse` ones have samples that stand alone, which a line would not show."""
    custom = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if stack else 0,
        "showPoints": "always" if sparse else "auto",
        "pointSize": 4,
        "spanNulls": False,
        "axisPlacement": "auto",
        "axisLabel": "",
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
    }
    field = defaults(unit, silence(queries, empty), None, custom, **more)
    if steps:
        field["thresholds"] = steps
    options = {
        "legend": {"displayMode": "list", "placement": legend, "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, meaning, queries, field, options)


def bars(title, meaning, unit, queries, colors=(), **more):
    """One bar a series; `colors` are those of the queries, in their order."""
    options = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "color",
        "showUnfilled": True,
        "namePlacement": "left",
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 12,
        "maxVizHeight": 30,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
    }
    return panel(
        "bargauge",
        title,
        meaning,
        queries,
        defaults(unit, silence(queries), **more),
        options,
        instant=True,
        overrides=[
            field("byFrameRefID", ref(at), "color", {"mode": "fixed", "fixedColor": color})
            for at, color in enumerate(colors)
        ],
    )


def table(title, meaning, columns, hidden, links=(), order=("stage", "run"), widths=(), empty=NO_RUNS):
    """A table whose rows are label sets: `columns` are (name, unit, query); labels in `hidden` are left out, those in
    `order` come first. `widths` are (name, pixels) of columns that need room."""
    queries = [query for _, _, query in columns]
    names = [f"Value #{ref(at)}" if len(columns) > 1 else "Value" for at in range(len(columns))]
    organize = {
        "excludeByName": {name: True for name in ["Time", *hidden]},
        "renameByName": {name: column[0] for name, column in zip(names, columns) if column[0]},
        "indexByName": {name: at for at, name in enumerate(order)},
    }
    organize["excludeByName"].update({name: True for name, column in zip(names, columns) if not column[0]})
    overrides = [field("byName", name, "unit", unit) for name, unit, _ in columns if name]
    overrides += [field("byName", name, "links", [link]) for name, link in links]
    overrides += [field("byName", name, "custom.width", pixels) for name, pixels in widths]
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "fields": ""}}
    changes = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False, "minWidth": 64}
    return panel(
        "table",
        title,
        meaning,
        queries,
        # A label is text even if it looks like a number, as the run id 93498e470133 does; each figure has its own unit.
        {**defaults("string", silence(queries, empty), None, custom), "mappings": mappings(NO_FIGURE)},
        options,
        instant=True,
        table=True,
        overrides=overrides,
        transformations=changes,
    )


def field(matcher, name, prop, value):
    """An override of one property of the fields that match."""
    return {"matcher": {"id": matcher, "options": name}, "properties": [{"id": prop, "value": value}]}


def run_link():
    """From a cell to the board of its run, at the same time."""
    url = "/d/begat-run?${__url_time_range}&${datasource:queryparam}&var-run=${__data.fields.run}"
    return {"title": "The board of this run", "url": url, "targetBlank": False}


def text(title, content):
    return {
        "type": "text",
        "title": title,
        "description": "Commands for a terminal, of the run chosen above.",
        "options": {"mode": "markdown", "content": content},
        "queries": [],
    }


def row(title, collapsed=False):
    return {"type": "row", "title": title, "collapsed": collapsed, "panels": [], "queries": []}


def variable(name, label, query, description, multi=True, regex="", default=""):
    """A variable whose choices a query finds: several and at first all of them, or one and at first `default`."""
    every = {"text": ["All"], "value": ["$__all"]}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"{name}-variable", "qryType": CLASSIC},
        "definition": query,
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "skipUrlSync": False,
        "multi": multi,
        "includeAll": multi,
        **({"allValue": ".+"} if multi else {}),
        "options": [],
        "current": every if multi else {"text": default, "value": default},
    }


def datasource():
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "regex": "",
        "description": "The Prometheus that scrapes begatd.",
        "hide": 0,
        "refresh": 1,
        "skipUrlSync": False,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def annotation(name, color, expr, title, body):
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "step": "60s",
        "expr": " ".join(expr.split()),
        "titleFormat": title,
        "textFormat": body,
        "tagKeys": "",
        "useValueForTime": False,
    }


def links():
    return [
        {
            "type": "dashboards",
            "title": "Boards",
            "tags": ["begat"],
            "asDropdown": False,
            "includeVars": True,
            "keepTime": True,
            "targetBlank": False,
            "icon": "external link",
            "tooltip": "",
            "url": "",
        }
    ]
