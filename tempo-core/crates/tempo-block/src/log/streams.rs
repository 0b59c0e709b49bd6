//! The fold of the stack-wide log: which WAL streams exist, where their copies are, and which are over. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tempo_model::TenantId;
use ulid::Ulid;

use super::Fold;

/// A disk that holds a copy of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The disk's ULID (`Wal::replica`).
    pub disk: Ulid,
    /// Where the process that uses it was last seen: `host:port`.
    pub address: String,
}

/// What one entry says of a stream. The stream is named by its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum StreamChange {
    /// It exists from here on; nothing of it is acknowledged before.
    Open {
        /// The epoch.
        epoch: Ulid,
        /// Who keeps it, the primary first.
        replicas: Vec<Replica>,
    },
    /// Nothing is added any more.
    Close {
        /// The epoch.
        epoch: Ulid,
        /// How many records each tenant has; a tenant that is not named has none.
        ends: BTreeMap<String, u64>,
    },
    /// Every copy is gone: what is not stored by now is lost, and answers need not wait for it.
    Lost {
        /// The epoch.
        epoch: Ulid,
    },
    /// All of its records are stored: it is forgotten.
    Finish {
        /// The epoch.
        epoch: Ulid,
    },
}

impl StreamChange {
    fn epoch(&self) -> Ulid {
        match self {
            Self::Open { epoch, .. }
            | Self::Close { epoch, .. }
            | Self::Lost { epoch }
            | Self::Finish { epoch } => *epoch,
        }
    }

    /// A close of a stream that ended with these numbers of records.
    pub fn close(epoch: Ulid, ends: impl IntoIterator<Item = (TenantId, u64)>) -> Self {
        let ends = ends
            .into_iter()
            .map(|(tenant, end)| (tenant.to_string(), end))
            .collect();
        Self::Close { epoch, ends }
    }
}

/// How far a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum StreamState {
    /// Its primary may append.
    Open,
    /// It ended with these numbers of records by tenant.
    Closed {
        /// How many records each tenant has.
        ends: BTreeMap<String, u64>,
    },
    /// Its copies are gone.
    Lost,
}

/// A stream that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Who keeps it, the primary first.
    pub replicas: Vec<Replica>,
    /// How far it is.
    #[serde(flatten)]
    pub state: StreamState,
}

/// Why a change cannot follow what the log says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamRefusal {
    /// An epoch is opened once.
    #[error("stream {0} was opened before")]
    OpenedBefore(Ulid),
    /// Nothing is known of it, or it is finished.
    #[error("stream {0} is not known")]
    Unknown(Ulid),
    /// It cannot do this step from where it is.
    #[error("stream {0} is past that step")]
    Past(Ulid),
}

/// What the stack-wide log says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Streams {
    streams: BTreeMap<Ulid, Stream>,
    finished: BTreeMap<Ulid, u64>,
}

impl Streams {
    /// The streams of which records may be somewhere else than in blocks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (Ulid, &Stream)> {
        self.streams.iter().map(|(epoch, stream)| (*epoch, stream))
    }

    /// A stream that is not finished.
    pub fn get(&self, epoch: Ulid) -> Option<&Stream> {
        self.streams.get(&epoch)
    }
}

impl Fold for Streams {
    type Change = StreamChange;
    type Refusal = StreamRefusal;

    fn check(&self, change: &StreamChange) -> Result<(), StreamRefusal> {
        let epoch = change.epoch();
        let known = self.get(epoch).map(|stream| &stream.state);
        match (change, known) {
            (StreamChange::Open { .. }, None) if !self.finished.contains_key(&epoch) => Ok(()),
            (StreamChange::Open { .. }, _) => Err(StreamRefusal::OpenedBefore(epoch)),
            (_, None) => Err(StreamRefusal::Unknown(epoch)),
            (StreamChange::Close { .. }, Some(StreamState::Open))
            | (StreamChange::Lost { .. }, Some(StreamState::Open | StreamState::Closed { .. }))
            | (StreamChange::Finish { .. }, Some(StreamState::Closed { .. } | StreamState::Lost)) => Ok(()),
            (_, Some(_)) => Err(StreamRefusal::Past(epoch)),
        }
    }

    fn apply(&mut self, position: u64, change: &StreamChange) {
        match change {
            StreamChange::Open { epoch, replicas } => {
                let stream = Stream {
                    replicas: replicas.clone(),
                    state: StreamState::Open,
                };
                self.streams.insert(*epoch, stream);
            }
            StreamChange::Close { epoch, ends } => {
                self.set(*epoch, StreamState::Closed { ends: ends.clone() });
            }
            StreamChange::Lost { epoch } => self.set(*epoch, StreamState::Lost),
            StreamChange::Finish { epoch } => {
                self.streams.remove(epoch);
                self.finished.insert(*epoch, position);
            }
        }
    }

    fn holds(&self, change: &StreamChange) -> bool {
        let epoch = change.epoch();
        let finished = self.finished.contains_key(&epoch);
        match (change, self.get(epoch).map(|stream| &stream.state)) {
            (StreamChange::Close { ends, .. }, Some(StreamState::Closed { ends: known })) => ends == known,
            (StreamChange::Open { .. }, Some(_)) | (StreamChange::Lost { .. }, Some(StreamState::Lost)) => {
                true
            }
            _ => finished,
        }
    }

    fn forget(&mut self, horizon: u64) {
        self.finished.retain(|_, position| *position > horizon);
    }
}

impl Streams {
    fn set(&mut self, epoch: Ulid, state: StreamState) {
        if let Some(stream) = self.streams.get_mut(&epoch) {
            stream.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_opens_once_closes_once_and_is_finished() {
        let epoch = Ulid(5);
        let open = StreamChange::Open {
            epoch,
            replicas: Vec::new(),
        };
        let close = StreamChange::close(epoch, [(TenantId::single(), 7)]);
        let finish = StreamChange::Finish { epoch };
        let mut streams = Streams::default();
        assert_eq!(streams.check(&close), Err(StreamRefusal::Unknown(epoch)));
        for (position, change) in [&open, &close, &finish].into_iter().enumerate() {
            streams.check(change).unwrap();
            assert!(!streams.holds(change));
            streams.apply(position as u64 + 1, change);
            assert!(streams.holds(change));
            assert!(streams.check(change).is_err(), "{change:?} was taken twice");
        }
        assert_eq!(streams.iter().count(), 0);
        let json = serde_json::to_string(&close).unwrap();
        assert_eq!(serde_json::from_str::<StreamChange>(&json).unwrap(), close);
    }
}
