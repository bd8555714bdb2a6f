//! A small web behind a proxy that stands for an owner's: whatever address is asked for, the same
//! pages answer. Nothing leaves the machine, and what was asked for is written down.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One answer of the web: status, one more header, body.
pub type Answer = (&'static str, &'static str, &'static str);

/// The answer for a path without its query.
pub type Pages = fn(&str) -> Answer;

#[derive(Clone, Debug)]
pub struct Web {
    proxy: String,
    asked: Arc<Mutex<Vec<String>>>,
    served: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// Serves until the process ends.
    pub fn start(pages: Pages) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let web = Self {
            proxy: format!("http://{}", listener.local_addr()?),
            asked: Arc::default(),
            served: Arc::default(),
        };
        let serving = web.clone();
        let _thread = std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let web = serving.clone();
                let _thread = std::thread::spawn(move || web.carry(client, pages));
            }
        });
        Ok(web)
    }

    /// The proxy's address, for `egress.proxy`.
    #[must_use]
    pub fn proxy(&self) -> &str {
        &self.proxy
    }

    /// What the proxy was asked for, a line each: `CONNECT 8.8.8.8:80 HTTP/1.1`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        locked(&self.asked).clone()
    }

    /// What the pages were asked for: host and path with its query.
    #[must_use]
    pub fn served(&self) -> Vec<String> {
        locked(&self.served).clone()
    }

    /// A tunnel that was asked for, answered here.
    fn carry(&self, client: TcpStream, pages: Pages) {
        let mut reader = BufReader::new(client);
        let Some((line, _, _)) = head(&mut reader) else {
            return;
        };
        locked(&self.asked).push(line);
        let _sent = reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        while let Some((line, host, length)) = head(&mut reader) {
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let path = line.split(' ').nth(1).unwrap_or_default();
            locked(&self.served).push(format!("{host}{path}"));
            let (status, more, body) = pages(path.split('?').next().unwrap_or_default());
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n{more}\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn locked(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first line of a request, its host, and the length of its body.
fn head(reader: &mut BufReader<TcpStream>) -> Option<(String, String, usize)> {
    let mut first = String::new();
    let (mut host, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.trim().to_lowercase();
        if let Some(given) = lower.strip_prefix("host:") {
            given.trim().clone_into(&mut host);
        }
        if let Some(given) = lower.strip_prefix("content-length:") {
            length = given.trim().parse().ok()?;
        }
        if line == "\r\n" {
            return Some((first, host, length));
        }
        if first.is_empty() {
            line.trim().clone_into(&mut first);
        }
    }
}
