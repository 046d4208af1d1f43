//! Connections: how many one peer has open, and for how long one has been idle.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::peer::network;

/// The open connections of each peer. Clones share them; the memory is bounded by the connections that are open.
#[derive(Clone, Default)]
pub struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place of a peer, given back when it is dropped.
pub struct Place {
    peers: Peers,
    peer: IpAddr,
}

impl Peers {
    /// A place for one more connection of this peer; `None` when it has `most`.
    pub fn place(&self, address: IpAddr, most: usize) -> Option<Place> {
        let peer = network(address);
        let mut open = self.lock();
        let count = open.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), peer })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Each change is complete in itself, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.peers.lock();
        if let Some(count) = open.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

/// What goes on on one connection. Clones share it.
#[derive(Clone)]
pub struct Activity(Arc<Mutex<InFlight>>);

struct InFlight {
    requests: usize,
    /// When the last of them was answered.
    since: Instant,
}

impl Activity {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(InFlight { requests: 0, since: Instant::now() })))
    }

    /// Counts a request while it is being answered.
    pub async fn count<T>(self, answer: impl Future<Output = T>) -> T {
        self.lock().requests += 1;
        // Dropped also when the connection breaks.
        let _counted = Counted(self);
        answer.await
    }

    /// Returns when no request has been in flight for `limit`.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let idle = {
                let now = self.lock();
                if now.requests > 0 { Duration::ZERO } else { now.since.elapsed() }
            };
            let left = limit.saturating_sub(idle);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        // As above.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Counted(Activity);

impl Drop for Counted {
    fn drop(&mut self) {
        let mut now = self.0.lock();
        now.requests -= 1;
        now.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_places_and_another_its_own() {
        let peers = Peers::default();
        let [one, same, other, mapped] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1"].map(|text| text.parse().unwrap());
        let held = peers.place(one, 1);
        assert!(held.is_some() && peers.place(same, 1).is_none(), "one subscriber");
        assert!(peers.place(other, 1).is_some());
        let v4 = peers.place("192.0.2.1".parse().unwrap(), 1);
        assert!(v4.is_some() && peers.place(mapped, 1).is_none());
        drop((held, v4));
        assert!(peers.lock().is_empty(), "nothing is remembered of those who have gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_in_flight_for_so_long() {
        const LIMIT: Duration = Duration::from_secs(10);
        let (activity, begun) = (Activity::new(), Instant::now());
        let request = tokio::spawn(activity.clone().count(tokio::time::sleep(LIMIT * 5)));
        activity.idle(LIMIT).await;
        request.await.unwrap();
        assert!((LIMIT * 6..LIMIT * 7).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
