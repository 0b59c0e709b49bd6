//! Damaged files: an error that names the file, or the right answer; never a panic.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{ReadError, Reader};
use tempo_block::scan::{self, ScanError, Source, TimeRange};
use tempo_model::TenantId;
use tempo_model::proto::trace::ResourceSpans;
use tempo_traceql::ast::Scope;
use tempo_traceql::parse;
use tempo_traceql::search::{Matches, Search, SearchOptions, TraceMatch};
use tempo_traceql::tags::TagFilter;

use super::{Written, calls, head_of, run, trace_id};

/// Everything that can be asked of a small block.
#[derive(Debug, PartialEq)]
pub(super) struct Answers {
    traces: Vec<TraceMatch>,
    trace: Vec<ResourceSpans>,
    all: Vec<ResourceSpans>,
    names: usize,
}

pub(super) async fn ask(written: &Written) -> Result<Answers, ScanError> {
    // A reader of its own, so that nothing is cached.
    let reader = Reader::new(written.reader.environment.clone(), Arc::clone(&written.store));
    let block = reader.block(&TenantId::single(), Arc::clone(&written.meta), Arc::default())?;
    let source = Source::Block(Arc::clone(&block));
    let environment = &reader.environment;
    let options = SearchOptions::default();
    let query = parse("{ span.parity = `1` } >> { status = error } || { name = `call 3` }").unwrap();
    let search = Search::new(&query, options)?.into();
    let mut matches = Matches::new(options);
    scan::search(environment, &source, &search, TimeRange::ALL, &mut matches).await?;
    let names = scan::tag_names(
        environment,
        &source,
        &[Scope::Span],
        &TagFilter::all(),
        TimeRange::ALL,
    )
    .await?;
    let mut all = Vec::new();
    for group in block.row_groups().await? {
        all.extend(block.all_spans(group.number).await?);
    }
    Ok(Answers {
        traces: matches.into_traces(),
        trace: scan::trace(environment, &source, trace_id(3)).await?,
        all,
        names: names.len(),
    })
}

impl Written {
    async fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.store.put(path, PutPayload::from(bytes)).await.unwrap();
    }

    /// The files, with what is in them.
    pub(super) async fn files(&self) -> Vec<(Path, Vec<u8>)> {
        let mut files = Vec::new();
        for file in BlockFile::ALL {
            let path = file.path(&TenantId::single(), self.meta.id);
            let bytes = self.store.get(&path).await.unwrap().bytes().await.unwrap();
            files.push((path, bytes.to_vec()));
        }
        files
    }
}

/// The answers of a damaged block are right, or an error that names the file.
async fn check(written: &Written, path: &Path, right: &Answers, damage: &str) -> bool {
    match ask(written).await {
        Ok(answers) => {
            assert_eq!(answers, *right, "{damage} of {path}");
            false
        }
        Err(error) => {
            assert!(error.to_string().contains(path.as_ref()), "{damage}: {error}");
            true
        }
    }
}

#[test]
fn every_truncation_is_told() {
    run(async {
        let written = Written::of(&head_of(&[calls(10)]), 20).await;
        let right = ask(&written).await.unwrap();
        for (path, bytes) in written.files().await {
            let step = (bytes.len() / 150).max(1);
            for length in (0..bytes.len()).step_by(step) {
                written.put(&path, bytes[..length].to_vec()).await;
                assert!(
                    check(&written, &path, &right, &format!("{length} bytes")).await,
                    "{length} bytes of {path}"
                );
            }
            written.put(&path, bytes).await;
        }
        assert_eq!(ask(&written).await.unwrap(), right);
    });
}

#[test]
fn flipped_bits_are_told_or_do_not_matter() {
    run(async {
        let written = Written::of(&head_of(&[calls(10)]), 20).await;
        let right = ask(&written).await.unwrap();
        for (path, bytes) in written.files().await {
            let step = (bytes.len() / 200).max(1);
            let mut told = 0;
            for at in (0..bytes.len()).step_by(step) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                written.put(&path, damaged).await;
                told += usize::from(check(&written, &path, &right, &format!("bit {}", at * 8)).await);
            }
            assert!(told > 100, "{told} of {path}");
            written.put(&path, bytes).await;
        }
    });
}

/// Footers that have the checksum that the log says and are still nonsense.
#[test]
fn nonsense_with_a_right_checksum_is_told() {
    run(async {
        let mut written = Written::of(&head_of(&[calls(10)]), 20).await;
        let right = ask(&written).await.unwrap();
        let sound = Arc::clone(&written.meta);
        for (path, bytes) in written.files().await {
            if path.filename() == Some(BlockFile::Catalogue.name()) {
                continue;
            }
            let is_spans = path.filename() == Some(BlockFile::Spans.name());
            let file = if is_spans {
                sound.spans_file
            } else {
                sound.traces_file
            };
            let footer = file.footer_bytes as usize;
            let start = bytes.len() - footer;
            for at in (start..bytes.len()).step_by((footer / 400).max(1)) {
                let mut damaged = bytes.clone();
                damaged[at] = damaged[at].wrapping_add(1 + (at % 250) as u8);
                let mut meta = BlockMeta::clone(&sound);
                let file = if is_spans {
                    &mut meta.spans_file
                } else {
                    &mut meta.traces_file
                };
                file.crc32c = crc32c::crc32c(&damaged[start..]);
                written.meta = Arc::new(meta);
                written.put(&path, damaged).await;
                // Statistics and times may say what is wrong and still be readable.
                match ask(&written).await {
                    Ok(_) => {}
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            written.meta = Arc::clone(&sound);
            written.put(&path, bytes).await;
        }
        assert_eq!(ask(&written).await.unwrap(), right);
    });
}

#[test]
fn a_file_that_is_gone_is_told_from_a_damaged_one() {
    run(async {
        for file in BlockFile::ALL {
            let written = Written::of(&head_of(&[calls(10)]), 20).await;
            let path = file.path(&TenantId::single(), written.meta.id);
            written.store.delete(&path).await.unwrap();
            let error = ask(&written).await.unwrap_err();
            let ScanError::Read(error) = error else {
                panic!("{error}")
            };
            assert!(error.is_gone(), "{error}");
            assert!(error.to_string().contains(path.as_ref()));
        }
    });
}

#[test]
fn a_block_of_a_later_format_is_refused() {
    run(async {
        let written = Written::of(&head_of(&[calls(1)]), 20).await;
        let mut meta = BlockMeta::clone(&written.meta);
        meta.format = 9;
        let refused = written
            .reader
            .block(&TenantId::single(), Arc::new(meta), Arc::default());
        assert!(matches!(refused, Err(ReadError::Format { found: 9, .. })));
    });
}
