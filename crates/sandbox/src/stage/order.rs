//! What the caller's side tells the walls' side, and how the walls answer.

use crate::docker::Docker;
use crate::spec::{Access, BrokerSocket, Component, Extra, Limits, Network};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::PathBuf;

/// The name under which the binary is started a second time.
pub(crate) const STAGE_NAME: &str = "instar-walls";
/// First byte on standard output: the walls stand, the rest is the program's.
pub(crate) const READY: u8 = b'R';
/// First byte on standard output: the walls do not stand; a sentence follows and nothing ran.
pub(crate) const REFUSED: u8 = b'E';
/// From walls that stand ready: built; and that the program ended, with its exit code behind it.
pub(crate) const BUILT: u8 = b'W';
pub(crate) const ENDED: u8 = b'X';
const ORDER_BYTES_MAX: u32 = 4 << 20;

/// Comes in front of the program's input, so that no other descriptor has to be inherited. The
/// workspace is the folder in which the stage is started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) argv: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Set where the program is a component.
    pub(crate) component: Option<Component>,
    pub(crate) workspace: Access,
    pub(crate) folder: String,
    /// Below the workspace, read only.
    pub(crate) shielded: Vec<String>,
    pub(crate) extras: Vec<Extra>,
    pub(crate) network: Network,
    pub(crate) broker: Option<BrokerSocket>,
    pub(crate) limits: Limits,
    /// Device and inode of the workspace, checked where it had to be named by a path.
    pub(crate) identity: Option<(u64, u64)>,
    /// Bubblewrap, where it makes the namespaces.
    pub(crate) bubblewrap: Option<PathBuf>,
    /// The container that stands for all of it, where an engine builds the walls.
    pub(crate) docker: Option<Docker>,
}

impl Order {
    pub(crate) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(std::io::Error::other)?;
        Ok([&length.to_be_bytes()[..], &text].concat())
    }

    /// Without anything in front of it, for a message that arrives whole.
    pub(crate) fn to_message(&self) -> std::io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    pub(crate) fn parse(message: &[u8]) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(message)?)
    }

    /// Reads exactly the order and leaves what follows for the program.
    pub(crate) fn read(mut from: impl Read) -> std::io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > ORDER_BYTES_MAX {
            return Err(std::io::Error::other("the order is too long"));
        }
        let mut text = Vec::new();
        let read = from.take(u64::from(length)).read_to_end(&mut text)?;
        if u32::try_from(read) != Ok(length) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Why walls do not stand, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(pub(crate) String);

impl Refusal {
    pub(crate) fn new(doing: &str, why: impl std::fmt::Display) -> Self {
        Self(format!("cannot {doing}: {why}"))
    }

    /// Tells the caller. What goes wrong here shows as an answer that is missing.
    pub(crate) fn tell(&self) {
        let _told = std::io::stdout().write_all(&self.to_bytes());
        let _told = std::io::stdout().flush();
    }

    /// As the caller is told of it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.0.clone().into_bytes();
        text.truncate(2_000);
        [&[REFUSED][..], &text].concat()
    }

    pub(crate) fn from_bytes(told: &[u8]) -> Self {
        match told {
            [REFUSED, words @ ..] => Self(String::from_utf8_lossy(words).into_owned()),
            _ => Self("they fell while they were built".to_owned()),
        }
    }
}

/// `cannot DO: why` for errors of the kernel.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &str) -> Result<T, Refusal>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, doing: &str) -> Result<T, Refusal> {
        self.map_err(|why| Refusal::new(doing, why))
    }
}
