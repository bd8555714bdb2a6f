//! The archive: the binary, what it may be used under, and its bill of materials.

use std::path::{Path, PathBuf};

use super::Release;
use crate::run::{must, root};

pub(super) fn pack(release: &Release, bill: &Path) -> anyhow::Result<PathBuf> {
    let folder = release.work.join(release.name());
    std::fs::create_dir_all(&folder)?;
    copy(&release.binary, &folder.join("instar"), "0755")?;
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"] {
        copy(&root().join(file), &folder.join(file), "0644")?;
    }
    copy(
        &root().join("docs/install.md"),
        &folder.join("INSTALL.md"),
        "0644",
    )?;
    copy(bill, &folder.join("instar.cdx.json"), "0644")?;
    let archive = release.out.join(format!("{}.tar.gz", release.name()));
    let tar = release.work.join("archive.tar");
    must(
        release
            .command("tar")
            .args([
                "--create",
                "--sort=name",
                "--format=ustar",
                "--numeric-owner",
            ])
            .args(["--owner=0", "--group=0"])
            .arg(format!("--mtime=@{}", release.epoch))
            .arg("--file")
            .arg(&tar)
            .arg("--directory")
            .arg(&release.work)
            .arg(release.name()),
    )?;
    // Without name and time of the file that was packed.
    must(
        release
            .command("gzip")
            .args(["-9", "--no-name", "--force"])
            .arg(&tar),
    )?;
    std::fs::rename(release.work.join("archive.tar.gz"), &archive)?;
    Ok(archive)
}

/// Copies a file with a mode that does not depend on who copies.
pub(super) fn copy(from: &Path, to: &Path, mode: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(from, to)?;
    let mode = u32::from_str_radix(mode, 8)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode))?;
    Ok(())
}
