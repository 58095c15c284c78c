//! What things cost the kernel, measured: the one table of constants behind the audit's arithmetic
//! and the pages of `tuning/`.
//!
//! Belongs here: figures with where they come from, and sums of them. Does not: our own memory, which
//! `plan::memory` computes, nor what the host has.

use crate::units::Bytes;

/// Each end of a connection that has nothing queued: TCP socket (2368), its inode (832), file and
/// directory entry (192 each), port (128), our receive that waits (256), and what slabs waste.
/// Measured on Linux 6.18, /proc/slabinfo.
pub const KERNEL_SOCKET: Bytes = Bytes(4_096);

/// What one small packet in a socket's queue occupies (`skb->truesize`): a head of 512 bytes and
/// 256 of `struct sk_buff`.
pub const QUEUED_PACKET_MIN: Bytes = Bytes(768);

/// One tracked connection (nf_conntrack in /proc/slabinfo), without its place in the hash table.
pub const CONNTRACK_ENTRY: Bytes = Bytes(256);

/// A place in the hash table of tracked connections.
pub const CONNTRACK_BUCKET: Bytes = Bytes(8);

/// Headers of one packet on an Ethernet line: preamble, frame, check and gap 38, IPv4 20, TCP with
/// timestamps 32.
pub const WIRE_OVERHEAD: Bytes = Bytes(90);

/// The page of x86-64, which `tcp_mem` counts in.
pub const PAGE: Bytes = Bytes(4_096);

/// Ports from 1024 to 65535.
pub const PORTS_WIDE: u64 = 64_512;

/// Ports of the kernel's own range, 32768 to 60999.
pub const PORTS_DEFAULT: u64 = 28_232;

/// Seconds that a closed connection holds its port (TCP_TIMEWAIT_LEN, not to be changed).
pub const TIME_WAIT_S: u64 = 60;

/// What so many idle sockets take in the kernel, in bytes.
pub const fn kernel_sockets(sockets: u64) -> Bytes {
    Bytes(sockets.saturating_mul(KERNEL_SOCKET.0))
}

/// What a copy of so many bytes occupies in a queue: the kernel rounds its data up to a power of two
/// until a page, and to pages beyond.
pub fn queued(copy_bytes: u64) -> Bytes {
    let data = copy_bytes.saturating_add(320);
    let rounded = if data <= PAGE.0 {
        data.next_power_of_two()
    } else {
        data.div_ceil(PAGE.0).saturating_mul(PAGE.0)
    };
    Bytes(rounded.saturating_add(256).max(QUEUED_PACKET_MIN.0))
}

#[cfg(test)]
mod tests {
    use crate::host::socket_cost::*;

    #[test]
    fn a_million_sockets_take_what_others_have_measured() {
        // MigratoryData: 12 M sockets in about 36 GB, 3 KB each; ours carry a file each as well.
        let million = kernel_sockets(1_000_000).0 as f64;
        assert!((3e9..4.5e9).contains(&million), "{million}");
    }

    #[test]
    fn a_queued_copy_is_never_smaller_than_its_packet_and_grows_with_it() {
        assert_eq!(queued(0), QUEUED_PACKET_MIN);
        assert_eq!(queued(100), QUEUED_PACKET_MIN);
        let sizes: Vec<_> = [200, 1_000, 4_000, 100_000].map(|bytes| queued(bytes).0).to_vec();
        assert!(sizes.is_sorted() && sizes[3] >= 100_000, "{sizes:?}");
    }
}
