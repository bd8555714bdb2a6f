//! The proxy that the owner configured: HTTP CONNECT or SOCKS5, always asked for an address that was
//! judged here, never for a name.

use base64::Engine as _;
use instar_protocol::Secret;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

/// The longest answer to CONNECT that is read.
const ANSWER_BYTES_MAX: usize = 8_192;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Connect,
    Socks5,
}

/// Where the proxy is and who we are to it.
#[derive(Clone, Debug)]
pub struct Proxy {
    kind: Kind,
    host: Host<String>,
    port: u16,
    login: Option<(String, Secret)>,
}

impl Proxy {
    /// Reads `http://host:port` or `socks5://host:port`. A password never stands in the address.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "write http://host:port or socks5://host:port";
        let url = Url::parse(text).map_err(|_| WRONG)?;
        let (kind, default) = match url.scheme() {
            "http" => (Kind::Connect, 80),
            "socks5" => (Kind::Socks5, 1080),
            _ => return Err(WRONG),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a user name and a password never belong into an address: use proxyUser and proxyPassword",
            );
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(WRONG);
        }
        // Only the schemes of the web have their hosts parsed as such.
        let host = Host::parse(url.host_str().ok_or(WRONG)?).map_err(|_| WRONG)?;
        Ok(Self {
            kind,
            host,
            port: url.port().unwrap_or(default),
            login: None,
        })
    }

    #[must_use]
    pub fn with_login(mut self, user: String, password: Secret) -> Self {
        self.login = Some((user, password));
        self
    }

    /// Connects to `target` through the proxy.
    pub(crate) async fn connect(&self, target: SocketAddr) -> io::Result<TcpStream> {
        // The owner named this host; where it is, is the owner's business.
        let mut stream = match &self.host {
            Host::Domain(name) => TcpStream::connect((name.as_str(), self.port)).await?,
            Host::Ipv4(v4) => TcpStream::connect((IpAddr::V4(*v4), self.port)).await?,
            Host::Ipv6(v6) => TcpStream::connect((IpAddr::V6(*v6), self.port)).await?,
        };
        match self.kind {
            Kind::Connect => self.tunnel(&mut stream, target).await?,
            Kind::Socks5 => self.socks(&mut stream, target).await?,
        }
        Ok(stream)
    }

    async fn tunnel(&self, stream: &mut TcpStream, target: SocketAddr) -> io::Result<()> {
        let mut ask = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
        if let Some((user, password)) = &self.login {
            let pair = format!("{user}:{}", password.expose());
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            ask.push_str("proxy-authorization: Basic ");
            ask.push_str(&pair);
            ask.push_str("\r\n");
        }
        ask.push_str("\r\n");
        stream.write_all(ask.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(refused("its answer has no end"));
            }
            answer.push(stream.read_u8().await?);
        }
        let status = answer
            .split(|byte| *byte == b' ')
            .nth(1)
            .unwrap_or_default();
        match status {
            [b'2', _, _] => Ok(()),
            b"407" => Err(refused("it wants a user name and a password")),
            _ => Err(refused("it does not connect there")),
        }
    }

    async fn socks(&self, stream: &mut TcpStream, target: SocketAddr) -> io::Result<()> {
        const OPEN: u8 = 0;
        const LOGIN: u8 = 2;
        let methods: &[u8] = if self.login.is_some() {
            &[5, 2, OPEN, LOGIN]
        } else {
            &[5, 1, OPEN]
        };
        stream.write_all(methods).await?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await?;
        match (chosen, &self.login) {
            ([5, OPEN], _) => {}
            ([5, LOGIN], Some((user, password))) => log_in(stream, user, password).await?,
            ([5, _], _) => return Err(refused("it wants another kind of sign-in")),
            _ => return Err(refused("it does not speak SOCKS5")),
        }
        let mut ask = vec![5, 1, 0];
        match target.ip() {
            IpAddr::V4(v4) => {
                ask.push(1);
                ask.extend(v4.octets());
            }
            IpAddr::V6(v6) => {
                ask.push(4);
                ask.extend(v6.octets());
            }
        }
        ask.extend(target.port().to_be_bytes());
        stream.write_all(&ask).await?;
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        if head[..2] != [5, 0] {
            return Err(refused("it does not connect there"));
        }
        // The address it bound, which says nothing to us.
        let rest = match head[3] {
            1 => 4,
            4 => 16,
            3 => usize::from(stream.read_u8().await?),
            _ => return Err(refused("it does not speak SOCKS5")),
        };
        let mut bound = vec![0; rest + 2];
        stream.read_exact(&mut bound).await?;
        Ok(())
    }
}

async fn log_in(stream: &mut TcpStream, user: &str, password: &Secret) -> io::Result<()> {
    let length =
        |text: &str| u8::try_from(text.len()).map_err(|_| refused("its login is too long"));
    let mut ask = vec![1, length(user)?];
    ask.extend(user.as_bytes());
    ask.push(length(password.expose())?);
    ask.extend(password.expose().as_bytes());
    stream.write_all(&ask).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer[1] == 0 {
        Ok(())
    } else {
        Err(refused("it does not take the user name and password"))
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::other(format!("the configured proxy refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_without_secrets_in_their_address() {
        for text in [
            "http://proxy.example:3128",
            "socks5://127.0.0.1:1080/",
            "socks5://[::1]",
        ] {
            assert!(Proxy::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "proxy:3128",
            "https://proxy.example",
            "http://u:p@proxy.example",
            "http://proxy/x",
            "socks4://x:1",
            "http://proxy?x",
        ] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }
}
