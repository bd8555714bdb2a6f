//! The nineteen kinds of signs: their names, and the page that tells what they are.

use instar_protocol::fault::SignalKind;
use std::collections::BTreeSet;

#[test]
fn every_kind_has_a_name_of_its_own_and_there_are_nineteen() {
    assert_eq!(SignalKind::ALL.len(), 19);
    for kind in SignalKind::ALL {
        assert_eq!(SignalKind::from_name(kind.name()), Some(kind));
        let json = serde_json::to_value(kind).unwrap();
        assert_eq!(json, kind.name());
    }
}

#[test]
fn the_page_of_faults_tells_of_every_kind_and_of_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page
        .split_once("| kind | what it is |\n| --- | --- |\n")
        .unwrap();
    let mut told = Vec::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let (names, what) = row[1..].split_once('|').unwrap();
        assert!(what.trim_matches([' ', '|']).len() > 10, "{row}");
        told.extend(names.split('`').skip(1).step_by(2));
    }
    let names: BTreeSet<&str> = SignalKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(told.len(), names.len(), "each once: {told:?}");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), names);
    assert!(page.contains("There are nineteen kinds of signs."));
}
