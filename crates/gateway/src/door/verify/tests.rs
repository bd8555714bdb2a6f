use super::*;
use futures_util::future::join_all;
use instar_protocol::time::SystemClock;

const ATTEMPTS: u32 = 3;
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

fn auth(store: &Store) -> Auth {
    let mut config = AuthConfig {
        mode: AuthMode::Password,
        ..AuthConfig::default()
    };
    config.rate_limit.max_attempts = ATTEMPTS;
    let password = Some(Ok(Secret::new("correct horse battery")));
    let settings = Settings::new(&config, &[], &Egress::new("test"), None, password);
    let local = Digest::of("the secret of the run file");
    Auth::new(settings, local, store.clone(), Arc::new(SystemClock))
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), instar_store::Options::default()).unwrap();
    (folder, store)
}

/// All twenty pass the limiter before the first has failed. Were their hashes computed side by
/// side, all twenty would be compared.
#[tokio::test]
async fn a10_guesses_are_hashed_one_at_a_time_behind_the_limiter() {
    let (_folder, store) = store();
    let auth = auth(&store);
    let guesses: Vec<String> = (0..20).map(|n| format!("guess {n}")).collect();
    let answers = join_all(
        guesses
            .iter()
            .map(|guess| auth.sign_in_with_secret(guess, HERE)),
    )
    .await;
    let count = |wanted: fn(&AuthProblem) -> bool| {
        let problems = answers.iter().filter_map(|answer| answer.as_ref().err());
        problems.filter(|problem| wanted(problem)).count()
    };
    assert_eq!(count(|problem| *problem == AuthProblem::Wrong), 3);
    assert_eq!(
        count(|problem| matches!(problem, AuthProblem::Locked(_))),
        17
    );
}

#[tokio::test]
async fn a10_who_is_locked_out_waits_for_no_hash() {
    let (_folder, store) = store();
    let auth = auth(&store);
    let rules = auth.settings().rules;
    for _ in 0..ATTEMPTS {
        let now = auth.clock.now();
        auth.limiter
            .failed(Peer::from(HERE), Class::Password, now, rules);
    }
    // Nobody can compute a hash while this is held.
    let _hashing = auth.hashing.lock().await;
    let answer = auth.sign_in_with_secret("correct horse battery", HERE);
    assert!(matches!(answer.await, Err(AuthProblem::Locked(_))));
}

#[tokio::test]
async fn a_password_is_hashed_once_for_a_client_that_sends_it_each_time() {
    let (_folder, store) = store();
    let auth = auth(&store);
    let mut headers = HeaderMap::new();
    let value = "Bearer correct horse battery".parse().unwrap();
    headers.insert(header::AUTHORIZATION, value);
    assert!(auth.caller(&headers, HERE).await.is_ok());
    let hashing = auth.hashing.lock().await;
    assert!(
        auth.caller(&headers, HERE).await.is_ok(),
        "it is remembered"
    );
    drop(hashing);
}

#[tokio::test]
async fn b5_whom_nobody_can_be_asked_about_is_not_let_in_and_does_not_stay() {
    let (_folder, store) = store();
    let known = auth(&store);
    let signed_in = known.sign_in_with_secret("correct horse battery", HERE);
    let cookie = signed_in.await.unwrap().cookie;
    let proof = Proof::Session(Digest::of(cookie.expose()).to_hex());
    assert!(known.stands(&proof).await);
    // Another start: it has seen nobody yet.
    let fresh = auth(&store);
    store.close().await.unwrap();
    assert!(!fresh.stands(&proof).await);
    let settings = fresh.settings();
    let by_cookie = fresh.cookie(cookie.expose(), Peer::from(HERE), &settings);
    let by_cookie = by_cookie.await;
    let by_device = fresh.device(&cookie, "device", HERE).await;
    assert!(
        matches!(by_cookie, Err(AuthProblem::Unavailable(_))),
        "{by_cookie:?}"
    );
    assert!(
        matches!(by_device, Err(AuthProblem::Unavailable(_))),
        "{by_device:?}"
    );
}
