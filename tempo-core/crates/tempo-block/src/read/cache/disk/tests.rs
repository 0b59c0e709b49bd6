use tempo_runtime::{FileSystem, MemoryFiles};

use super::*;

const FOLDER: &str = "/cache";

fn key(start: u64, length: u64) -> DiskKey {
    DiskKey {
        block: Ulid::from(7_u128),
        file: BlockFile::Spans,
        start,
        length,
    }
}

fn piece(start: u64, length: u64) -> (DiskKey, Bytes) {
    (key(start, length), vec![start as u8; length as usize].into())
}

struct World {
    files: MemoryFiles,
    cache: Arc<DiskCache>,
}

impl World {
    async fn open(files: &MemoryFiles, max_bytes: u64) -> Self {
        let environment = Environment::simulated(1, 0).with_files(Arc::new(files.clone()));
        let settings = DiskCacheSettings {
            folder: FOLDER.into(),
            max_bytes,
        };
        Self {
            files: files.clone(),
            cache: DiskCache::open(&environment, settings).await.unwrap(),
        }
    }

    async fn keep(&self, pieces: Vec<(DiskKey, Bytes)>) {
        self.cache.keep(pieces);
        let all = self.cache.waiting.acquire_many(MAX_WAITING_KB as u32).await;
        drop(all.unwrap());
    }

    async fn get(&self, (key, bytes): &(DiskKey, Bytes)) -> Option<Bytes> {
        let wanted = vec![(*key, crc32c::crc32c(bytes))];
        self.cache.get(wanted).await.pop().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let paths = self.files.list(Path::new(FOLDER)).unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        paths.iter().map(name).collect()
    }
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let files = MemoryFiles::default();
    let world = World::open(&files, 1 << 20).await;
    let kept = piece(4, 100);
    assert_eq!(world.get(&kept).await, None);
    world.keep(vec![kept.clone()]).await;
    assert_eq!(world.get(&kept).await, Some(kept.1.clone()));
    let again = World::open(&files, 1 << 20).await;
    assert_eq!(again.get(&kept).await, Some(kept.1.clone()));
    assert_eq!(again.get(&piece(5, 100)).await, None);
    assert_eq!(again.cache.bytes(), DISK_PAGE);
}

#[tokio::test]
async fn what_was_used_last_stays() {
    let world = World::open(&MemoryFiles::default(), 3 * DISK_PAGE).await;
    let pieces: Vec<_> = (0..4).map(|number| piece(number, 10)).collect();
    world.keep(pieces[..3].to_vec()).await;
    assert!(world.get(&pieces[0]).await.is_some());
    world.keep(pieces[3..].to_vec()).await;
    let is_there = [
        world.get(&pieces[0]).await.is_some(),
        world.get(&pieces[1]).await.is_some(),
        world.get(&pieces[2]).await.is_some(),
        world.get(&pieces[3]).await.is_some(),
    ];
    assert_eq!(is_there, [true, false, true, true]);
    assert_eq!((world.cache.bytes(), world.names().len()), (3 * DISK_PAGE, 3));
    // A larger one takes the place of several, one that is larger than all is not kept.
    world.keep(vec![piece(9, 2 * DISK_PAGE)]).await;
    assert_eq!((world.cache.bytes(), world.names().len()), (3 * DISK_PAGE, 2));
    world.keep(vec![piece(10, 3 * DISK_PAGE + 1)]).await;
    assert_eq!(world.names().len(), 2);
}

#[tokio::test]
async fn a_smaller_limit_takes_effect_at_the_next_start() {
    let files = MemoryFiles::default();
    let world = World::open(&files, 1 << 20).await;
    world
        .keep((0..10).map(|number| piece(number, 10)).collect())
        .await;
    let again = World::open(&files, 2 * DISK_PAGE).await;
    assert_eq!((again.cache.bytes(), again.names().len()), (2 * DISK_PAGE, 2));
}

#[tokio::test]
async fn a_damaged_entry_is_a_miss_and_goes() {
    for damage in [b"\0".as_slice(), b""] {
        let files = MemoryFiles::default();
        let world = World::open(&files, 1 << 20).await;
        let kept = piece(4, 100);
        world.keep(vec![kept.clone()]).await;
        let path = world.cache.path(&kept.0);
        let mut file = files.open_append(&path).unwrap();
        file.truncate(99).unwrap();
        file.append(damage).unwrap();
        assert_eq!(world.get(&kept).await, None);
        assert_eq!(
            (world.cache.bytes(), world.names()),
            (0, Vec::<String>::new()),
            "it is gone"
        );
        world.keep(vec![kept.clone()]).await;
        assert_eq!(world.get(&kept).await, Some(kept.1), "and may come again");
    }
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_and_is_no_error() {
    let files = MemoryFiles::default();
    let world = World::open(&files, 1 << 20).await;
    files.limit_free_space(Some(150));
    let (first, second) = (piece(1, 100), piece(2, 100));
    world.keep(vec![first.clone(), second.clone()]).await;
    assert!(world.get(&first).await.is_some());
    assert_eq!(world.get(&second).await, None);
    assert_eq!((world.cache.bytes(), world.names().len()), (DISK_PAGE, 1));
    files.limit_free_space(None);
    world.keep(vec![second.clone()]).await;
    assert!(world.get(&second).await.is_some());
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let files = MemoryFiles::default();
    let unfinished = format!("{}{PARTIAL}", key(1, 2).file_name());
    for name in ["notes.txt", "a-b-c-d", &unfinished] {
        let path = Path::new(FOLDER).join(name);
        files.open_append(&path).unwrap().append(b"x").unwrap();
    }
    let world = World::open(&files, 0).await;
    assert_eq!(world.names(), ["a-b-c-d", "notes.txt"]);
    assert_eq!(world.cache.bytes(), 0);
}

#[tokio::test]
async fn what_comes_too_fast_is_not_kept() {
    let world = World::open(&MemoryFiles::default(), 1 << 30).await;
    let large = (MAX_WAITING_KB as u64 + 1) << 10;
    world.keep(vec![piece(1, large)]).await;
    assert_eq!(world.names(), Vec::<String>::new());
}

#[test]
fn a_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskCacheSettings {
        folder: folder.path().join("new/cache"),
        max_bytes: 1 << 20,
    };
    let open = || DiskCache::open_now(Environment::system(), settings.clone());
    let first = open().unwrap();
    assert_eq!(open().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    open().unwrap();
}
