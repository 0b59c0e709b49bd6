//! The spawning seam: named tasks, and CPU work apart from the async threads.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// A boxed future, the form in which tasks cross the seam.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A piece of CPU work, the form in which it crosses the seam.
pub type CpuWork = Box<dyn FnOnce() + Send + 'static>;

/// Starts tasks. Every task has a name, which appears in logs when it panics.
pub trait Spawn: Debug + Send + Sync + 'static {
    /// Starts `task`; it ends by itself (tasks watch their `Shutdown`).
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Runs `work` (compression, file writes, query evaluation) where it does not hold up async tasks.
    fn spawn_cpu(&self, name: &'static str, work: CpuWork);
}

/// A task that was started and did not give its answer, because it panicked or the process is ending.
#[derive(Debug, Clone, thiserror::Error)]
#[error("task {name} ended without an answer")]
pub struct TaskFailed {
    /// The name that the task was started with.
    pub name: &'static str,
}

/// How many pieces of CPU work run at once.
#[derive(Debug, Clone)]
pub struct CpuPool(std::sync::Arc<tokio::sync::Semaphore>);

impl CpuPool {
    /// A pool of `size` places (at least one).
    pub fn new(size: usize) -> Self {
        Self(std::sync::Arc::new(tokio::sync::Semaphore::new(size.max(1))))
    }

    pub(crate) async fn acquire(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        std::sync::Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

/// Tasks on the surrounding tokio runtime, CPU work on its blocking threads.
#[derive(Debug, Default, Clone, Copy)]
pub struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        let running = tokio::spawn(task);
        tokio::spawn(async move {
            if running.await.is_err_and(|error| error.is_panic()) {
                tracing::error!(task = name, "task panicked");
            }
        });
    }

    fn spawn_cpu(&self, _name: &'static str, work: CpuWork) {
        tokio::task::spawn_blocking(work);
    }
}

/// Everything on the calling thread: CPU work runs inside a task of the single-threaded runtime.
#[derive(Debug, Default, Clone, Copy)]
pub struct SingleThreadSpawn;

impl Spawn for SingleThreadSpawn {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn spawn_cpu(&self, _name: &'static str, work: CpuWork) {
        tokio::spawn(async move { work() });
    }
}
