#!/usr/bin/env python3
"""Run every query of the dashboards in a real Prometheus; fail on an error or an empty answer.

    scripts/check-dashboards.py http://127.0.0.1:9090 [--minutes 15] [DASHBOARD.json ...]

Grafana itself is not needed: variables are filled in as Grafana would fill in "All", and each panel's
queries run over the last minutes as the panel would run them. Standard library only.
"""

import argparse
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

DASHBOARDS = pathlib.Path(__file__).resolve().parent.parent / "dashboards"


def ask(prometheus, path, **parameters):
    """Answers with Prometheus's `data`, or raises ValueError with its error."""
    url = f"{prometheus.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return json.load(reply)["data"]
    except urllib.error.HTTPError as error:
        try:
            raise ValueError(json.load(error)["error"]) from None
        except (KeyError, json.JSONDecodeError):
            raise ValueError(f"HTTP {error.code}") from None


def filled_in(expression, dashboard, minutes):
    """The expression with every variable as Grafana fills in "All", and its intervals as numbers."""
    values = {"__rate_interval": "1m", "__interval": "15s", "__range": f"{minutes}m"}
    for variable in dashboard["templating"]["list"]:
        values[variable["name"]] = variable.get("allValue") or ".+"
    filled = re.sub(
        r"\$\{(\w+)(?::\w+)?\}|\$(\w+)",
        lambda found: values.get(found[1] or found[2], found[0]),
        expression,
    )
    if "$" in filled:
        raise ValueError(f"a variable is not known: {filled}")
    return filled


def panels_of(panels):
    """All panels, those inside of rows too."""
    for panel in panels:
        yield panel
        yield from panels_of(panel.get("panels", []))


def run(prometheus, expression, minutes):
    """How many series the query answers with, those of nothing but NaN left out."""
    now = time.time()
    data = ask(
        prometheus,
        "query_range",
        query=expression,
        start=now - 60 * minutes,
        end=now,
        step=max(5, minutes * 60 // 500),
    )
    return sum(any(value != "NaN" for _, value in series["values"]) for series in data["result"])


def check_variable(prometheus, variable, dashboard, minutes):
    """A `label_values(metric, label)` must find at least one value."""
    query = variable["query"]["query"] if isinstance(variable["query"], dict) else variable["query"]
    found = re.fullmatch(r"label_values\((.+),\s*(\w+)\)", query)
    if not found:
        raise ValueError(f"no label_values(metric, label): {query}")
    metric = filled_in(found[1], dashboard, minutes)
    return run(prometheus, f"count by ({found[2]}) ({metric})", minutes)


def queries_of(prometheus, dashboard, minutes):
    """Every query as (what it is for, a call that answers with its number of series)."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield (
                f"variable {variable['name']}",
                lambda it=variable: check_variable(prometheus, it, dashboard, minutes),
            )
    for panel in panels_of(dashboard["panels"]):
        for target in panel.get("targets", []):
            yield (
                f"{panel['title']} ({target['refId']})",
                lambda it=target: run(
                    prometheus, filled_in(it["expr"], dashboard, minutes), minutes
                ),
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus", help="for example http://127.0.0.1:9090")
    parser.add_argument("dashboards", nargs="*", type=pathlib.Path)
    parser.add_argument("--minutes", type=int, default=15, help="how far back to look")
    arguments = parser.parse_intermixed_args()
    try:
        ask(arguments.prometheus, "status/buildinfo")
    except (ValueError, OSError) as error:
        print(f"{arguments.prometheus} does not answer as a Prometheus: {error}", file=sys.stderr)
        return 2
    checked = failed = 0
    for path in arguments.dashboards or sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        for name, query in queries_of(arguments.prometheus, dashboard, arguments.minutes):
            checked += 1
            try:
                problem = None if query() else "no data"
            except (ValueError, OSError) as error:
                problem = str(error)
            if problem:
                failed += 1
                print(f"{path.name}: {name}: {problem}", file=sys.stderr)
    print(f"{checked} queries, {failed} failed")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
