//! The seams together, as engine code carries them.

use std::future::Future;
use std::sync::Arc;

use ulid::Ulid;

use crate::clock::{Clock, SimulatedClock, SystemClock};
use crate::files::{FileSystem, LocalFiles};
use crate::memory_files::MemoryFiles;
use crate::random::{Random, SeededRandom, SystemRandom};
use crate::spawn::{CpuPool, SingleThreadSpawn, Spawn, TaskFailed, TokioSpawn};

/// The outside world as engine code sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Tasks.
    pub tasks: Arc<dyn Spawn>,
    /// Local files (the WAL); objects go through the object store.
    pub files: Arc<dyn FileSystem>,
    cpu: CpuPool,
}

impl Environment {
    /// The real world: system clock and RNG, tokio tasks, local files, one CPU place a core.
    pub fn system() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            tasks: Arc::new(TokioSpawn),
            files: Arc::new(LocalFiles),
            cpu: CpuPool::new(cores),
        }
    }

    /// A world that repeats exactly for the same `seed`; to be made in a single-threaded runtime with paused time.
    pub fn simulated(seed: u64, start_unix_nanos: u64) -> Self {
        Self {
            clock: Arc::new(SimulatedClock::starting_at(start_unix_nanos)),
            random: Arc::new(SeededRandom::new(seed)),
            tasks: Arc::new(SingleThreadSpawn),
            files: Arc::new(MemoryFiles::default()),
            cpu: CpuPool::new(1),
        }
    }

    /// The same world with other files, such as a disk that outlives a simulated crash.
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn FileSystem>) -> Self {
        self.files = files;
        self
    }

    /// Starts a named task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(name, Box::pin(task));
    }

    /// Runs `work` on the bounded CPU pool and waits for what it gives.
    pub async fn run_cpu<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TaskFailed> {
        let permit = self.cpu.acquire().await.ok_or(TaskFailed { name })?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.tasks.spawn_cpu(
            name,
            Box::new(move || {
                let _permit = permit;
                // A receiver that is gone was cancelled; nobody misses the answer.
                let _ = answer.send(work());
            }),
        );
        answered.await.map_err(|_| TaskFailed { name })
    }

    /// A new ULID from this clock and this randomness.
    pub fn new_ulid(&self) -> Ulid {
        let random = (u128::from(self.random.next_u64()) << 64) | u128::from(self.random.next_u64());
        Ulid::from_parts(self.clock.unix_nanos() / 1_000_000, random)
    }
}
