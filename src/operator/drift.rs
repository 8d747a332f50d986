//! Pure: whether a live child has drifted from what the plan wants.

use serde_json::json;

use crate::api::names;

use super::children::Child;
use super::cluster::live::Live;
use super::ownership;

impl Live {
    /// Whether it still is as the plan wants it.
    pub fn is_as_wanted(&self, wanted: &Child, owner: &str) -> bool {
        let Some(ours) = &self.ours else { return false };
        !self.touched
            && self.owners.iter().any(|o| o == owner)
            && self.digest.as_deref() == Some(&wanted.digest)
            && ownership::owns_child(self.kind, &ours.fields(), &wanted.object)
    }

    /// Whether it differs from what is wanted by what others did to it: not only because something else is wanted now,
    /// which shows in its digest.
    pub fn was_changed_by_others(&self, wanted: &Child) -> bool {
        let digest =
            json!({"metadata": {"annotations": {names::DIGEST_ANNOTATION: wanted.digest}}});
        self.touched
            || self.digest.as_deref() == Some(&wanted.digest)
            || !self
                .ours
                .as_ref()
                .is_some_and(|ours| ownership::owns(self.kind, &ours.fields(), &digest))
    }
}
