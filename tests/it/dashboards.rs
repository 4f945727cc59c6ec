//! The dashboard, the alerts and the runbooks keep to the metrics there are and to the rules of
//! Grafana's dashboard linter, without Grafana.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::support::prometheus::rendered_metrics;

/// Units of Grafana's list that the dashboard uses: an unknown one shows as text beside the number.
const UNITS: [&str; 7] = [
    "bytes",
    "cps",
    "dateTimeFromNow",
    "percentunit",
    "reqps",
    "s",
    "short",
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard() -> Value {
    read("dashboards/flexcast.json").parse().expect("JSON")
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Every panel that shows something: rows only have a title.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = list(dashboard, "panels").iter();
    panels
        .filter(|panel| text(panel, "type") != "row")
        .collect()
}

/// The words of a text that look like metrics of ours or of the process.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("flexcast_") || word.starts_with("process_"))
        .collect()
}

/// Every name under which Prometheus has a series of ours.
fn series_names() -> BTreeSet<String> {
    let text = rendered_metrics();
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboard_and_alerts_name_only_metrics_that_exist() {
    let known = series_names();
    for path in [
        "dashboards/flexcast.json",
        "deploy/prometheus/alerts.yml",
        "deploy/prometheus/tests/alerts_test.yml",
    ] {
        let content = read(path);
        let named = metrics_in(&content);
        assert!(!named.is_empty(), "{path}");
        for name in named {
            assert!(known.contains(name), "{path}: {name}");
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let content = read("dashboards/flexcast.json");
    let shown = metrics_in(&content);
    for name in series_names() {
        // One of a histogram's three is enough, and so is a process's age in an alert.
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let is_shown = match of_histogram {
            Some(name) => shown.contains(format!("{name}_bucket").as_str()),
            None => shown.contains(name.as_str()),
        };
        assert!(is_shown || name == "process_start_time_seconds", "{name}");
    }
}

#[test]
fn the_dashboard_can_be_provisioned() {
    let dashboard = dashboard();
    assert!(dashboard["id"].is_null());
    assert_eq!(text(&dashboard, "uid"), "flexcast");
    assert_eq!(dashboard["editable"], false);
    for key in ["__inputs", "__requires"] {
        assert!(dashboard.get(key).is_none(), "{key} breaks provisioning");
    }
    let ids: BTreeSet<_> = list(&dashboard, "panels")
        .iter()
        .map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(
        ids.len(),
        list(&dashboard, "panels").len(),
        "ids are unique"
    );
}

#[test]
fn the_dashboard_has_the_variables_a_linter_asks_for() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let (source, queries) = variables.split_first().expect("variables");
    assert_eq!(text(source, "name"), "datasource");
    assert_eq!(text(source, "type"), "datasource");
    assert_eq!(text(source, "query"), "prometheus");
    assert_eq!(text(source, "label"), "Data source");
    let labels: Vec<_> = queries.iter().map(|it| text(it, "label")).collect();
    assert_eq!(labels, ["Job", "Instance", "Campaign"]);
    for variable in queries {
        let name = text(variable, "name");
        assert_eq!(
            text(&variable["datasource"], "uid"),
            "${datasource}",
            "{name}"
        );
        assert_eq!(variable["multi"], true, "{name}");
        assert_eq!(variable["includeAll"], true, "{name}");
        assert_eq!(text(variable, "allValue"), ".+", "{name}");
        assert_eq!(
            variable["refresh"], 2,
            "{name}: again when the time changes"
        );
        let query = text(&variable["query"], "query");
        assert!(query.starts_with("label_values("), "{name}: {query}");
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_what_unit() {
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(!title.is_empty(), "{panel}");
        assert!(text(panel, "description").ends_with('.'), "{title}");
        let unit = text(&panel["fieldConfig"]["defaults"], "unit");
        assert!(UNITS.contains(&unit), "{title}: {unit}");
        assert!(!list(panel, "targets").is_empty(), "{title}");
        for part in list(panel, "targets").iter().chain([panel]) {
            assert_eq!(text(&part["datasource"], "type"), "prometheus", "{title}");
            assert_eq!(text(&part["datasource"], "uid"), "${datasource}", "{title}");
        }
    }
}

#[test]
fn every_query_is_of_the_chosen_job_and_instance_and_counters_are_rated() {
    let dashboard = dashboard();
    let targets = panels(&dashboard)
        .into_iter()
        .flat_map(|it| list(it, "targets"));
    for query in targets.map(|target| text(target, "expr")) {
        let selectors = query.matches('{').count();
        for matcher in ["job=~\"$job\"", "instance=~\"$instance\""] {
            assert_eq!(query.matches(matcher).count(), selectors, "{query}");
        }
        assert_eq!(metrics_in(query).is_empty(), selectors == 0, "{query}");
        for end in ["_total{", "_bucket{", "_count{"] {
            for (at, _) in query.match_indices(end) {
                let head = &query[..at];
                let name = head.rfind(|c: char| !(c.is_ascii_lowercase() || c == '_'));
                let head = &head[..name.map_or(0, |at| at + 1)];
                assert!(
                    head.ends_with("rate(") || head.ends_with("increase("),
                    "{query}"
                );
            }
        }
        for (at, _) in query
            .match_indices(" rate(")
            .chain(query.match_indices("(rate("))
        {
            let window = query[at..].split_once('[').map(|(_, rest)| rest);
            let window = window.unwrap_or_default();
            assert!(window.starts_with("$__rate_interval]"), "{query}");
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_a_test() {
    let alerts = read("deploy/prometheus/alerts.yml");
    let runbooks = read("docs/runbooks.md");
    let tests = read("deploy/prometheus/tests/alerts_test.yml");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in &names {
        let anchor = name.to_lowercase();
        assert!(
            alerts.contains(&format!("docs/runbooks.md#{anchor}\n")),
            "{name}"
        );
        assert!(
            runbooks.contains(&format!("\n## {name}\n")),
            "{name} has no runbook"
        );
        let tested = tests.matches(&format!("alertname: {name}")).count();
        assert!(tested >= 2, "{name} must be tested to fire and not to fire");
    }
    let headings = runbooks.lines().filter_map(|line| line.strip_prefix("## "));
    for heading in headings {
        assert!(
            names.contains(&heading),
            "{heading} is a runbook of no alert"
        );
    }
}
