//! Grafana's provisioning against the services, ports and mounts of the file. No registry that the tests reach has
//! Grafana's server, so that it is not started.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::support::program::repository;
use super::file::{Compose, Source, parse_yaml};
use super::image;
use super::map::Map;

/// The only name of Grafana's service that its provisioning can know.
const SERVICE: &str = "grafana";

/// Where the image looks for it, unless `GF_PATHS_PROVISIONING` says otherwise.
const PROVISIONING: &str = "/etc/grafana/provisioning";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DataSources {
    api_version: u32,
    datasources: Vec<DataSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DataSource {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "uid")]
    _uid: String,
    r#type: String,
    access: String,
    url: String,
    is_default: bool,
    json_data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Providers {
    api_version: u32,
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Provider {
    #[serde(rename = "name")]
    _name: String,
    r#type: String,
    #[serde(rename = "allowUiUpdates")]
    _allow_ui_updates: bool,
    #[serde(rename = "disableDeletion")]
    _disable_deletion: bool,
    #[serde(rename = "updateIntervalSeconds")]
    _update_interval_seconds: u32,
    options: Options,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: String,
}

#[derive(Deserialize)]
struct Scraping {
    global: BTreeMap<String, String>,
}

/// The file or folder of this repository that Grafana sees at a path.
fn seen_at(compose: &Compose, path: &str) -> PathBuf {
    let mounts = compose.service(SERVICE).mounts(SERVICE);
    let found = mounts.iter().find_map(|mount| match &mount.source {
        Source::Repository(source) => {
            let inside = Path::new(path).strip_prefix(&mount.target).ok()?;
            Some(repository(source).join(inside))
        }
        Source::Volume(_) => None,
    });
    let found = found
        .unwrap_or_else(|| panic!("Grafana looks at {path}, where nothing of ours is mounted"));
    assert!(
        found.exists(),
        "Grafana looks at {path}, and {} does not exist",
        found.display()
    );
    found
}

/// The only file of a folder of the provisioning.
fn provisioned(compose: &Compose, folder: &str) -> String {
    let folder = seen_at(compose, &format!("{PROVISIONING}/{folder}"));
    let mut files = fs::read_dir(&folder).expect("a folder");
    let file = files.next().expect("a file").expect("an entry").path();
    assert!(
        files.next().is_none(),
        "{} has another file",
        folder.display()
    );
    fs::read_to_string(file).expect("a file of ours")
}

#[test]
fn grafana_asks_the_prometheus_of_the_file() {
    let compose = Compose::read();
    let folder = tempfile::tempdir().expect("a folder");
    let map = Map::of(&compose, &image::read(), folder.path());
    let sources: DataSources = parse_yaml("datasources", &provisioned(&compose, "datasources"));
    assert_eq!(sources.api_version, 1);
    let [source] = &sources.datasources[..] else {
        panic!("one data source");
    };
    assert_eq!(
        (
            source.r#type.as_str(),
            source.access.as_str(),
            source.is_default
        ),
        ("prometheus", "proxy", true)
    );
    let url = map.url(SERVICE, &source.url);
    assert_eq!(
        url,
        map.url(SERVICE, "http://prometheus:9090"),
        "the data source is another service"
    );
    let waits = compose
        .service(SERVICE)
        .depends_on
        .contains_key("prometheus");
    assert!(waits, "Grafana starts before the Prometheus that it asks");
    let text =
        fs::read_to_string(repository("deploy/prometheus/prometheus.yml")).expect("prometheus.yml");
    let scraping: Scraping = parse_yaml("prometheus.yml", &text);
    let interval = source.json_data.get("timeInterval");
    assert_eq!(
        interval,
        scraping.global.get("scrape_interval"),
        "$__rate_interval follows from another interval"
    );
}

#[test]
fn grafana_finds_the_dashboard_and_opens_it_first() {
    let compose = Compose::read();
    let providers: Providers = parse_yaml("dashboards", &provisioned(&compose, "dashboards"));
    assert_eq!(providers.api_version, 1);
    let [provider] = &providers.providers[..] else {
        panic!("one provider");
    };
    assert_eq!(provider.r#type, "file");
    let folder = seen_at(&compose, &provider.options.path);
    // A mounted file stays the old one when an editor or git replaces it, whatever the provider's interval is.
    assert!(folder.is_dir(), "a provider looks at a folder");
    let found = folder.join("flexcast.json");
    assert!(
        found.exists(),
        "the provider finds no dashboard in {}",
        folder.display()
    );
    let first = &compose.service(SERVICE).environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(
        seen_at(&compose, first),
        found,
        "another dashboard is opened first"
    );
}
