//! Memory permits: nobody reads before there is room for what is read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: u64 = 1024;

/// The memory that reading may take, over all queries of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    units: Arc<Semaphore>,
    all: u32,
}

/// Room for what is about to be read, until it is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    /// `None` when the budget was closed, which it never is.
    _units: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// A budget of so many bytes, at least 1 MB.
    pub fn new(bytes: u64) -> Self {
        let units = (bytes / UNIT).clamp(UNIT, u64::from(u32::MAX >> 3));
        Self {
            units: Arc::new(Semaphore::new(units as usize)),
            all: units as u32,
        }
    }

    /// Waits until there is room. Who asks for more than all there is gets all there is, alone. A holder must not ask
    /// again before it has let go, or it might wait for itself.
    pub async fn acquire(&self, bytes: u64) -> MemoryPermit {
        let units = bytes.div_ceil(UNIT).min(u64::from(self.all)) as u32;
        MemoryPermit {
            _units: self.units.clone().acquire_many_owned(units).await.ok(),
        }
    }
}

impl Default for MemoryBudget {
    /// 128 MB.
    fn default() -> Self {
        Self::new(128 << 20)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_waits() {
        let budget = MemoryBudget::new(4 << 20);
        let most = budget.acquire(3 << 20).await;
        let mut waiting = Box::pin(budget.acquire(2 << 20));
        assert!((&mut waiting).now_or_never().is_none());
        drop(most);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test]
    async fn more_than_all_is_all() {
        let budget = MemoryBudget::new(1 << 20);
        let all = budget.acquire(u64::MAX).await;
        assert!(budget.acquire(1).now_or_never().is_none());
        drop(all);
    }
}
