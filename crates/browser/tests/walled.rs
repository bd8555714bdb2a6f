//! What the browser may reach, what it keeps, and how it ends.

use instar_browser::BrowserConfig;
use instar_egress::EgressConfig;
use instar_protocol::Principal;
use instar_tools::browser::{Action, BrowserPort as _, Seen};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::site::SHOP;
use crate::{House, caller, open, owner};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_inwards_is_refused_and_nothing_goes_anywhere_unasked() {
    let house = House::new();
    for url in [
        "http://127.0.0.1:18789/",
        "http://localhost/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/",
        "https://192.168.0.1/",
        &format!("{SHOP}/inwards"),
    ] {
        let told = house.fails(open(url)).await;
        assert!(told.contains("the way there is closed"), "{url}: {told}");
    }
    for url in ["file:///etc/passwd", "chrome://version", "data:text/html,x"] {
        let told = house.fails(open(url)).await;
        assert!(told.contains("only http and https"), "{url}: {told}");
    }
    let onwards = house.open(&format!("{SHOP}/onwards")).await;
    assert_eq!(onwards.url, "http://9.9.9.9/cart");
    let page = house.open(&format!("{SHOP}/prying")).await;
    assert_eq!(page.text.as_deref(), Some("prying"));
    assert!(
        page.notes.join(" ").contains("a request was refused"),
        "{page:?}"
    );
    // Time for whatever a browser does by itself once it is up.
    tokio::time::sleep(Duration::from_secs(12)).await;
    house.browsers.stop().await;
    // Every request that reached the way out was one of a page, by its host.
    let hosts: BTreeSet<String> = house.hosts.lock().unwrap().iter().cloned().collect();
    let strange = hosts.iter().filter(|host| {
        let address = host.trim_matches(['[', ']']);
        address.parse::<std::net::IpAddr>().is_err() && address != "localhost"
    });
    let strange: Vec<_> = strange.collect();
    assert!(strange.is_empty() && hosts.len() > 8, "{hosts:?}");
    let asked = house.web.asked();
    let known = ["CONNECT 8.8.8.8:80 HTTP/1.1", "CONNECT 9.9.9.9:80 HTTP/1.1"];
    assert!(
        asked.iter().all(|line| known.contains(&line.as_str())),
        "{asked:?}"
    );
    let served = house.web.served();
    let paths = ["/inwards", "/onwards", "/cart", "/prying", "/favicon.ico"];
    assert!(
        served
            .iter()
            .all(|line| paths.iter().any(|path| line.ends_with(path))),
        "{served:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_is_the_owners_and_a_guests_leaves_nothing() {
    let house = House::new();
    let _page = house.open(SHOP).await;
    let guest = caller(Principal::Stranger { id: "s".to_owned() });
    let seen = house.browsers.act(&guest, open(SHOP)).await;
    assert!(matches!(seen, Ok(Seen::Page(_))), "{seen:?}");
    let tabs = house.browsers.act(&owner(), Action::Tabs).await;
    assert!(matches!(tabs, Ok(Seen::Tabs(tabs)) if tabs.len() == 1));
    house.browsers.stop().await;
    let folder = house.folder.path().join("browser");
    let names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["main"]);
    for path in [folder.clone(), folder.join("main")] {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", path.display());
    }
    assert!(folder.join("main/profile/Default/Cookies").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rights_are_another_browser_and_one_that_died_is_started_again() {
    let house = House::new();
    let _page = house.open(SHOP).await;
    let narrower = EgressConfig {
        proxy: Some(house.web.proxy().to_owned()),
        deny: vec!["8.8.8.8".to_owned()],
        ..EgressConfig::default()
    };
    house.egress.configure(&narrower, None).unwrap();
    let told = house.fails(Action::Read { tab: None }).await;
    assert!(told.contains("begin with browser_open"), "{told}");
    let told = house.fails(open(SHOP)).await;
    assert!(told.contains("the owner denied it"), "{told}");
    let _other = house.open("http://9.9.9.9/cart").await;
    house.browsers.close_idle(Duration::ZERO).await;
    let _again = house.open("http://9.9.9.9/cart").await;
    house.browsers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_browser_the_error_says_what_to_install() {
    let house = House::with(BrowserConfig {
        executable_path: Some("/usr/bin/no-such-browser".to_owned()),
        ..BrowserConfig::default()
    });
    let began = Instant::now();
    let told = house.fails(open(SHOP)).await;
    assert!(told.contains("browser.executablePath"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
