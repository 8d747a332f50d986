//! The parts of the operator that run side by side from its start on. None ends by itself, unless something is wrong.

use std::collections::HashMap;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::Error;

/// What runs. When this is dropped, all of it ends.
#[derive(Default)]
pub struct Tasks {
    running: JoinSet<Option<Error>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a part. It may say why it ends.
    pub fn start(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Option<Error>> + Send + 'static,
    ) -> AbortHandle {
        let task = self.running.spawn(part);
        self.names.insert(task.id(), name);
        task
    }

    /// Waits until one of them ends. Why the operator can't go on.
    pub async fn any_end(&mut self) -> Error {
        match self.running.join_next_with_id().await {
            Some(ended) => self.why(ended).1,
            None => Error::Ended("everything"),
        }
    }

    /// Waits until this one has ended.
    pub async fn end_of(&mut self, task: &AbortHandle) {
        while let Some(ended) = self.running.join_next_with_id().await {
            if self.why(ended).0 == task.id() {
                return;
            }
        }
    }

    fn why(&self, ended: Result<(Id, Option<Error>), JoinError>) -> (Id, Error) {
        let (id, error) = match ended {
            Ok(ended) => ended,
            Err(panic) => (panic.id(), None),
        };
        let name = self.names.get(&id).copied().unwrap_or("a part");
        (id, error.unwrap_or(Error::Ended(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn the_part_that_ends_is_named_whether_it_panics_or_not() {
        let mut tasks = Tasks::default();
        tasks.start("the HTTP server", pending());
        tasks.start("a watch", async { panic!("a fault") });
        assert_eq!(tasks.any_end().await.to_string(), "a watch ended");
        tasks.start("enrolment", async { None });
        assert_eq!(tasks.any_end().await.to_string(), "enrolment ended");
        tasks.start("a watch", async { Some(Error::Rewound) });
        assert!(matches!(tasks.any_end().await, Error::Rewound));
    }

    #[tokio::test]
    async fn one_part_is_waited_for_whatever_else_ends() {
        let mut tasks = Tasks::default();
        tasks.start("enrolment", async { None });
        let controller = tasks.start("the controller", async {
            tokio::task::yield_now().await;
            None
        });
        tasks.start("the HTTP server", pending());
        tasks.end_of(&controller).await;
        assert!(controller.is_finished());
    }
}
