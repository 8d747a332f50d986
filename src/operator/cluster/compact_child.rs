//! Live children as the cache keeps them: small, because there are six for each of thousands of tenants.

use std::sync::Arc;

use super::interned::Interned;
use super::live::{Live, Ours, Rollout};
use crate::operator::kind::Kind;

/// A [`Live`] in a third of its memory.
pub struct CompactChild {
    kind: Kind,
    touched: bool,
    name: Arc<str>,
    uid: Hex<16>,
    version: Option<u64>,
    /// Mostly the same for all children of a namespace.
    owners: Arc<[Hex<16>]>,
    digest: Option<Hex<8>>,
    ours: Option<Ours>,
    rollout: Option<Box<Rollout>>,
}

/// A text, kept as bytes where it is a UUID or another number in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hex<const N: usize> {
    /// In half its length.
    Bytes([u8; N]),
    /// As it is.
    Text(Box<str>),
}

/// Others of a namespace that are asked for owners to share: the first ones are its children.
const ASKED: usize = 16;

/// Where the dashes of a UUID are.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl<const N: usize> Hex<N> {
    pub fn of(text: &str) -> Self {
        let bytes = Self::bytes(text).filter(|bytes| Self::text_of(bytes) == text);
        bytes.map_or_else(|| Self::Text(text.into()), Self::Bytes)
    }

    fn bytes(text: &str) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let mut digits = text.chars().filter(|c| *c != '-');
        for byte in &mut bytes {
            let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(bytes)
    }

    fn text_of(bytes: &[u8; N]) -> String {
        let mut text = String::with_capacity(2 * N + DASHES.len());
        for byte in bytes {
            if N == 16 && DASHES.contains(&text.len()) {
                text.push('-');
            }
            for digit in [byte / 16, byte % 16] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        text
    }

    pub fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => Self::text_of(bytes),
            Self::Text(text) => text.as_ref().to_owned(),
        }
    }
}

impl CompactChild {
    /// Keeps a child. `names`: those of other children; `siblings`: what else is kept of its namespace.
    pub fn new(live: Live, names: &mut Interned<str>, siblings: &[Self]) -> Self {
        let owners: Vec<_> = live.owners.iter().map(|owner| Hex::of(owner)).collect();
        let owners = siblings
            .iter()
            .take(ASKED)
            .find(|sibling| *sibling.owners == *owners)
            .map_or_else(|| owners.into(), |sibling| sibling.owners.clone());
        Self {
            kind: live.kind,
            touched: live.touched,
            name: names.held(live.name),
            uid: Hex::of(&live.uid),
            version: live.version,
            owners,
            digest: live.digest.as_deref().map(Hex::of),
            ours: live.ours,
            rollout: live.rollout.map(Box::new),
        }
    }

    pub fn live(&self) -> Live {
        Live {
            kind: self.kind,
            name: self.name.as_ref().to_owned(),
            uid: self.uid.text(),
            version: self.version,
            owners: self.owners.iter().map(Hex::text).collect(),
            digest: self.digest.as_ref().map(Hex::text),
            ours: self.ours.clone(),
            touched: self.touched,
            rollout: self.rollout.as_deref().cloned(),
        }
    }

    /// Whether it is of this kind.
    pub fn is_of(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// Whether it is of this kind and name.
    pub fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind == kind && *self.name == *name
    }

    /// Whether it is this very object.
    pub fn has_uid(&self, uid: &str) -> bool {
        self.uid == Hex::of(uid)
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0f3c9a52-1111-4222-8333-00ff00ff00ff", true)]
    #[case("0F3C9A52-1111-4222-8333-00FF00FF00FF", false)]
    #[case("0f3c9a5211114222833300ff00ff00ff", false)]
    #[case("0f3c9a52-1111-4222-8333-00ff00ff00ff0", false)]
    #[case("uid-of-push", false)]
    #[case("", false)]
    fn a_uid_is_what_it_was(#[case] uid: &str, #[case] small: bool) {
        let kept = Hex::<16>::of(uid);
        assert_eq!(kept.text(), uid);
        assert_eq!(matches!(kept, Hex::Bytes(_)), small);
    }

    #[rstest]
    #[case("0123456789abcdef")]
    #[case("0123456789abcdef0")]
    #[case("not a digest")]
    fn a_digest_is_what_it_was(#[case] digest: &str) {
        assert_eq!(Hex::<8>::of(digest).text(), digest);
    }
}
