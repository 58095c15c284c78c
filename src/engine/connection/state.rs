//! Where a connection is in its life, and what may follow.
//!
//! Belongs here: the states, the events, and which leads where. Does not: what is done about an event
//! (`worker`).
//!
//! ```text
//! Idle -> Connecting -> TransportHandshake -> Upgrading -> Opening -> Open -> Closing -> Closed -> Idle
//! ```
//!
//! Every state between `Idle` and `Closed` may also end at once, and from the transport's handshake on by way of
//! `Closing`: the transport, too, has a last word.

/// Where a socket is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum State {
    /// Not connected yet, or not again.
    Idle,
    /// TCP connect is under way.
    Connecting,
    /// The transport makes itself ready: no plaintext may be sent yet.
    TransportHandshake,
    /// The upgrade request is on its way, or its response.
    Upgrading,
    /// What the dialect says before a socket is ready is on its way.
    Opening,
    /// Messages flow.
    Open,
    /// We, or the transport, have a last word to send before the socket closes.
    Closing,
    /// Gone, and why is known.
    Closed,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Event {
    /// We begin to connect.
    Connect,
    /// The TCP connection is there.
    Connected,
    /// The transport is ready.
    Secured,
    /// The node took the upgrade.
    Upgraded,
    /// All that the dialect says first was said and answered.
    Opened,
    /// It ends with a last word of ours: a Close frame, an alert of TLS.
    Close,
    /// It ends at once, or our last frame has left.
    Gone,
    /// It may be connected again.
    Reset,
}

impl State {
    /// What follows; `None` where this cannot happen.
    pub(in crate::engine) const fn after(self, event: Event) -> Option<Self> {
        Some(match (self, event) {
            (Self::Idle, Event::Connect) => Self::Connecting,
            (Self::Connecting, Event::Connected) => Self::TransportHandshake,
            (Self::TransportHandshake, Event::Secured) => Self::Upgrading,
            (Self::Upgrading, Event::Upgraded) => Self::Opening,
            (Self::Opening, Event::Opened) => Self::Open,
            (
                Self::TransportHandshake | Self::Upgrading | Self::Opening | Self::Open,
                Event::Close,
            ) => Self::Closing,
            (state, Event::Gone) if !matches!(state, Self::Idle | Self::Closed) => Self::Closed,
            (Self::Closed, Event::Reset) => Self::Idle,
            _ => return None,
        })
    }

    /// As a person would name it in an error.
    pub(in crate::engine) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "open",
            Self::Connecting => "connect",
            Self::TransportHandshake => "handshake",
            Self::Upgrading => "upgrade",
            Self::Opening => "opening",
            Self::Open | Self::Closing | Self::Closed => "session",
        }
    }

    /// Neither ready nor given up.
    pub(in crate::engine) const fn is_under_way(self) -> bool {
        matches!(
            self,
            Self::Connecting | Self::TransportHandshake | Self::Upgrading | Self::Opening
        )
    }

    /// Messages may be sent and are read.
    #[inline]
    pub(in crate::engine) const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 8] = [
        Event::Connect,
        Event::Connected,
        Event::Secured,
        Event::Upgraded,
        Event::Opened,
        Event::Close,
        Event::Gone,
        Event::Reset,
    ];
    /// What a connection passes through before it is open.
    const SETUP: [Event; 5] =
        [Event::Connect, Event::Connected, Event::Secured, Event::Upgraded, Event::Opened];

    /// What is known of a life from its events alone: a twin that has no states.
    fn may_follow(life: &[Event], event: Event) -> bool {
        let began = !life.is_empty();
        let ended = life.contains(&Event::Gone);
        match event {
            Event::Reset => ended,
            Event::Gone => began && !ended,
            // The transport may speak as soon as there is one.
            Event::Close => (2..=5).any(|steps| life == &SETUP[..steps]),
            step => SETUP.get(life.len()) == Some(&step) && life == &SETUP[..life.len()],
        }
    }

    proptest! {
        #[test]
        fn any_order_of_events_keeps_a_life_in_order(picks in prop::collection::vec(0_usize..8, 0..200)) {
            let (mut state, mut life) = (State::Idle, Vec::new());
            for event in picks.into_iter().map(|pick| EVENTS[pick]) {
                let next = state.after(event);
                prop_assert_eq!(next.is_some(), may_follow(&life, event), "{:?}, {:?}", life, event);
                let Some(next) = next else { continue };
                state = next;
                life.push(event);
                if event == Event::Reset {
                    life.clear();
                }
                let ended = life.contains(&Event::Gone);
                let closes = life.contains(&Event::Close);
                prop_assert_eq!(state == State::Idle, life.is_empty());
                prop_assert_eq!(state == State::Closed, ended);
                prop_assert_eq!(state.is_open(), life == SETUP);
                prop_assert_eq!(state.is_under_way(), !life.is_empty() && !ended && !closes && life != SETUP);
            }
        }
    }
}
