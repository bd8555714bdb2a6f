//! The sessions that are awake: a bounded map from key to the owner task's inbox.

use instar_protocol::SessionKey;
use instar_store::SessionRow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OnceCell, mpsc};

use crate::live::{Live, Tap};
use crate::owner::Order;

/// Orders that may wait for an owner task.
const ORDERS_MAX: usize = 64;
/// Beyond this many the one that was used longest ago is asked to go to sleep.
const AWAKE_WANTED: usize = 128;
/// Beyond this many nobody is woken.
const AWAKE_MAX: usize = if cfg!(test) { 8 } else { 4_096 };
/// How long somebody who waits for room waits before looking again.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// Sessions that sleep and are watched.
const WATCHED_MAX: usize = 4_096;

/// How others reach an owner task. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) live: Live,
    pub(crate) opening: Arc<OnceCell<Opening>>,
    state: Arc<State>,
}

/// The session as it was when the first message came.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) row: SessionRow,
    pub(crate) is_stored: bool,
}

#[derive(Debug, Default)]
struct State {
    queued: AtomicUsize,
    is_running: AtomicBool,
}

impl Handle {
    /// Messages that wait, as far as others can see.
    pub(crate) fn waiting(&self) -> usize {
        let ordered = self.orders.max_capacity() - self.orders.capacity();
        self.state.queued.load(Ordering::Relaxed) + ordered
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state.is_running.load(Ordering::Relaxed)
    }
}

/// What an owner task tells others of itself.
#[derive(Clone, Debug)]
pub(crate) struct Sign(Arc<State>);

impl Sign {
    pub(crate) fn queued(&self, messages: usize) {
        self.0.queued.store(messages, Ordering::Relaxed);
    }

    pub(crate) fn running(&self, is_running: bool) {
        self.0.is_running.store(is_running, Ordering::Relaxed);
    }
}

impl Handle {
    pub(crate) fn sign(&self) -> Sign {
        Sign(Arc::clone(&self.state))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Awake {
    map: Mutex<Map>,
    /// Told when a session went to sleep.
    room: Notify,
    /// Hears what happens in every session.
    pub(crate) tap: Tap,
}

#[derive(Debug, Default)]
struct Map {
    slots: HashMap<SessionKey, Slot>,
    /// Live events of sessions that are watched while they sleep.
    watched: HashMap<SessionKey, Live>,
    uses: u64,
}

#[derive(Debug)]
struct Slot {
    handle: Handle,
    used: u64,
}

impl Awake {
    pub(crate) fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Messages that wait in all sessions together.
    pub(crate) fn waiting(&self) -> usize {
        let map = self.lock();
        map.slots.values().map(|slot| slot.handle.waiting()).sum()
    }

    pub(crate) fn find(&self, key: &SessionKey) -> Option<Handle> {
        self.lock().slots.get(key).map(|slot| slot.handle.clone())
    }

    /// Finds the owner task or starts it with `wake`. `None` if too many are awake.
    pub(crate) fn find_or_wake(
        &self,
        key: &SessionKey,
        wake: impl FnOnce(&Handle, mpsc::Receiver<Order>),
    ) -> Option<Handle> {
        let mut map = self.lock();
        map.uses += 1;
        let used = map.uses;
        if let Some(slot) = map.slots.get_mut(key) {
            slot.used = used;
            return Some(slot.handle.clone());
        }
        if map.slots.len() >= AWAKE_WANTED.min(AWAKE_MAX) {
            map.send_one_to_sleep();
        }
        if map.slots.len() >= AWAKE_MAX {
            return None;
        }
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let watched = map.watched.remove(key);
        let live = watched.unwrap_or_else(|| Live::new(key, &self.tap));
        let handle = Handle {
            orders,
            live,
            opening: Arc::new(OnceCell::new()),
            state: Arc::new(State::default()),
        };
        let slot = Slot {
            handle: handle.clone(),
            used,
        };
        map.slots.insert(key.clone(), slot);
        wake(&handle, inbox);
        Some(handle)
    }

    /// The live events of a session, awake or not. `None` if too many are watched.
    pub(crate) fn live(&self, key: &SessionKey) -> Option<Live> {
        let mut map = self.lock();
        if let Some(slot) = map.slots.get(key) {
            return Some(slot.handle.live.clone());
        }
        if map.watched.len() >= WATCHED_MAX {
            map.watched.retain(|_, live| live.is_watched());
            if map.watched.len() >= WATCHED_MAX {
                return None;
            }
        }
        Some(
            map.watched
                .entry(key.clone())
                .or_insert_with(|| Live::new(key, &self.tap))
                .clone(),
        )
    }

    /// Takes a session out if nobody holds its inbox or is about to: the task that asks may end.
    pub(crate) fn retire(&self, key: &SessionKey, inbox: &mpsc::Receiver<Order>) -> bool {
        let mut map = self.lock();
        // Handles are cloned under this lock: one sender is the map's own.
        if !inbox.is_empty() || inbox.sender_strong_count() > 1 {
            return false;
        }
        map.take_out(key);
        self.room.notify_one();
        true
    }

    /// Waits until a session went to sleep, or for a moment: one that is idle only now can then be
    /// asked to.
    pub(crate) async fn room(&self) {
        // Either way the caller looks again.
        drop(tokio::time::timeout(ROOM_PAUSE, self.room.notified()).await);
    }

    /// Takes a session out whose task has ended in whatever way.
    pub(crate) fn remove(&self, key: &SessionKey, state: &Sign) {
        let mut map = self.lock();
        let is_same = |slot: &Slot| Arc::ptr_eq(&slot.handle.state, &state.0);
        if map.slots.get(key).is_some_and(is_same) {
            map.take_out(key);
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn take_out(&mut self, key: &SessionKey) {
        if let Some(slot) = self.slots.remove(key)
            && slot.handle.live.is_watched()
        {
            self.watched.insert(key.clone(), slot.handle.live);
        }
    }

    fn send_one_to_sleep(&mut self) {
        let idle = |slot: &&mut Slot| !slot.handle.is_running() && slot.handle.waiting() == 0;
        let oldest = self
            .slots
            .values_mut()
            .filter(idle)
            .min_by_key(|slot| slot.used);
        if let Some(slot) = oldest {
            // A full inbox means that it is needed after all.
            drop(slot.handle.orders.try_send(Order::Sleep));
        }
    }
}
