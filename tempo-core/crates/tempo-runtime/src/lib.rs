//! What every process of tempo-rs stands on: the seams through which it touches the outside world (clock,
//! randomness, task spawning, files), orderly shutdown, logs, metrics, TLS and servers.
//!
//! Engine code takes an [`Environment`] and never calls the system's clock, RNG, spawner or file system directly;
//! with [`Environment::simulated`] the whole engine runs on one thread under a simulated clock.
//!
//! Not here: anything that knows what a span, a block or a tenant is.

mod clock;
mod environment;
mod files;
pub mod membership;
mod memory_files;
pub mod metrics;
mod random;
pub mod ring;
pub mod server;
mod shutdown;
mod spawn;
pub mod telemetry;
pub mod tls;

pub use clock::{Clock, SimulatedClock, SystemClock};
pub use environment::Environment;
pub use files::{File, FileLock, FileSystem, LocalFiles};
pub use memory_files::MemoryFiles;
pub use random::{Random, SeededRandom, SystemRandom};
pub use shutdown::Shutdown;
pub use spawn::{BoxFuture, CpuPool, CpuWork, SingleThreadSpawn, Spawn, TaskFailed, TokioSpawn};
