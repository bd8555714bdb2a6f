//! Reading and working pages.

use instar_browser::BrowserConfig;
use instar_tools::browser::{Action, BrowserPort as _, Scroll, Seen};

use crate::site::SHOP;
use crate::{House, open, owner, reference};

fn click(element: &str) -> Action {
    Action::Click {
        tab: None,
        element: element.to_owned(),
    }
}

fn type_in(element: &str, text: &str, submit: bool) -> Action {
    Action::Type {
        tab: None,
        element: element.to_owned(),
        text: text.to_owned(),
        submit,
    }
}

fn read() -> Action {
    Action::Read { tab: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_as_a_person_sees_it() {
    let house = House::new();
    let page = house.open(SHOP).await;
    assert_eq!((page.title.as_str(), page.tab.as_str()), ("The shop", "t1"));
    let text = page.text.clone().unwrap();
    assert!(!text.contains("HIDDEN"), "{text}");
    let cart = reference(&page, "The cart");
    for seen in [
        "# Tea & cake".to_owned(),
        format!("Two cups please. The cart [{cart} link] <http://8.8.8.8/cart>"),
        "visible".to_owned(),
        "[a part that cannot be read]".to_owned(),
        "inside a frame".to_owned(),
        "in the shadow".to_owned(),
        "list \"Kind\": *Green | Black]".to_owned(),
        "password \"Secret\"]".to_owned(),
    ] {
        assert!(text.contains(&seen), "no {seen:?} in {text}");
    }
    // A name goes on meaning the same element as long as the page is there, and no other afterwards.
    let again = house.page(read()).await;
    assert_eq!(reference(&again, "The cart"), cart);
    let next = house.open(&format!("{SHOP}/cart")).await;
    assert!(next.elements.is_empty(), "{next:?}");
    let stale = house.fails(click(&cart)).await;
    assert!(stale.contains("read it again"), "{stale}");
    let back = house.page(Action::Back { tab: None }).await;
    assert!(!reference(&back, "The cart").is_empty());
    let nowhere = house.open(&format!("{SHOP}/nothing")).await;
    assert!(
        nowhere.notes.join(" ").contains("status 404"),
        "{nowhere:?}"
    );
    house.browsers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_filled_in_and_sent_and_a_password_is_not_typed() {
    let house = House::new();
    let page = house.open(SHOP).await;
    let refused = house
        .fails(type_in(&reference(&page, "Secret"), "1234", false))
        .await;
    assert!(refused.contains("only the owner types"), "{refused}");
    let select = Action::Select {
        tab: None,
        element: reference(&page, "Kind"),
        option: "Black".to_owned(),
    };
    let _chosen = house.page(select).await;
    let target = house
        .browsers
        .target(&owner(), None, Some(&reference(&page, "Order")))
        .await;
    assert_eq!(
        target.element.as_deref(),
        Some("button \"Order\" to http://8.8.8.8/order")
    );
    let done = house
        .page(type_in(&reference(&page, "Name"), "Grüße & tea", true))
        .await;
    assert!(
        done.url
            .contains("/order?who=Gr%C3%BC%C3%9Fe+%26+tea&kind=b&pin="),
        "{done:?}"
    );
    let read = house.page(read()).await;
    assert_eq!(read.text.as_deref(), Some("Ordered."));
    house.browsers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_hits_what_was_read_or_nothing() {
    let house = House::new();
    let page = house.open(SHOP).await;
    let asked = house.page(click(&reference(&page, "Pay"))).await;
    assert!(
        asked
            .notes
            .join(" ")
            .contains("answered with no: Really pay?"),
        "{asked:?}"
    );
    assert_eq!(house.page(read()).await.title, "not paid");
    let change = reference(&page, "Change");
    let _changed = house.page(click(&change)).await;
    let other = house.fails(click(&change)).await;
    assert!(
        other.contains("left alone: it says button \"Change\"") || other.contains("Delete all"),
        "{other}"
    );
    let page = house.page(read()).await;
    let under = house.fails(click(&reference(&page, "Under"))).await;
    assert!(under.contains("something else lies over it"), "{under}");
    let file = house.page(click(&reference(&page, "A file"))).await;
    assert!(
        file.notes.join(" ").contains("files are not taken"),
        "{file:?}"
    );
    let popup = house.page(click(&reference(&page, "In a new page"))).await;
    assert!(popup.notes.join(" ").contains("tab t2"), "{popup:?}");
    let there = house
        .page(Action::Read {
            tab: Some("t2".to_owned()),
        })
        .await;
    assert_eq!(there.text.as_deref(), Some("A new page."));
    let Ok(Seen::Tabs(tabs)) = house.act(Action::Tabs).await else {
        panic!("no tabs");
    };
    assert_eq!(tabs.len(), 2);
    house.browsers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_drawn_printed_and_scrolled_and_scripts_run_only_when_allowed() {
    let house = House::new();
    let _page = house.open(SHOP).await;
    let begins = async |action: Action, magic: &[u8]| match house.act(action).await {
        Ok(Seen::Bytes(bytes)) => assert!(bytes.starts_with(magic), "{:?}", &bytes[..8]),
        other => panic!("{other:?}"),
    };
    for whole in [false, true] {
        begins(Action::Screenshot { tab: None, whole }, b"\x89PNG").await;
    }
    begins(Action::Pdf { tab: None }, b"%PDF").await;
    let to = Scroll::Bottom;
    let _scrolled = house.page(Action::Scroll { tab: None, to }).await;
    let script = || Action::Evaluate {
        tab: None,
        script: "[location.host, typeof instarState]".to_owned(),
    };
    let off = house.fails(script()).await;
    assert!(off.contains("switched this off"), "{off}");
    house.browsers.stop().await;

    let house = House::with(BrowserConfig {
        evaluate_enabled: true,
        ..BrowserConfig::default()
    });
    let _page = house.page(open(SHOP)).await;
    let ran = house.act(script()).await.unwrap();
    let expected = serde_json::json!(["8.8.8.8", "undefined"]);
    assert_eq!(ran, Seen::Value(expected));
    house.browsers.stop().await;
}
