//! Where Flex Channels and Proxy refuse: names, pairs, numbers, time to live.

use std::time::Duration;

use flexcast::simulator::{EffectKind, ProxyPool, Settings};
use serde_json::json;

use super::{CUSTOMER, SENDER, Twilio, settings, text};

#[tokio::test]
async fn a_channel_is_found_again_by_its_customer_and_refused_by_its_name() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let first = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    let again = twilio.channel(&flow, CUSTOMER, "fc-2").await;
    assert_eq!(first, again);
    assert_eq!(twilio.effects(EffectKind::Task).len(), 1);
    let form = [
        ("FlexFlowSid", flow.as_str()),
        ("Identity", "other"),
        ("ChatUserFriendlyName", "x"),
        ("ChatFriendlyName", "x"),
        ("ChatUniqueName", "fc-1"),
    ];
    let path = "flex-api/v1/Channels";
    assert_eq!(twilio.refused(path, &form).await, (409, 45208));
    let by_name = twilio.get(&twilio.chat("fc-1")).await.1;
    assert_eq!(by_name["sid"], first["sid"]);
    // Retired, the channel leaves its customer and its name to the next one.
    let retired = [("Attributes", r#"{"status": "INACTIVE"}"#)];
    twilio.made(&twilio.chat("fc-1"), &retired).await;
    let next = twilio.channel(&flow, CUSTOMER, "fc-1").await;
    assert_ne!(next["sid"], first["sid"]);
}

#[tokio::test]
async fn sessions_and_participants_conflict_as_twilio_has_it() {
    let twilio = Twilio::on_a_port(settings()).await;
    let flow = twilio.flow("sms", &[]).await;
    let (channel, session) = twilio.connected(&flow, "fc-1").await;
    let sessions = twilio.sessions();
    let participants = format!("{sessions}/{session}/Participants");
    let one = |identifier: &str, proxy: &str| {
        vec![
            ("Identifier".to_owned(), identifier.to_owned()),
            ("ProxyIdentifier".to_owned(), proxy.to_owned()),
        ]
    };
    let refused = async |path: &str, form: Vec<(String, String)>| {
        let form: Vec<_> = form.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        twilio.refused(path, &form).await
    };
    let named = vec![("UniqueName".to_owned(), channel.clone())];
    assert_eq!(refused(&sessions, named).await, (409, 80603));
    assert_eq!(
        refused(&participants, one(CUSTOMER, SENDER)).await,
        (409, 80103)
    );
    assert_eq!(
        refused(&participants, one("+12025550174", SENDER)).await,
        (409, 80609)
    );
    assert_eq!(
        refused(&participants, one("+1", SENDER)).await,
        (400, 80404)
    );
    let inline = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER}).to_string();
    let taken = vec![("Participants".to_owned(), inline)];
    assert_eq!(refused(&sessions, taken).await, (409, 80604));
    let (_, all) = twilio.get(&participants).await;
    let customer = text(&all["participants"][0], "sid");
    assert_eq!(
        twilio.delete(&format!("{participants}/{customer}")).await,
        200
    );
    assert_eq!(
        refused(&participants, one(CUSTOMER, SENDER)).await,
        (409, 80612)
    );
    twilio
        .made(&format!("{sessions}/{session}"), &[("Status", "closed")])
        .await;
    let late = refused(&participants, one("+12025550174", SENDER)).await;
    assert_eq!(late, (400, 80607));
    let (status, missing) = twilio.get(&format!("{sessions}/no-such-name")).await;
    assert_eq!((status, missing["code"].as_u64()), (404, Some(80308)));
    let (_, found) = twilio.get(&format!("{sessions}/{channel}")).await;
    assert_eq!(found["sid"], session.as_str());
    assert_eq!(twilio.effects(EffectKind::Session).len(), 1);
}

#[tokio::test]
async fn proxy_picks_a_number_that_the_customer_does_not_see_yet() {
    let numbers = ["+12025550190", "+12025550191"].map(str::to_owned);
    let twilio = Twilio::on_a_port(Settings {
        proxy_pool: ProxyPool::Fixed(numbers.to_vec()),
        ..settings()
    })
    .await;
    let customer = json!({"Identifier": CUSTOMER});
    for (at, number) in numbers.iter().enumerate() {
        let session = text(&twilio.session(&format!("s{at}"), &customer).await, "sid");
        let path = format!("{}/{session}/Participants", twilio.sessions());
        let (_, all) = twilio.get(&path).await;
        assert_eq!(all["participants"][0]["proxy_identifier"], number.as_str());
    }
    let inline = customer.to_string();
    let form = [("Participants", inline.as_str())];
    assert_eq!(
        twilio.refused(&twilio.sessions(), &form).await,
        (400, 80208)
    );
    let foreign = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER}).to_string();
    let form = [("Participants", foreign.as_str())];
    assert_eq!(
        twilio.refused(&twilio.sessions(), &form).await,
        (400, 80605)
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_time_to_live_and_frees_the_customer() {
    let twilio = Twilio::in_process(settings()).await;
    let customer = json!({"Identifier": CUSTOMER, "ProxyIdentifier": SENDER});
    let session = text(&twilio.session("a", &customer).await, "sid");
    let path = format!("{}/{session}", twilio.sessions());
    tokio::time::sleep(Duration::from_secs(3_599)).await;
    assert_eq!(twilio.get(&path).await.1["status"], "open");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, closed) = twilio.get(&path).await;
    assert_eq!(closed["status"], "closed");
    assert_eq!(closed["date_ended"], "2026-11-22T13:00:00Z");
    twilio.session("b", &customer).await;
    let reopen = [("Status", "in-progress")];
    assert_eq!(twilio.refused(&path, &reopen).await, (400, 80801));
}

#[tokio::test]
async fn a_flow_without_its_integration_is_refused_and_one_is_found_by_name() {
    let twilio = Twilio::on_a_port(settings()).await;
    let service = twilio.sid("chat_service_sid").to_owned();
    let form = [
        ("FriendlyName", "x"),
        ("ChatServiceSid", service.as_str()),
        ("ChannelType", "sms"),
        ("IntegrationType", "task"),
    ];
    let path = "flex-api/v1/FlexFlows";
    assert_eq!(twilio.refused(path, &form).await, (400, 45210));
    assert_eq!(twilio.refused(path, &form[..2]).await, (400, 20001));
    let flow = twilio.flow("sms", &[]).await;
    let (_, found) = twilio
        .get("flex-api/v1/FlexFlows?FriendlyName=Outbound")
        .await;
    assert_eq!(found["flex_flows"][0]["sid"], flow.as_str());
    let (_, none) = twilio.get("flex-api/v1/FlexFlows?FriendlyName=other").await;
    assert_eq!(none["flex_flows"], json!([]));
    let channel = [
        ("FlexFlowSid", "FO00000000000000000000000000000000"),
        ("Identity", "a"),
        ("ChatUserFriendlyName", "a"),
        ("ChatFriendlyName", "a"),
    ];
    let refused = twilio.refused("flex-api/v1/Channels", &channel).await;
    assert_eq!(refused, (404, 45205));
}
