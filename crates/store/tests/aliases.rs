//! The history of aliases: what is changed in it is found.

use instar_store::Options;
use rusqlite::Connection;

use crate::given::{move_stable, store};

#[tokio::test]
async fn every_change_of_the_history_of_an_alias_is_found() {
    let (_folder, store) = store();
    for number in 1..=4 {
        store.commit(vec![move_stable(number)]).await.unwrap();
    }
    let whole = store.verify_aliases(None).await.unwrap();
    assert_eq!((whole.moves, whole.unhashed), (4, 0));
    assert_eq!(whole.problems, Vec::<String>::new());
    let noted = whole.head.clone();
    store.close().await.unwrap();
    let file = store.path().join("instar.sqlite");
    let sound = std::fs::read(&file).unwrap();

    let other = "'".to_owned() + &"9".repeat(64) + "'";
    let mut changes = vec![
        "DELETE FROM alias_log WHERE seq = 2".to_owned(),
        // The end of it: only who noted the head, or the alias itself, can tell.
        "DELETE FROM alias_log WHERE seq = 4".to_owned(),
        format!("UPDATE aliases SET release = {other}"),
        "DELETE FROM aliases".to_owned(),
        "UPDATE alias_log SET hash = NULL".to_owned() + " WHERE seq = 3",
        "INSERT INTO alias_log (seq, alias, to_release, reason, by, at) SELECT 5, alias, \
         to_release, reason, by, at FROM alias_log WHERE seq = 4"
            .to_owned(),
    ];
    for column in [
        "alias",
        "from_release",
        "to_release",
        "reason",
        "by",
        "hash",
    ] {
        for seq in 1..=4 {
            changes.push(format!(
                "UPDATE alias_log SET {column} = {other} WHERE seq = {seq}"
            ));
        }
    }
    changes.push("UPDATE alias_log SET at = at + 1 WHERE seq = 2".to_owned());
    for change in changes {
        std::fs::write(&file, &sound).unwrap();
        let sql = Connection::open(&file).unwrap();
        sql.execute_batch("DROP TRIGGER alias_log_is_not_changed; DROP TRIGGER alias_log_is_kept;")
            .unwrap();
        assert_eq!(sql.execute(&change, []).unwrap(), 1, "{change}");
        drop(sql);
        let changed = instar_store::Store::open(store.path(), Options::default()).unwrap();
        let report = changed.verify_aliases(noted.clone()).await.unwrap();
        assert!(!report.problems.is_empty(), "{change}");
        changed.close().await.unwrap();
    }
    std::fs::write(&file, &sound).unwrap();
    let same = instar_store::Store::open(store.path(), Options::default()).unwrap();
    assert_eq!(same.verify_aliases(noted).await.unwrap(), whole);
    same.close().await.unwrap();
}
