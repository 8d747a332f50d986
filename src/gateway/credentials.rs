//! Who pushes, for a gateway that asks.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// User and password of HTTP's basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// A colon in the user's name would be taken for the end of it.
    pub fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password));
        format!("Basic {pair}")
    }
}

/// Without the password, as a derived one would print it.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credentials({:?})", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials::new("alice".to_owned(), "s3cret".to_owned());
        assert_eq!(format!("{credentials:?}"), r#"Credentials("alice")"#);
        assert_eq!(credentials.authorization(), "Basic YWxpY2U6czNjcmV0");
    }
}
