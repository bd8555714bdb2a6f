//! Which program it is, and the words that it is started with.
//!
//! The words are constants but for the program's path: nothing of the model's is among them. They
//! switch off everything that a browser does for itself; the walls and the broker hold without them.

use instar_sandbox::spec::{Access, Extra, Limits, Network, Walls};
use std::path::Path;

/// What is shown inside the walls and holds programs.
pub(crate) const FOLDERS: [&str; 3] = ["/usr/", "/bin/", "/opt/"];

/// Where systems put it. The program itself before the script that starts it.
const PLACES: [&str; 7] = [
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
    "/opt/chromium.org/chromium/chromium",
    "/usr/bin/chromium",
    "/usr/bin/google-chrome",
];

/// Chromium speaks over descriptors 3 and 4; walls hand on 0 and 1. What it keeps is for nobody else.
const WRAP: &str = "umask 077; exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null";

const SWITCHES: [&str; 42] = [
    "--headless",
    "--remote-debugging-pipe",
    "--user-data-dir=/work/profile",
    // Its own walls need namespaces, which ours do not give away; ours are around all of it.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-service-autorun",
    "--no-pings",
    "--no-experiments",
    "--password-store=basic",
    "--use-mock-keychain",
    "--mute-audio",
    "--window-size=1280,900",
    "--hide-scrollbars",
    "--disk-cache-size=52428800",
    "--lang=en-US",
    // The one way out. Loopback goes there too, to be judged.
    "--proxy-server=http://127.0.0.1:3128",
    "--proxy-bypass-list=<-loopback>;127.0.0.2",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--dns-prefetch-disable",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    // Nothing unasked. What cannot be switched off asks an address inside the walls where nobody is.
    "--component-updater=url-source=http://127.0.0.2:9/",
    "--gaia-url=http://127.0.0.2:9/",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-component-extensions-with-background-pages",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-field-trial-config",
    "--disable-prompt-on-repost",
    "--deny-permission-prompts",
    "--metrics-recording-only",
    "--disable-features=OptimizationHints,OptimizationGuideModelDownloading,MediaRouter,\
     DialMediaRouteProvider,Translate,InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater,\
     AutofillServerCommunication,AutofillActorMode,SafeBrowsingEnhancedProtection,NetworkTimeServiceQuerying,\
     CalculateNativeWinOcclusion,PrefetchPrivacyChanges,SpareRendererForSitePerProcess,PasswordLeakDetection,\
     WebRtcHideLocalIpsWithMdns,LensOverlay,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
    "about:blank",
];

/// The most private memory of one of its processes, and of what it keeps in `/tmp`.
const MEMORY_BYTES: u64 = 4 << 30;

/// The walls around a browser. With a profile the folder is its workspace; without one it has an empty
/// folder that is gone when it ends.
pub(crate) fn walls(has_profile: bool) -> Walls {
    Walls {
        workspace: if has_profile {
            Access::Write
        } else {
            Access::None
        },
        extras: vec![
            Extra::Opt,
            Extra::Certificates,
            Extra::TimeZone,
            Extra::Fonts,
        ],
        network: Network::Broker,
        limits: Limits {
            cpu_seconds: 4 * 3_600,
            memory_bytes: MEMORY_BYTES,
            pids: 1_024,
            files: 4_096,
            file_bytes: 512 << 20,
            output_bytes: 1 << 20,
            wall_seconds: 24 * 3_600,
            together_bytes: None,
            cpu_thousandths: None,
        },
    }
}

/// The whole command.
pub(crate) fn command(program: &str) -> Vec<String> {
    ["/bin/sh", "-c", WRAP, program]
        .into_iter()
        .chain(SWITCHES)
        .map(str::to_owned)
        .collect()
}

/// True if the walls show what lies there.
pub(crate) fn is_shown(path: &str) -> bool {
    FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains("/../")
}

/// The program: the one that is named, or the one that is found; else what to do about it.
pub fn find(named: Option<&str>) -> Result<String, String> {
    if let Some(path) = named {
        return if is_shown(path) && Path::new(path).is_file() {
            Ok(path.to_owned())
        } else {
            Err(format!(
                "there is no program {path} that the walls show; the owner sets browser.executablePath"
            ))
        };
    }
    let found = PLACES.iter().find(|path| Path::new(path).is_file());
    found.map(|path| (*path).to_owned()).ok_or_else(|| {
        "there is no Chromium on this machine: the owner installs it with `apt-get install chromium`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_that_the_walls_show_are_taken() {
        for path in [
            "/home/me/chrome",
            "chromium",
            "/usr/../home/me/chrome",
            "/usrx/chrome",
        ] {
            assert!(!is_shown(path) && find(Some(path)).is_err(), "{path}");
        }
        assert!(is_shown("/opt/google/chrome/chrome"));
        assert_eq!(find(Some("/bin/sh")), Ok("/bin/sh".to_owned()));
    }

    #[test]
    fn the_command_has_no_port_and_one_way_out() {
        let words = command("/usr/bin/chromium");
        assert!(words.iter().all(|word| !word.contains("debugging-port")));
        let proxies: Vec<_> = words
            .iter()
            .filter(|word| word.starts_with("--proxy-server"))
            .collect();
        assert_eq!(proxies, ["--proxy-server=http://127.0.0.1:3128"]);
        assert_eq!(walls(true).network, Network::Broker);
    }
}
