//! The engine's interface over its Unix socket: just so much HTTP as it takes.

use serde_json::Value;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The version of the interface that is spoken; engines since 2020 know it.
const VERSION: &str = "v1.41";
const HEAD_BYTES_MAX: u64 = 64 * 1024;
const BODY_BYTES_MAX: u64 = 1 << 20;
/// An engine that does not answer a plain request for so long is no use.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// One connection, for one request.
pub(super) struct Call {
    stream: BufReader<UnixStream>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// Status and headers.
type Head = (u16, Vec<(String, String)>);

/// An answer that has begun.
pub(super) struct Begun {
    call: Call,
    head: Head,
}

impl Begun {
    /// Waits for the rest.
    pub(super) fn answer(self) -> Result<Answer> {
        self.call.body(self.head)
    }
}

impl Call {
    /// Sends a request; its answer is read later.
    pub(super) fn send(
        socket: &Path,
        method: &str,
        path: &str,
        body: Option<&Value>,
        upgrade: bool,
    ) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        stream.set_write_timeout(Some(ANSWER_TIME))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!("{method} /{VERSION}{path} HTTP/1.1\r\nHost: docker\r\n");
        if upgrade {
            head.push_str("Upgrade: tcp\r\nConnection: Upgrade\r\n");
        } else {
            head.push_str("Connection: close\r\n");
        }
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        (&stream).write_all(head.as_bytes())?;
        (&stream).write_all(body.as_bytes())?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Reads the head of an answer whose body comes when a program ends.
    pub(super) fn begun(mut self) -> Result<Begun> {
        let head = self.head()?;
        self.stream.get_ref().set_read_timeout(None)?;
        Ok(Begun { call: self, head })
    }

    /// Reads the whole answer.
    pub(super) fn answer(mut self) -> Result<Answer> {
        let head = self.head()?;
        self.body(head)
    }

    fn body(mut self, (status, headers): Head) -> Result<Answer> {
        let of = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let mut body = Vec::new();
        if of("transfer-encoding").is_some_and(|how| how.contains("chunked")) {
            self.chunks(&mut body)?;
        } else if let Some(length) = of("content-length") {
            let length: u64 = length.parse().map_err(Error::other)?;
            let mut rest = (&mut self.stream).take(length.min(BODY_BYTES_MAX));
            let _count = rest.read_to_end(&mut body)?;
        } else if status != 204 {
            let mut rest = (&mut self.stream).take(BODY_BYTES_MAX);
            let _count = rest.read_to_end(&mut body)?;
        }
        // Some answers have no body, and an error's is words at the least.
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Answer { status, body })
    }

    /// The connection itself, once the engine has handed it over; or its answer, if it did not.
    pub(super) fn hijack(mut self) -> Result<std::result::Result<BufReader<UnixStream>, u16>> {
        let (status, _) = self.head()?;
        if !matches!(status, 101 | 200) {
            return Ok(Err(status));
        }
        self.stream.get_ref().set_read_timeout(None)?;
        self.stream.get_ref().set_write_timeout(None)?;
        Ok(Ok(self.stream))
    }

    fn head(&mut self) -> Result<Head> {
        let mut limited = (&mut self.stream).take(HEAD_BYTES_MAX);
        let mut line = |to: &mut String| -> Result<()> {
            to.clear();
            match limited.read_line(to)? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        };
        let mut text = String::new();
        line(&mut text)?;
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::other("that is no engine"))?;
        let mut headers = Vec::new();
        loop {
            line(&mut text)?;
            let Some((name, value)) = text.split_once(':') else {
                return Ok((status, headers));
            };
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let mut size = String::new();
            let _count = (&mut self.stream).take(32).read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(Error::other)?;
            if size == 0 {
                return Ok(());
            }
            if body.len() as u64 + size > BODY_BYTES_MAX {
                return Err(Error::other("the engine's answer is too long"));
            }
            let _count = (&mut self.stream).take(size).read_to_end(body)?;
            let mut end = [0; 2];
            self.stream.read_exact(&mut end)?;
        }
    }
}

/// A request with its answer; an error says what the engine said.
pub(super) fn ask(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let answer = Call::send(socket, method, path, body, false)?.answer()?;
    if answer.status < 400 {
        return Ok(answer);
    }
    let said = answer.body["message"]
        .as_str()
        .unwrap_or("it did not say why");
    Err(Error::other(format!("{} ({})", said.trim(), answer.status)))
}
