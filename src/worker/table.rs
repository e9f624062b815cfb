//! The connections of a reactor, by token. A token carries a generation, so that an event for a connection that has
//! closed never reaches the one that took its place.

use std::time::Duration;

use super::connection::Connection;

pub(super) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    generation: u32,
    connection: Option<Connection>,
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

    pub(super) fn insert(&mut self, connection: Connection) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, connection: None });
            (self.entries.len() - 1) as u32
        });
        // The index is that of an entry that exists and is free: just pushed, or put on the free list by `take`.
        let Some(entry) = self.entries.get_mut(index as usize) else { return u64::MAX };
        entry.connection = Some(connection);
        u64::from(entry.generation) << 32 | u64::from(index)
    }

    /// Takes a connection out, for good.
    pub(super) fn take(&mut self, token: u64) -> Option<Connection> {
        let entry = self.entries.get_mut(token as u32 as usize)?;
        if u64::from(entry.generation) != token >> 32 {
            return None;
        }
        let connection = entry.connection.take()?;
        entry.generation = entry.generation.wrapping_add(1) & 0x7fff_ffff;
        self.free.push(token as u32);
        Some(connection)
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut Connection> {
        let entry = self.entries.get_mut(token as u32 as usize)?;
        if u64::from(entry.generation) != token >> 32 {
            return None;
        }
        entry.connection.as_mut()
    }

    /// Tokens of the connections for which `choose` is true.
    pub(super) fn tokens(&self, choose: impl Fn(&Connection) -> bool) -> Vec<u64> {
        let chosen = self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let connection = entry.connection.as_ref()?;
            choose(connection).then_some(u64::from(entry.generation) << 32 | index as u64)
        });
        chosen.collect()
    }

    /// The connection whose client takes its response most slowly.
    pub(super) fn slowest_reader(&self) -> Option<u64> {
        let readers = self.tokens(Connection::is_draining);
        let deadline = |token: &u64| {
            let entry = self.entries.get(*token as u32 as usize);
            entry
                .and_then(|entry| entry.connection.as_ref())
                .map_or(Duration::MAX, |connection| connection.deadline)
        };
        readers.into_iter().min_by_key(deadline)
    }

    /// Of the connections for which `choose` is true, the one that was accepted first.
    pub(super) fn oldest(&self, choose: impl Fn(&Connection) -> bool) -> Option<u64> {
        let waiting = self.tokens(choose);
        let since = |token: &u64| {
            let entry = self.entries.get(*token as u32 as usize);
            entry
                .and_then(|entry| entry.connection.as_ref())
                .map_or(Duration::MAX, |connection| connection.accepted)
        };
        waiting.into_iter().min_by_key(since)
    }
}
