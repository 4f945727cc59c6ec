//! What is not expected in the file fails with a sentence. Each case changes the file in one place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::file::{self, Compose};
use super::image;
use super::map::Map;

/// A text of the file, what stands in its place, and what the sentence says.
const CASES: &[(&str, &str, &str)] = &[
    (
        "    image: prom/",
        "    read_only: true\n    image: prom/",
        "unknown field `read_only`",
    ),
    (
        "prom/prometheus:v3.5.0",
        "prom/promethus:v3.5.0",
        "prometheus has the image prom/promethus:v3.5.0",
    ),
    (
        "rabbitmq:4.1.3-management",
        "rabbitmq:4.1.3",
        "rabbitmq has the image rabbitmq:4.1.3",
    ),
    (
        "    image: flexcast:local\n    command",
        "    image: flexcast:local\n    build: .\n    command",
        "two services that build one image",
    ),
    (
        "      simulator:\n        condition",
        "      simulators:\n        condition",
        "flexcast depends on simulators, which is no service",
    ),
    (
        "      rabbitmq:\n        condition: service_healthy\n",
        "",
        "flexcast names rabbitmq in AMQP_MANAGEMENT_URL and does not depend on it",
    ),
    (
        "condition: service_healthy",
        "condition: service_started",
        "service_started",
    ),
    (
        "AMQP_MANAGEMENT_URL:",
        "AMQP_MANAGMENT_URL:",
        "flexcast sets AMQP_MANAGMENT_URL",
    ),
    (
        "RABBITMQ_DEFAULT_USER:",
        "RABBITMQ_USER:",
        "rabbitmq sets RABBITMQ_USER",
    ),
    (
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_ANONYMOUS_ENABLED",
        "grafana sets GF_ANONYMOUS_ENABLED",
    ),
    (
        "@rabbitmq:5672",
        "@rabbit:5672",
        "flexcast names the host rabbit, which is no service",
    ),
    (
        "http://simulator:8080",
        "http://simulator:8081",
        "flexcast names the port 8081 of simulator",
    ),
    (
        "http://simulator:8080",
        "http://simulator",
        "without a port",
    ),
    (
        "${TWILIO_AUTH_TOKEN:-",
        "${TWILIO_AUTH_TOKEN-",
        "write a variable as ${NAME:-VALUE}",
    ),
    (
        "\"127.0.0.1:9464:9464\"",
        "\"127.0.0.1:9464:9465\"",
        "flexcast names the port 9465 of flexcast",
    ),
    (
        "\"127.0.0.1:9464:9464\"",
        "\"9464:9464\"",
        "write 127.0.0.1:PORT:PORT",
    ),
    (
        "\"127.0.0.1:9464:9464\"",
        "\"127.0.0.1:9090:9464\"",
        "publishes the port 9090, as another service does",
    ),
    (
        "\"0.0.0.0:9464\"",
        "\"127.0.0.1:9464\"",
        "flexcast listens where no other container reaches it",
    ),
    (
        "[\"work\", \"--http\", \"0.0.0.0:9464\"]",
        "[\"work\"]",
        "does not say where it listens",
    ),
    (
        "./deploy/prometheus:",
        "./deploy/prom:",
        "prometheus mounts ./deploy/prom, which does not exist",
    ),
    (
        "prometheus:/prometheus",
        "prometheus:/data",
        "prometheus mounts /data, where",
    ),
    (
        "flexcast:/var/lib/flexcast",
        "flexcast:/var/lib/ledger",
        "flexcast mounts /var/lib/ledger, where",
    ),
    (
        "/etc/prometheus:ro",
        "/etc/prometheus",
        "with the wrong rights",
    ),
    (
        "- flexcast:/var",
        "- ledger:/var",
        "the volume ledger, which is not declared",
    ),
    (
        "  grafana:\n",
        "",
        "the volume grafana, which is not declared",
    ),
    (
        "\"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:9090",
        "\"curl\", \"http://127.0.0.1:9090",
        "the health check of prometheus needs curl",
    ),
    (
        "\"CMD\", \"curl\"",
        "\"CMD-SHELL\", \"curl\"",
        "the health check of flexcast is no CMD",
    ),
    (
        "127.0.0.1:9464/readyz",
        "127.0.0.1:9465/readyz",
        "flexcast names the port 9465 of flexcast",
    ),
];

/// The sentence with which a file is refused.
fn refusal(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let read = || Map::of(&Compose::parse(text), &image::read(), folder.path());
    let panicked = catch_unwind(AssertUnwindSafe(read)).err()?;
    let told = panicked.downcast_ref::<String>().cloned();
    told.or_else(|| {
        panicked
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
}

#[test]
fn what_is_not_expected_in_the_file_is_refused_with_a_sentence() {
    let text = file::text();
    assert_eq!(refusal(&text), None, "the file as it is");
    for (is, becomes, says) in CASES {
        let at = text
            .rfind(is)
            .unwrap_or_else(|| panic!("{is} is not in the file any more"));
        let changed = format!("{}{becomes}{}", &text[..at], &text[at + is.len()..]);
        let told = refusal(&changed).unwrap_or_else(|| panic!("the test accepts {becomes}"));
        assert!(told.contains(says), "{becomes}: {told}");
    }
}
