//! Private keys made ahead of time on background threads: making RSA keys is most of what a run computes, and while
//! the network and the disk are waited for, processors idle. Keys live in memory only.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kubeadm_pki::{KeyAlgorithm, KeyError, KeySource, PrivateKey};

/// Hands out keys made in the background, and makes one on the spot where there are none.
#[derive(Default)]
pub struct KeyPool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    made: Condvar,
}

#[derive(Default)]
struct State {
    algorithm: Option<KeyAlgorithm>,
    ready: VecDeque<PrivateKey>,
    /// Keys nobody has begun.
    wanted: usize,
    /// Keys being made.
    under_way: usize,
    /// Callers that wait for one of those.
    waiting: usize,
    closed: bool,
}

impl KeyPool {
    /// A pool that makes nothing until [`prepare`](Self::prepare) is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts making `count` keys on as many threads as there are processors. Of a second algorithm nothing is prepared.
    pub fn prepare(&self, algorithm: KeyAlgorithm, count: usize) {
        let mut state = self.shared.lock();
        if state.algorithm.is_some_and(|a| a != algorithm) {
            return;
        }
        state.algorithm = Some(algorithm);
        state.wanted += count;
        drop(state);
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(count);
        for _ in 0..threads {
            let shared = Arc::clone(&self.shared);
            // Without threads every key is made when it is asked for.
            let _ = std::thread::Builder::new().name("keys".into()).spawn(move || shared.work(algorithm));
        }
    }
}

impl KeySource for KeyPool {
    fn generate(&self, algorithm: KeyAlgorithm) -> Result<PrivateKey, KeyError> {
        self.shared.take(algorithm).map_or_else(|| PrivateKey::generate(algorithm), Ok)
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A prepared key, waiting for one that is being made if none is left to begin; `None` if the caller has to make it.
    fn take(&self, algorithm: KeyAlgorithm) -> Option<PrivateKey> {
        let mut state = self.lock();
        if state.algorithm != Some(algorithm) {
            return None;
        }
        if let Some(key) = state.ready.pop_front() {
            return Some(key);
        }
        if state.wanted > 0 {
            // Making it here beats waiting.
            state.wanted -= 1;
            return None;
        }
        if state.under_way <= state.waiting {
            return None;
        }
        state.waiting += 1;
        // Another caller may have been quicker: then there may be nothing left to wait for.
        let mut state = self
            .made
            .wait_while(state, |s| s.ready.is_empty() && s.under_way > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state.ready.pop_front()
    }

    fn work(&self, algorithm: KeyAlgorithm) {
        loop {
            {
                let mut state = self.lock();
                if state.closed || state.wanted == 0 {
                    return;
                }
                state.wanted -= 1;
                state.under_way += 1;
            }
            let key = PrivateKey::generate(algorithm);
            let mut state = self.lock();
            state.under_way -= 1;
            match key {
                Ok(key) => state.ready.push_back(key),
                // The random source failed: whoever asks finds out for itself.
                Err(_) => state.wanted = 0,
            }
            drop(state);
            self.made.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHM: KeyAlgorithm = KeyAlgorithm::EcdsaP256;

    #[test]
    fn every_caller_gets_a_key_of_its_own() {
        let pool = KeyPool::new();
        pool.prepare(ALGORITHM, 5);
        let keys = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| pool.generate(ALGORITHM).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap().public_key().unwrap().to_pem()).collect::<Vec<_>>()
        });
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (8, 8));
    }

    #[test]
    fn other_algorithms_are_made_on_demand() {
        let pool = KeyPool::new();
        pool.prepare(ALGORITHM, 1);
        pool.prepare(KeyAlgorithm::EcdsaP384, 1);
        pool.generate(KeyAlgorithm::EcdsaP384).unwrap();
        assert_eq!(pool.shared.lock().algorithm, Some(ALGORITHM));
    }
}
