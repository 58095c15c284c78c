//! Close codes that we send (RFC 6455, section 7.4.1).

/// The purpose is fulfilled.
pub const NORMAL: u16 = 1000;
/// The protocol was broken.
pub const PROTOCOL: u16 = 1002;
/// Data does not fit its type: text that is not UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// A message too big to process.
pub const TOO_BIG: u16 = 1009;
