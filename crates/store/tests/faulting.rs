//! Faults, their register, and that both stay bounded.

use instar_protocol::fault::FaultEdit;
use instar_store::{FAULTS_MAX, FaultRow, Op};

use crate::given::{at, edit, fault, occasions, store};

#[tokio::test]
async fn a_fault_is_kept_in_its_last_state_and_the_register_in_order() {
    let (_folder, store) = store();
    let merged = FaultRow {
        into: Some("flt_2".to_owned()),
        is_muted: true,
        name: "slow".to_owned(),
        ..fault(1)
    };
    let split = FaultEdit::Split {
        fault: "flt_1".to_owned(),
    };
    let write = |edit: FaultEdit| Op::EditFaults {
        edit,
        who: "owner".to_owned(),
        at: at(5),
    };
    let batch = vec![
        Op::PutFault(Box::new(fault(1))),
        Op::PutFault(Box::new(fault(2))),
        Op::PutFault(Box::new(merged.clone())),
        Op::PutOccasions(occasions()),
        write(edit()),
        write(split.clone()),
    ];
    store.commit(batch).await.unwrap();
    assert_eq!(store.faults().await.unwrap(), [fault(2), merged.clone()]);
    assert_eq!(store.fault("flt_1").await.unwrap(), Some(merged));
    assert_eq!(store.fault("flt_9").await.unwrap(), None);
    assert_eq!(store.occasions().await.unwrap(), [occasions()]);
    let edits = store.fault_edits(10).await.unwrap();
    assert!(edits[0].seq > edits[1].seq);
    assert_eq!(edits[0].edit, split);
}

#[tokio::test]
async fn the_oldest_faults_go_when_there_are_too_many() {
    let (_folder, store) = store();
    let most = u64::try_from(FAULTS_MAX).unwrap();
    let mut batch: Vec<Op> = (0..most + 20)
        .map(|number| Op::PutFault(Box::new(fault(number))))
        .collect();
    batch.push(Op::PutLabRun {
        body: "{}".to_owned(),
        at: at(1),
    });
    store.commit(batch).await.unwrap();
    assert_eq!(store.faults().await.unwrap().len(), FAULTS_MAX);
    assert_eq!(store.fault("flt_0").await.unwrap(), None);
    assert!(
        store
            .fault(&format!("flt_{}", most + 19))
            .await
            .unwrap()
            .is_some()
    );
}
