//! Messages with descriptors, between the caller's side and walls that stand ready.

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{Error, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most descriptors of one message.
const DESCRIPTORS_MAX: usize = 4;

/// Two ends. What is sent arrives whole; none of it is inherited across a start.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

pub(crate) fn send(to: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    if bytes.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(Error::other("the message is too long"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Error::other("the descriptors do not fit"));
    }
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(std::io::ErrorKind::WriteZero.into())
    }
}

/// The next message. An empty one: the other end is gone.
pub(crate) fn receive(from: impl AsFd) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    loop {
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = match recvmsg(&from, &mut parts, &mut beside, flags) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let descriptors = beside
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        bytes.truncate(got.bytes);
        return Ok((bytes, descriptors));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_message_arrives_whole_with_what_it_brings_and_the_end_is_an_empty_one() {
        let (one, other) = pair().unwrap();
        let file = std::fs::File::open("/dev/zero").unwrap();
        send(&one, b"words", &[file.as_fd()]).unwrap();
        send(&one, b"more", &[]).unwrap();
        let (bytes, mut descriptors) = receive(&other).unwrap();
        assert_eq!((bytes.as_slice(), descriptors.len()), (&b"words"[..], 1));
        let mut byte = [1];
        let mut held = std::fs::File::from(descriptors.remove(0));
        held.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [0]);
        assert_eq!(receive(&other).unwrap().0, b"more");
        assert!(send(&one, &vec![0; MESSAGE_BYTES_MAX + 1], &[]).is_err());
        drop(one);
        assert!(receive(&other).unwrap().0.is_empty());
    }
}
