//! Whole blocks with damage anywhere: readers and compactions give what was written, or an error that names the file; they
//! never panic, and never give other spans. `make fuzz` runs many more cases.

use std::sync::{Arc, LazyLock};

use object_store::ObjectStoreExt;
use proptest::prelude::*;
use tempo_block::compact::{self, CompactError, Job, Method, Options};
use tempo_block::layout::BlockFile;
use tempo_block::meta::{BlockMeta, FileMeta};
use tempo_block::read::Reader;
use tempo_block::store::{Settings, open};
use tempo_model::TenantId;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_runtime::Environment;
use ulid::Ulid;

use super::damage::{Answers, ask};
use super::{Written, calls, head_of, run};
use crate::edits::edited;
use crate::write::requests::comparable;

/// A block of several row groups, its files, and what it answers.
struct Sound {
    meta: Arc<BlockMeta>,
    files: Vec<Vec<u8>>,
    answers: Answers,
    spans: Vec<Vec<u8>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    run(async {
        let written = Written::of(&head_of(&[calls(10)]), 20).await;
        Sound {
            meta: Arc::clone(&written.meta),
            files: written
                .files()
                .await
                .into_iter()
                .map(|(_, bytes)| bytes)
                .collect(),
            answers: ask(&written).await.unwrap(),
            spans: spans(&written).await,
        }
    })
});

/// The sound block in a store of its own, with another content of one file.
async fn with_file(place: usize, content: &[u8]) -> Written {
    let store = open(&Settings::Memory).unwrap();
    for (number, (file, sound)) in BlockFile::ALL.into_iter().zip(&SOUND.files).enumerate() {
        let bytes = if number == place { content } else { sound };
        let path = file.path(&TenantId::single(), SOUND.meta.id);
        store.put(&path, bytes.to_vec().into()).await.unwrap();
    }
    Written {
        reader: Reader::new(Environment::simulated(1, 0), Arc::clone(&store)),
        statistics: Arc::default(),
        meta: Arc::clone(&SOUND.meta),
        store,
    }
}

/// A file of the block, and what became of it.
fn damaged_file() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let edited = |place: usize| edited(vec![SOUND.files[place].clone()]).prop_map(move |file| (place, file));
    prop_oneof![edited(0), edited(1), edited(2)]
}

/// All spans of a block.
async fn spans(written: &Written) -> Vec<Vec<u8>> {
    let block = written.block();
    let mut resource_spans = Vec::new();
    for group in block.row_groups().await.unwrap() {
        resource_spans.extend(block.all_spans(group.number).await.unwrap());
    }
    comparable(&ExportTraceServiceRequest { resource_spans })
}

async fn compacted(written: &Written, method: Method) -> Result<Written, CompactError> {
    let job = Job {
        method,
        inputs: vec![Arc::clone(&written.meta)],
    };
    let id = Ulid::from(99_u128);
    let meta = compact::run(
        &written.reader,
        &TenantId::single(),
        &job,
        id,
        &Options::default(),
    )
    .await?;
    Ok(Written {
        meta: meta.unwrap(),
        store: Arc::clone(&written.store),
        reader: written.reader.clone(),
        statistics: Arc::default(),
    })
}

proptest! {
    #[test]
    fn fuzz_block((place, content) in damaged_file()) {
        let is_sound = content == SOUND.files[place];
        let answers = run(async { ask(&with_file(place, &content).await).await });
        match answers {
            Ok(answers) => prop_assert_eq!(&answers, &SOUND.answers, "other spans than were written"),
            Err(error) => {
                let name = BlockFile::ALL[place].name();
                prop_assert!(!is_sound && error.to_string().contains(name), "{}", error);
            }
        }
    }

    /// What is made of a damaged block has all spans that it had, or is not made.
    #[test]
    fn fuzz_block_compacted((place, content) in damaged_file(), merge in any::<bool>()) {
        let is_sound = content == SOUND.files[place];
        let method = if merge { Method::Merge } else { Method::Copy };
        run(async {
            match compacted(&with_file(place, &content).await, method).await {
                Ok(output) => assert_eq!(spans(&output).await, SOUND.spans),
                Err(error) => assert!(!is_sound && !error.to_string().is_empty(), "{error}"),
            }
        });
    }

    /// Metadata that has the checksum that the log says, and is nonsense: nobody panics.
    #[test]
    fn fuzz_block_footer(end in (0..3_usize).prop_flat_map(|place| {
        let end = end_of(place);
        edited(vec![end]).prop_map(move |end| (place, end))
    })) {
        let (place, end) = end;
        let sound = &SOUND.files[place];
        let mut content = sound[..sound.len() - end_of(place).len()].to_vec();
        content.extend_from_slice(&end);
        let mut meta = BlockMeta::clone(&SOUND.meta);
        let file = file_meta(&mut meta, place);
        file.bytes = content.len() as u64;
        file.crc32c = crc32c::crc32c(&end);
        if file.footer_bytes > 0 {
            file.footer_bytes = end.len() as u64;
        }
        run(async {
            let written = Written { meta: Arc::new(meta), ..with_file(place, &content).await };
            if let Err(error) = ask(&written).await {
                assert!(!error.to_string().is_empty());
            }
        });
    }
}

fn file_meta(meta: &mut BlockMeta, place: usize) -> &mut FileMeta {
    match BlockFile::ALL[place] {
        BlockFile::Spans => &mut meta.spans_file,
        BlockFile::Traces => &mut meta.traces_file,
        BlockFile::Catalogue => &mut meta.catalogue_file,
    }
}

/// The bytes of a file that the log has a checksum of.
fn end_of(place: usize) -> Vec<u8> {
    let mut meta = BlockMeta::clone(&SOUND.meta);
    let (content, file) = (&SOUND.files[place], file_meta(&mut meta, place));
    let length = if file.footer_bytes == 0 {
        file.bytes
    } else {
        file.footer_bytes
    };
    content[content.len() - length as usize..].to_vec()
}
