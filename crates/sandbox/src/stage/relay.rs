//! The only way out of a network namespace without routes: a port on its loopback, each connection
//! of which is handed on to the egress broker's socket. What may pass is decided there.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where programs find the proxy.
pub(super) const PORT: u16 = 3_128;
/// Connections at once; more are closed at once.
const CONNECTIONS_MAX: usize = 32;

/// Serves until the namespace ends.
pub(super) fn serve(listener: &TcpListener, broker: &'static str) -> ! {
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    loop {
        let Ok((inner, _)) = listener.accept() else {
            super::outer::leave(1)
        };
        if OPEN.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let connection = std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || {
                // A connection that breaks is the program's to notice.
                let _passed = pass(&inner, broker);
                OPEN.fetch_sub(1, Ordering::Relaxed);
            });
        if connection.is_err() {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn pass(inner: &TcpStream, broker: &str) -> std::io::Result<()> {
    let outer = UnixStream::connect(broker)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _there = copy(&mut &*inner, &mut &outer);
            let _closed = outer.shutdown(Shutdown::Write);
        });
        let _back = copy(&mut &outer, &mut &*inner);
        let _closed = inner.shutdown(Shutdown::Write);
    });
    Ok(())
}
