use instar_protocol::contact::Contact;
use instar_store::Op;

use crate::given::{contact, store};

#[tokio::test]
async fn who_was_met_stays_as_he_is_until_he_is_forgotten() {
    let (_folder, store) = store();
    let meet = |contact| vec![Op::MeetContact(contact)];
    store.commit(meet(contact(1))).await.unwrap();
    store.commit(meet(contact(2))).await.unwrap();
    let again = Contact {
        tool: "another".to_owned(),
        ..contact(1)
    };
    store.commit(meet(again)).await.unwrap();
    let known = store.contacts().await.unwrap();
    assert_eq!(known, [contact(2), contact(1)]);
    let forget = || {
        let text = contact(1).text;
        vec![Op::ForgetContact { text }]
    };
    store.commit(forget()).await.unwrap();
    assert!(
        store.commit(forget()).await.is_err(),
        "nobody is called that"
    );
    assert_eq!(store.contacts().await.unwrap(), [contact(2)]);
}
