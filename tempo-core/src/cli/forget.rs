//! `tempo forget`: giving up the spans of an ingester whose disk is gone.

use anyhow::{Result, ensure};
use tempo_block::log::{StreamChange, StreamLog, StreamState};
use ulid::Ulid;

use super::opened::StoreArguments;

/// Give up what a lost ingester had and made no blocks of, so that answers need not wait for it. Only when its disk is
/// gone for good: an ingester that starts again with its disk brings everything back by itself.
#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    #[command(flatten)]
    store: StoreArguments,
    /// The WAL stream, as the answer that lacks it names it.
    #[arg(value_name = "STREAM")]
    stream: Ulid,
}

impl Forget {
    pub(super) async fn run(self) -> Result<()> {
        let opened = self.store.open()?;
        let log = StreamLog::open(&opened.environment, &opened.store).await?;
        let epoch = self.stream;
        let snapshot = log.snapshot();
        let stream = snapshot.state.get(epoch);
        ensure!(
            stream.is_some_and(|stream| stream.state != StreamState::Lost),
            "stream {epoch} is not known, or nothing waits for it any more"
        );
        log.commit(StreamChange::Lost { epoch }).await?;
        println!("Stream {epoch} is given up: answers do not wait for its spans any more.");
        Ok(())
    }
}
