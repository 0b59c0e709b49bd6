//! A store in memory that keeps a journal of what is asked of it and fails as a test says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use parking_lot::Mutex;
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::Operation;
use tempo_block::store::{self, Settings, Store};
use tempo_runtime::Environment;
use tokio::sync::Notify;

/// What becomes of requests that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// They fail and have no effect.
    Refused,
    /// They have their effect and their answer is lost.
    AnswerLost,
    /// They never have an effect nor an answer.
    HangsBefore,
    /// They have their effect and never an answer.
    HangsAfter,
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    /// What the path contains.
    path: &'static str,
    trouble: Trouble,
    /// How often it still applies.
    times: usize,
}

/// The troubles to come and the journal.
#[derive(Debug)]
pub(super) struct Script {
    environment: Environment,
    /// The longest that a request or its answer is on its way.
    latency: Mutex<Duration>,
    rules: Mutex<Vec<Rule>>,
    /// Requests that have had their effect and never get an answer.
    stuck: Mutex<Vec<Path>>,
    journal: Mutex<Vec<String>>,
    hung: Notify,
}

impl Script {
    /// A store without troubles.
    pub(super) fn store(environment: Environment) -> (Arc<Self>, Store) {
        let script = Arc::new(Self {
            environment,
            latency: Mutex::default(),
            rules: Mutex::default(),
            stuck: Mutex::default(),
            journal: Mutex::default(),
            hung: Notify::new(),
        });
        let inner = store::open(&Settings::Memory).unwrap();
        let store = Arc::new(Faulty::new(inner, Arc::clone(&script) as _));
        (script, store)
    }

    /// The next `times` requests of a kind whose path contains `path` are in trouble.
    pub(super) fn next(&self, times: usize, operation: Operation, path: &'static str, trouble: Trouble) {
        self.rules.lock().push(Rule {
            operation,
            path,
            trouble,
            times,
        });
    }

    /// From here on requests and answers take up to `most` each.
    pub(super) fn slow_down(&self, most: Duration) {
        *self.latency.lock() = most;
    }

    async fn travel(&self) {
        let most = self.latency.lock().as_micros() as u64;
        if most > 0 {
            let took = Duration::from_micros(self.environment.random.next_u64() % most);
            self.environment.clock.sleep(took).await;
        }
    }

    /// Nothing works until [`Script::heal`].
    pub(super) fn break_down(&self) {
        for operation in Operation::ALL {
            self.next(usize::MAX, operation, "", Trouble::Refused);
        }
    }

    /// Everything works again.
    pub(super) fn heal(&self) {
        self.rules.lock().clear();
    }

    /// Completes when a request hangs.
    pub(super) async fn hung(&self) {
        self.hung.notified().await;
    }

    /// Writes down that something happens now.
    pub(super) fn note(&self, what: String) {
        let now = self.environment.clock.since_boot().as_micros();
        self.journal.lock().push(format!("{now} {what}"));
    }

    /// Every request so far with its time, and what else was noted.
    pub(super) fn journal(&self) -> Vec<String> {
        self.journal.lock().clone()
    }

    fn trouble(&self, operation: Operation, path: &Path) -> Option<Trouble> {
        let mut rules = self.rules.lock();
        let rule = rules.iter_mut().find(|rule| {
            rule.times > 0 && rule.operation == operation && path.as_ref().contains(rule.path)
        })?;
        rule.times -= 1;
        Some(rule.trouble)
    }
}

#[async_trait]
impl Faults for Script {
    async fn before(&self, operation: Operation, path: &Path) -> Fault {
        self.travel().await;
        self.note(format!("{} {path}", operation.name()));
        match self.trouble(operation, path) {
            None => Fault::None,
            Some(Trouble::Refused) => Fault::Refused,
            Some(Trouble::AnswerLost) => Fault::AnswerLost,
            Some(Trouble::HangsBefore) => {
                self.hung.notify_one();
                std::future::pending().await
            }
            Some(Trouble::HangsAfter) => {
                self.stuck.lock().push(path.clone());
                Fault::None
            }
        }
    }

    async fn after(&self, _operation: Operation, path: &Path) {
        let is_stuck = {
            let mut stuck = self.stuck.lock();
            let before = stuck.len();
            stuck.retain(|other| other != path);
            stuck.len() < before
        };
        if is_stuck {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
        self.travel().await;
    }
}
