//! Exports: the whole file, in pieces, whoever asks for it.

use flexcast::ledger::Ending;
use flexcast::message::SkipReason;
use flexcast::operate::{CampaignExport, ExportWhich};

use super::{Desk, dead, done, message, spring};

async fn text(mut export: CampaignExport) -> String {
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await.expect("the ledger answers") {
        bytes.extend(piece);
    }
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn an_export_has_a_header_and_a_line_for_each_message() {
    let desk = Desk::with_spring().await;
    let read = desk.read();
    let all = ExportWhich::default();
    let export = async |which| read.export(&spring(), which).await.expect("an export");
    assert_eq!(text(export(all).await).await, "");
    desk.accept(1_001).await;
    desk.end(1, dead()).await;
    desk.end(2, done()).await;
    let whole = text(export(all).await).await;
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 1_002);
    assert!(lines[0].starts_with("kind,id,address,name,agent,sender,state,"));
    assert!(
        lines[1].starts_with("message,crm-1,+12025550001,Clark,,+12025550100,dead,rejected,"),
        "{}",
        lines[1]
    );
    let headers = lines.iter().filter(|line| line.starts_with("kind,"));
    assert_eq!(headers.count(), 1);
    let failed = ExportWhich {
        failed: true,
        ..ExportWhich::default()
    };
    assert_eq!(text(export(failed).await).await.lines().count(), 2);
}

#[tokio::test]
async fn skipped_messages_are_exported_and_no_contact_who_has_opted_out() {
    let desk = Desk::with_spring().await;
    desk.accept(4).await;
    desk.end(1, dead()).await;
    desk.end(2, skipped(SkipReason::CustomerBusy)).await;
    desk.end(3, skipped(SkipReason::OptedOut)).await;
    let read = desk.read();
    let which = ExportWhich {
        skipped: true,
        ..ExportWhich::default()
    };
    let lines = text(read.export(&spring(), which).await.expect("an export")).await;
    let ids = |text: &str, column: usize| -> Vec<String> {
        let lines = text.lines().skip(1);
        let cells = lines.filter_map(|line| line.split(',').nth(column).map(str::to_owned));
        cells.collect()
    };
    assert_eq!(ids(&lines, 1), ["crm-2", "crm-3"]);
    let contacts = read.export_contacts(&spring(), which).await;
    let contacts = text(contacts.expect("an export")).await;
    assert_eq!(ids(&contacts, 3), ["crm-2"]);
    let both = ExportWhich {
        failed: true,
        skipped: true,
    };
    let contacts = read.export_contacts(&spring(), both).await;
    let contacts = text(contacts.expect("an export")).await;
    assert_eq!(ids(&contacts, 3), ["crm-1", "crm-2"]);
}

fn skipped(reason: SkipReason) -> Ending {
    Ending::Skipped {
        reason,
        detail: None,
    }
}

#[tokio::test]
async fn contacts_are_exported_with_their_attributes() {
    let desk = Desk::with_spring().await;
    desk.accept(1).await;
    let mut named = message(2);
    named
        .customer
        .attributes
        .insert("name".to_owned(), "short".into());
    let accepting = desk.operations();
    let accepted = accepting.accept_message(named, &*desk.queue).await;
    accepted.expect("it is there");
    let read = desk.read();
    let export = read
        .export_contacts(&spring(), ExportWhich::default())
        .await;
    let whole = text(export.expect("an export")).await;
    let lines: Vec<_> = whole.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("flexcast_name,"), "{}", lines[0]);
    assert!(lines[0].contains(",name,plan,"), "{}", lines[0]);
    assert!(lines[1].ends_with(",,gold,"), "{}", lines[1]);
    assert!(lines[2].ends_with(",short,gold,"), "{}", lines[2]);
}
