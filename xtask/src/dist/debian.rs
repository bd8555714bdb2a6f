//! The Debian package.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::copy;
use super::{Release, build};
use crate::run::{must, output, root, say, works};

const DOC: &str = "usr/share/doc/instar";
/// Of the packing, for versions of the program that are packed more than once.
const REVISION: u32 = 1;
/// Nobody is written to under a name that can never exist.
const MAINTAINER: &str = "The Instar authors <maintainers@instar.invalid>";

pub(super) fn pack(release: &Release) -> anyhow::Result<PathBuf> {
    let tree = release.work.join("deb");
    fill(release, &tree)?;
    let arch = release.debian_arch()?;
    let control = tree.join("DEBIAN");
    std::fs::create_dir_all(&control)?;
    write(&control.join("md5sums"), &md5(release, &tree)?)?;
    write(
        &control.join("control"),
        &fields(release, arch, kibibytes(&tree)?)?,
    )?;
    settle(release, &tree)?;
    let package = release
        .out
        .join(format!("instar_{}-{REVISION}_{arch}.deb", release.version));
    must(
        release
            .command("dpkg-deb")
            .args(["--build", "--root-owner-group", "-Zxz"])
            .arg(&tree)
            .arg(&package),
    )?;
    Ok(package)
}

fn fill(release: &Release, tree: &Path) -> anyhow::Result<()> {
    copy(&release.binary, &tree.join("usr/bin/instar"), "0755")?;
    for (shell, file) in [
        ("bash", "usr/share/bash-completion/completions/instar"),
        ("zsh", "usr/share/zsh/vendor-completions/_instar"),
        ("fish", "usr/share/fish/vendor_completions.d/instar.fish"),
    ] {
        let script = output(Command::new(&release.binary).args(["completions", shell]))?;
        write(&tree.join(file), &script)?;
    }
    let copyright = copyright()?;
    write(&tree.join(DOC).join("copyright"), &copyright)?;
    for (from, name) in [
        ("CHANGELOG.md", "changelog"),
        ("docs/install.md", "install.md"),
        ("docs/guide.md", "guide.md"),
    ] {
        copy(&root().join(from), &tree.join(DOC).join(name), "0644")?;
    }
    let changes = changes(release)?;
    write(&tree.join(DOC).join("changelog.Debian"), &changes)?;
    for name in ["changelog", "changelog.Debian"] {
        pack_text(release, &tree.join(DOC).join(name))?;
    }
    manual(release, tree)
}

/// The manual pages, of a program that can write them.
fn manual(release: &Release, tree: &Path) -> anyhow::Result<()> {
    let folder = release.work.join("man");
    std::fs::create_dir_all(&folder)?;
    if !works(
        Command::new(&release.binary)
            .args(["man", "--dir"])
            .arg(&folder),
    ) {
        say("manual pages: this program writes none");
        return Ok(());
    }
    let mut pages = Vec::new();
    walk(&folder, &mut pages)?;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|end| end == "1"))
    {
        let Some(name) = page.file_name() else {
            continue;
        };
        let packed = tree.join("usr/share/man/man1").join(name);
        copy(page, &packed, "0644")?;
        pack_text(release, &packed)?;
    }
    Ok(())
}

/// Without name and time of what is packed.
fn pack_text(release: &Release, file: &Path) -> anyhow::Result<()> {
    output(release.command("gzip").args(["-9", "--no-name"]).arg(file)).map(drop)
}

/// What the archive of Debian wants to know of this packing.
fn changes(release: &Release) -> anyhow::Result<String> {
    let time = format!("@{}", release.epoch);
    let date = output(
        release
            .command("date")
            .args(["--utc", "--rfc-email", "--date", &time]),
    )?;
    Ok(format!(
        "instar ({version}-{REVISION}) unstable; urgency=medium

  * What is new is in changelog.gz.

 -- {MAINTAINER}  {date}",
        version = release.version,
    ))
}

fn copyright() -> anyhow::Result<String> {
    let license = std::fs::read_to_string(root().join("LICENSE-MIT"))?;
    let holder = license
        .lines()
        .find_map(|line| line.strip_prefix("Copyright (c) "))
        .context("LICENSE-MIT names no holder")?;
    let expat: String = license
        .lines()
        .skip_while(|line| !line.starts_with("Permission"))
        .map(|line| {
            if line.is_empty() {
                " .\n".to_owned()
            } else {
                format!(" {line}\n")
            }
        })
        .collect();
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: instar

Files: *
Copyright: {holder}
License: Expat or Apache-2.0

License: Expat
{expat}
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
"
    ))
}

/// A static binary depends on nothing.
fn fields(release: &Release, arch: &str, size: u64) -> anyhow::Result<String> {
    let needs = if build::linkage(&release.binary)?.contains("static") {
        ""
    } else {
        &format!(
            "Depends: libc6 (>= {}), libgcc-s1\n",
            oldest_libc(&release.binary)?
        )
    };
    Ok(format!(
        "Package: instar
Version: {version}-{REVISION}
Architecture: {arch}
Maintainer: {MAINTAINER}
Installed-Size: {size}
{needs}Recommends: ca-certificates, tzdata
Suggests: systemd
Section: net
Priority: optional
Description: self-hosted gateway for a personal AI agent
 Instar answers its owner in the browser, on the command line and through
 clients of the OpenAI API, remembers the conversation, and keeps everything
 on a machine that its owner has.
 .
 Begin with \"instar onboard\"; \"instar gateway install\" runs it as a service
 of the user.
",
        version = release.version
    ))
}

/// The oldest C library that has every symbol version that the binary names.
fn oldest_libc(binary: &Path) -> anyhow::Result<String> {
    const NAME: &[u8] = b"GLIBC_2.";
    let bytes = std::fs::read(binary)?;
    let minor = bytes
        .windows(NAME.len() + 2)
        .filter_map(|part| part.strip_prefix(NAME))
        .filter_map(|rest| {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&rest[..digits])
                .ok()?
                .parse::<u32>()
                .ok()
        })
        .max();
    let minor = minor.context("the binary names no version of the C library")?;
    Ok(format!("2.{minor}"))
}

fn md5(release: &Release, tree: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    let names: Vec<&Path> = files
        .iter()
        .filter(|file| file.is_file())
        .filter_map(|file| file.strip_prefix(tree).ok())
        .filter(|file| !file.starts_with("DEBIAN"))
        .collect();
    output(release.command("md5sum").current_dir(tree).args(names))
}

fn kibibytes(tree: &Path) -> anyhow::Result<u64> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    let mut bytes = 0;
    for file in files {
        bytes += std::fs::symlink_metadata(file)?.len();
    }
    Ok(bytes.div_ceil(1024))
}

/// Everything below, in a fixed order.
fn walk(folder: &Path, all: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    entries.sort();
    for entry in entries {
        all.push(entry.clone());
        if entry.is_dir() {
            walk(&entry, all)?;
        }
    }
    Ok(())
}

/// Gives every folder its mode and everything its time.
fn settle(release: &Release, tree: &Path) -> anyhow::Result<()> {
    let mut all = vec![tree.to_owned()];
    walk(tree, &mut all)?;
    for path in all.iter().rev() {
        if path.is_dir() {
            must_quietly(release.command("chmod").arg("0755").arg(path))?;
        }
        let time = format!("@{}", release.epoch);
        must_quietly(release.command("touch").args(["--date", &time]).arg(path))?;
    }
    Ok(())
}

fn must_quietly(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    Ok(())
}
