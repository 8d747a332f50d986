//! Which objects wait for a reconcile.

use std::collections::HashSet;
use std::sync::Arc;

use kube::api::DynamicObject;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::api::MetricsNamespace;

use super::locked::Locked;

/// Tells the controller which objects to look at. An object that already waits is not told twice.
#[derive(Clone)]
pub struct Queue {
    waiting: Arc<Locked<HashSet<ObjectRef<MetricsNamespace>>>>,
    sender: UnboundedSender<ObjectRef<MetricsNamespace>>,
}

/// The controller's end of a [`Queue`].
pub type Triggers = UnboundedReceiver<ObjectRef<MetricsNamespace>>;

impl Queue {
    /// A queue, and the controller's end of it.
    pub fn new() -> (Self, Triggers) {
        let (sender, triggers) = unbounded_channel();
        let queue = Self {
            waiting: Arc::default(),
            sender,
        };
        (queue, triggers)
    }

    /// Asks for a reconcile of each.
    pub fn add_all(&self, objects: Vec<ObjectRef<MetricsNamespace>>) {
        let mut waiting = self.waiting.lock();
        for object in objects {
            if waiting.insert(object.clone()) {
                // Fails only when the controller has ended, and then nothing is to be done.
                let _ = self.sender.send(object);
            }
        }
    }

    /// Notes that one is being looked at, or is gone: what happens from now on is asked for anew.
    pub fn taken(&self, object: &ObjectRef<MetricsNamespace>) {
        self.waiting.lock().remove(object);
    }

    /// Notes that the controller did not find one. It may have come between that look and now; whoever saw it come
    /// found it waiting, and did not ask.
    pub fn not_found(
        &self,
        object: &ObjectRef<MetricsNamespace>,
        is_there_now: impl FnOnce() -> bool,
    ) {
        self.taken(object);
        if is_there_now() {
            self.add_all(vec![object.clone()]);
        }
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.waiting.lock().len()
    }
}

/// The reference that the controller gives to an object that it does not find.
pub fn typed(object: &ObjectRef<DynamicObject>) -> ObjectRef<MetricsNamespace> {
    let mut typed = ObjectRef::new(&object.name);
    typed.namespace.clone_from(&object.namespace);
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_once_and_again_after_it_was_taken() {
        let (queue, mut triggers) = Queue::new();
        let object = ObjectRef::new("metrics").within("alice");
        queue.add_all(vec![object.clone(), object.clone()]);
        assert_eq!(queue.depth(), 1);
        assert_eq!(triggers.try_recv().ok(), Some(object.clone()));
        assert!(triggers.try_recv().is_err());

        queue.taken(&object);
        queue.add_all(vec![object.clone()]);
        assert_eq!(triggers.try_recv().ok(), Some(object));
    }

    #[test]
    fn what_comes_just_after_it_was_not_found_is_asked_for() {
        let (queue, mut triggers) = Queue::new();
        let object = ObjectRef::new("metrics").within("alice");
        queue.add_all(vec![object.clone()]);
        assert!(triggers.try_recv().is_ok());
        // The controller looks, and finds nothing. Then it comes, and its watch asks.
        queue.add_all(vec![object.clone()]);
        assert!(triggers.try_recv().is_err(), "it still waits");
        queue.not_found(&object, || true);
        assert_eq!(triggers.try_recv().ok(), Some(object.clone()));

        queue.not_found(&object, || false);
        assert!(triggers.try_recv().is_err());
        assert_eq!(queue.depth(), 0);
    }
}
