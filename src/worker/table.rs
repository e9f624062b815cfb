//! The connections of a reactor, by token. A token carries a generation, so that an event for a connection that has
//! closed never reaches the one that took its place.
//!
//! A connection that a thread serves is away: its entry and its token stay, and the thread brings it back.

use std::sync::Arc;

use super::connection::Connection;
use crate::net::Stream;

pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    generation: u32,
    /// The connection's, for when it is away.
    stream: Option<Arc<Stream>>,
    state: State,
}

enum State {
    Free,
    Here(Box<Connection>),
    Away {
        /// Nobody wants to hear of it until it is back.
        muted: bool,
    },
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, connection: Box<Connection>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, stream: None, state: State::Free });
            (self.entries.len() - 1) as u32
        });
        // The index is that of an entry that exists and is free: just pushed, or put on the free list by `release`.
        let Some(entry) = self.entries.get_mut(index as usize) else { return u64::MAX };
        entry.stream = Some(Arc::clone(&connection.exchange.stream));
        entry.state = State::Here(connection);
        u64::from(entry.generation) << 32 | u64::from(index)
    }

    /// Takes a connection out, for good.
    pub(super) fn take(&mut self, token: u64) -> Option<Box<Connection>> {
        let entry = self.entry(token)?;
        match std::mem::replace(&mut entry.state, State::Free) {
            State::Here(connection) => {
                self.release(token);
                Some(connection)
            }
            other => {
                entry.state = other;
                None
            }
        }
    }

    /// Takes a connection out until [`Self::bring_back`].
    pub(super) fn send_away(&mut self, token: u64) -> Option<Box<Connection>> {
        let entry = self.entry(token)?;
        match std::mem::replace(&mut entry.state, State::Away { muted: false }) {
            State::Here(connection) => Some(connection),
            other => {
                entry.state = other;
                None
            }
        }
    }

    /// The connection is here again. True if it was muted meanwhile.
    pub(super) fn bring_back(&mut self, token: u64, connection: Box<Connection>) -> bool {
        let Some(entry) = self.entry(token) else { return false };
        let before = std::mem::replace(&mut entry.state, State::Here(connection));
        matches!(before, State::Away { muted: true, .. })
    }

    /// The socket of a connection that is away and was not muted yet; it is from now on.
    pub(super) fn mute(&mut self, token: u64) -> Option<Arc<Stream>> {
        let entry = self.entry(token)?;
        match &mut entry.state {
            State::Away { muted } if !*muted => {
                *muted = true;
                entry.stream.clone()
            }
            _ => None,
        }
    }

    /// The entry is free for another connection.
    fn release(&mut self, token: u64) {
        if let Some(entry) = self.entry(token) {
            entry.state = State::Free;
            entry.stream = None;
            entry.generation = entry.generation.wrapping_add(1) & 0x7fff_ffff;
            self.free.push(token as u32);
        }
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut Connection> {
        match &mut self.entry(token)?.state {
            State::Here(connection) => Some(connection),
            _ => None,
        }
    }

    fn entry(&mut self, token: u64) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(token as u32 as usize)?;
        (u64::from(entry.generation) == token >> 32).then_some(entry)
    }

    /// Tokens of the connections for which `choose` is true, of those that are here.
    pub(super) fn tokens(&self, choose: impl Fn(&Connection) -> bool) -> Vec<u64> {
        self.here().filter(|(_, connection)| choose(connection)).map(|(token, _)| token).collect()
    }

    /// The connection whose client takes its response most slowly.
    pub(super) fn slowest_reader(&self) -> Option<u64> {
        let readers = self.here().filter(|(_, connection)| connection.is_draining());
        readers.min_by_key(|(_, connection)| connection.deadline).map(|(token, _)| token)
    }

    /// Of the connections for which `choose` is true, the one that has been waiting longest for the rest of a request.
    pub(super) fn oldest(&self, choose: impl Fn(&Connection) -> bool) -> Option<u64> {
        let waiting = self.here().filter(|(_, connection)| choose(connection));
        waiting.min_by_key(|(_, connection)| connection.since).map(|(token, _)| token)
    }

    fn here(&self) -> impl Iterator<Item = (u64, &Connection)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match &entry.state {
            State::Here(connection) => {
                Some((u64::from(entry.generation) << 32 | index as u64, &**connection))
            }
            _ => None,
        })
    }
}
