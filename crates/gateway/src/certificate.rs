//! The certificate of the listener: the owner's, or one that is made at the first start.

use instar_config::{StateDir, write_atomically};
use instar_tls::{Identity, Server, TlsError};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::GatewayConfig;

/// Where the certificate and its key are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// True if they are ours to make.
    own: bool,
}

impl Files {
    pub(crate) fn of(config: &GatewayConfig, state: &StateDir) -> Self {
        let folder = state.root().join("tls");
        match (&config.tls.cert_path, &config.tls.key_path) {
            (Some(certificate), Some(key)) => Self {
                certificate: certificate.into(),
                key: key.into(),
                own: false,
            },
            _ => Self {
                certificate: folder.join("certificate.pem"),
                key: folder.join("key.pem"),
                own: true,
            },
        }
    }

    pub(crate) fn read(&self) -> Result<Identity, TlsError> {
        Identity::read(&self.certificate, &self.key)
    }

    /// Makes both if they are ours to make and not there.
    fn provide(&self, config: &GatewayConfig, address: IpAddr) -> Result<(), Problem> {
        if !self.own || !config.tls.auto_generate || self.certificate.exists() {
            return Ok(());
        }
        let made = Identity::make(&names(config, address))?;
        if let Some(folder) = self.certificate.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder)?;
        }
        // The key first: where there is a certificate, there is its key.
        write_atomically(&self.key, made.key.as_bytes())?;
        write_atomically(&self.certificate, made.certificate.as_bytes())?;
        Ok(())
    }
}

/// Why there is no certificate to listen with.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the made certificate cannot be written")]
    Write(#[from] io::Error),
}

/// The server's side of TLS, if the configuration asks for it.
pub(crate) fn open(
    config: &GatewayConfig,
    state: &StateDir,
    address: IpAddr,
) -> Result<Option<Arc<Server>>, Problem> {
    if !config.tls.enabled {
        return Ok(None);
    }
    let files = Files::of(config, state);
    files.provide(config, address)?;
    Ok(Some(Arc::new(Server::new(files.read()?)?)))
}

/// What a made certificate is good for.
fn names(config: &GatewayConfig, address: IpAddr) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    let public = config.public_origin.as_deref();
    let public = public.and_then(|origin| url::Url::parse(origin).ok());
    if let Some(host) = public.as_ref().and_then(url::Url::host_str) {
        names.push(host.trim_matches(['[', ']']).to_owned());
    }
    names.sort();
    names.dedup();
    names
}
