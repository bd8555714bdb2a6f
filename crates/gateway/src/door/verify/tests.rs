use super::*;
use futures_util::future::join_all;
use instar_protocol::time::SystemClock;
use instar_testkit::{ManualClock, TailscaleDaemon};

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

/// A door whose clock stands still.
struct House {
    auth: Auth,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

const TOKEN: &str = "the token";

fn house(change: impl FnOnce(&mut AuthConfig)) -> House {
    let (folder, store) = store();
    let clock = ManualClock::default();
    let local = Digest::of("the secret of the run file");
    let auth = Auth::new(settings(change), local, store, Arc::new(clock.clone()));
    House {
        auth,
        clock,
        _folder: folder,
    }
}

fn settings(change: impl FnOnce(&mut AuthConfig)) -> Settings {
    let mut config = AuthConfig::default();
    change(&mut config);
    let password = Some(Ok(Secret::new("correct horse battery")));
    let token = Some(Digest::of(TOKEN));
    let proxies = ["127.0.0.1".to_owned(), "100.64.0.9".to_owned()];
    Settings::new(&config, &proxies, &Egress::new("test"), token, password)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let _more = headers.append(*name, value.parse().unwrap());
    }
    headers
}

impl House {
    async fn with(&self, lines: &[(&'static str, &str)]) -> Result<Caller, AuthProblem> {
        self.auth.caller(&headers(lines), HERE).await
    }

    async fn bearer(&self, secret: &str) -> Result<Caller, AuthProblem> {
        self.with(&[("authorization", &format!("Bearer {secret}"))])
            .await
    }

    /// The cookie line of a browser that signs in with the token.
    async fn signs_in(&self) -> String {
        let signed_in = self.auth.sign_in_with_secret(TOKEN, HERE).await.unwrap();
        format!("{}={}", cookie::COOKIE, signed_in.cookie.expose())
    }

    fn remembered(&self) -> usize {
        self.auth.sessions.lock().unwrap().len()
    }
}

fn by_proxy(config: &mut AuthConfig) {
    config.trusted_proxy.user_header = Some("x-user".to_owned());
    config.trusted_proxy.required_headers = vec!["x-proxy".to_owned()];
    config.trusted_proxy.allow_users = vec!["ann".to_owned(), String::new()];
}

#[tokio::test]
async fn what_was_opened_with_a_secret_ends_when_that_is_replaced() {
    let house = house(|_| {});
    let old = house.bearer(TOKEN).await.unwrap();
    assert!(house.auth.stands(&old.proof).await);
    house.auth.end_holders();
    assert!(!house.auth.stands(&old.proof).await);
    let new = house.bearer(TOKEN).await.unwrap();
    assert!(house.auth.stands(&new.proof).await);
    assert!(house.auth.stands(&Proof::Process).await);
}

#[tokio::test]
async fn somebody_s_word_stands_until_its_end() {
    let house = house(|_| {});
    let end = house.clock.now().plus(Duration::from_secs(60));
    let proof = Proof::Until(end);
    assert!(house.auth.stands(&proof).await);
    house.clock.advance(Duration::from_millis(59_999));
    assert!(house.auth.stands(&proof).await);
    house.clock.advance(Duration::from_millis(1));
    assert!(!house.auth.stands(&proof).await);
    house.clock.advance(Duration::from_millis(1));
    assert!(!house.auth.stands(&proof).await);
}

#[tokio::test]
async fn a_browser_is_signed_in_for_thirty_days_and_not_after() {
    let house = house(|_| {});
    let signed_in = house.auth.sign_in_with_secret(TOKEN, HERE).await.unwrap();
    assert_eq!(signed_in.seconds, 30 * 86_400);
    let cookie = format!("{}={}", cookie::COOKIE, signed_in.cookie.expose());
    let caller = house.with(&[("cookie", &cookie)]).await.unwrap();
    assert!(matches!(caller.proof, Proof::Session(_)));
    let forget = || house.auth.sessions.lock().unwrap().clear();
    let length = Duration::from_secs(signed_in.seconds);
    house.clock.advance(length - Duration::from_millis(1));
    for _ in 0..2 {
        assert!(house.with(&[("cookie", &cookie)]).await.is_ok());
        assert!(house.auth.stands(&caller.proof).await);
        forget();
    }
    assert!(house.auth.stands(&caller.proof).await);
    assert_eq!(house.remembered(), 1, "the store is not asked each time");
    house.clock.advance(Duration::from_millis(1));
    for _ in 0..2 {
        let answer = house.with(&[("cookie", &cookie)]).await;
        assert_eq!(answer.err(), Some(AuthProblem::Wrong));
        assert!(!house.auth.stands(&caller.proof).await);
        forget();
    }
}

#[tokio::test]
async fn who_signs_out_is_out() {
    let house = house(|_| {});
    let (one, other) = (house.signs_in().await, house.signs_in().await);
    let caller = house.with(&[("cookie", &one)]).await.unwrap();
    let left = headers(&[("cookie", &one)]);
    let digest = house.auth.session_digest(&left).unwrap();
    assert_eq!(caller.proof, Proof::Session(digest));
    house.auth.sign_out(&left).await.unwrap();
    assert!(!house.auth.stands(&caller.proof).await);
    assert!(house.with(&[("cookie", &one)]).await.is_err());
    assert!(house.with(&[("cookie", &other)]).await.is_ok());
    let twice = format!("{other}; {other}");
    assert!(house.with(&[("cookie", &twice)]).await.is_err());
}

#[tokio::test]
async fn browsers_are_remembered_within_a_bound() {
    let house = house(|_| {});
    let now = house.clock.now();
    let remember = |n: usize| house.auth.remember(format!("digest {n}"), now);
    for n in 0..256 {
        remember(n);
        assert_eq!(house.remembered(), n + 1);
    }
    remember(7);
    assert_eq!(house.remembered(), 256, "one that is known takes no place");
    remember(256);
    assert_eq!(house.remembered(), 1);
}

#[tokio::test]
async fn only_the_secret_of_the_mode_counts() {
    let token = house(|_| {});
    assert!(token.bearer(TOKEN).await.is_ok());
    let wrong = token.bearer("correct horse battery").await;
    assert_eq!(wrong.err(), Some(AuthProblem::Wrong));
    let password = house(|config| config.mode = AuthMode::Password);
    let wrong = password.bearer(TOKEN).await;
    assert_eq!(wrong.err(), Some(AuthProblem::Wrong));
    assert!(password.bearer("correct horse battery").await.is_ok());
    let proxy = house(|config| config.mode = AuthMode::TrustedProxy);
    for secret in [TOKEN, "correct horse battery"] {
        let wrong = proxy.bearer(secret).await;
        assert_eq!(wrong.err(), Some(AuthProblem::Wrong));
        let wrong = proxy.auth.sign_in_with_secret(secret, HERE).await;
        assert_eq!(wrong.err(), Some(AuthProblem::Wrong));
    }
}

#[tokio::test]
async fn a_password_that_was_replaced_is_not_remembered() {
    let house = house(|config| config.mode = AuthMode::Password);
    assert!(house.bearer("correct horse battery").await.is_ok());
    let mut settings = settings(|config| config.mode = AuthMode::Password);
    settings.password = Some(Ok(Secret::new("another one")));
    house.auth.reload(settings).await;
    let old = house.bearer("correct horse battery").await;
    assert_eq!(old.err(), Some(AuthProblem::Wrong));
    assert!(house.bearer("another one").await.is_ok());
}

#[tokio::test]
async fn a_proxy_is_believed_where_the_mode_says_so() {
    let ann = [("x-user", "ann"), ("x-proxy", "yes")];
    let token = house(by_proxy);
    assert_eq!(token.with(&ann).await.err(), Some(AuthProblem::Missing));
    let proxy = house(|config| {
        config.mode = AuthMode::TrustedProxy;
        by_proxy(config);
    });
    assert!(proxy.with(&ann).await.is_ok());
    let elsewhere = SocketAddr::from(([10, 0, 0, 1], 80));
    let answer = proxy.auth.caller(&headers(&ann), elsewhere).await;
    assert_eq!(answer.err(), Some(AuthProblem::Missing));
    assert!(proxy.auth.is_proxy(HERE.ip()) && !proxy.auth.is_proxy(elsewhere.ip()));
    for (lines, problem) in [
        (&[("x-user", "ann")][..], AuthProblem::Wrong),
        (&[("x-user", "ann"), ("x-proxy", "")], AuthProblem::Wrong),
        (&[("x-user", "eve"), ("x-proxy", "yes")], AuthProblem::Wrong),
        (&[("x-proxy", "yes")], AuthProblem::Missing),
        (&[("x-user", ""), ("x-proxy", "yes")], AuthProblem::Missing),
        (
            &[("x-user", "ann"), ("x-user", "ann"), ("x-proxy", "yes")],
            AuthProblem::Missing,
        ),
    ] {
        assert_eq!(proxy.with(lines).await.err(), Some(problem), "{lines:?}");
    }
}

/// The daemon vouches for the machine of a proxy, and anybody may come through it.
#[tokio::test]
async fn a6_no_tailnet_vouches_for_who_comes_through_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tailscaled.sock");
    let daemon = TailscaleDaemon::start(&socket, [100, 64, 0, 1].into()).unwrap();
    let (own, proxy) = ([100, 64, 0, 7], [100, 64, 0, 9]);
    for address in [own, proxy] {
        daemon.know(address.into(), "owner@example.org", &[]);
    }
    let house = house(|config| {
        config.allow_tailscale = true;
        config.tailscale.allow_users = vec!["owner@example.org".to_owned()];
        config.tailscale.socket = Some(socket.to_str().unwrap().to_owned());
    });
    let from = |address: [u8; 4]| SocketAddr::from((address, 40_000));
    let nothing = HeaderMap::new();
    assert!(house.auth.caller(&nothing, from(own)).await.is_ok());
    let through = house.auth.caller(&nothing, from(proxy)).await;
    assert_eq!(through.err(), Some(AuthProblem::Missing));
}
