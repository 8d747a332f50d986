//! Values that are the same for many tenants, each kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values that come between two looks for those that nobody holds any more.
const PRUNE_EVERY: usize = 1024;

/// Values, each kept once for all who hold it.
pub struct Interned<T: ?Sized>(HashSet<Arc<T>>);

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T: ?Sized + Eq + Hash> Interned<T> {
    /// The value as it is held by all.
    pub fn held(&mut self, value: impl Into<Arc<T>>) -> Arc<T> {
        let value = value.into();
        if let Some(known) = self.0.get(&value) {
            return known.clone();
        }
        if self.0.len() % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.forget_unused();
        }
        self.0.insert(value.clone());
        value
    }

    /// Drops what nobody holds any more.
    pub fn forget_unused(&mut self) {
        self.0.retain(|value| Arc::strong_count(value) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_go_with_their_last_holder() {
        let mut interned = Interned::<str>::default();
        let (first, second) = (interned.held("a"), interned.held("a"));
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        interned.forget_unused();
        assert_eq!(interned.0.len(), 0);
    }

    #[test]
    fn values_that_nobody_holds_do_not_pile_up() {
        let mut interned = Interned::<str>::default();
        for number in 0..10 * PRUNE_EVERY {
            drop(interned.held(number.to_string()));
        }
        assert!(interned.0.len() <= PRUNE_EVERY);
    }
}
