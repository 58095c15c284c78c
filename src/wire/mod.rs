//! RFC 6455 bytes: upgrade, frame decoder, frame encoder. No I/O, no clock, no unsafe.

pub mod close;
pub mod code;
pub mod decoder;
pub mod encode;
pub mod frame;
pub mod upgrade;
pub mod violation;
