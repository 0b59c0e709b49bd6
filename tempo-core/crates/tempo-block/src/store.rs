//! The object store that blocks and logs lie in: a local folder, S3, Google Cloud Storage, Azure, or memory.
//!
//! [`open`] makes a store from [`Settings`], [`probe()`] shows at start that it can be worked with; [`StoreError`] says
//! what to do when not. What cuts across is a decorator in its own file: `metered` counts, `uploads` clears up, `faulty` fails on purpose.
//!
//! Not here: what the objects are (`layout`, `log`, the block format) and caches.

mod client;
mod cloud;
mod error;
pub mod faulty;
pub mod metered;
mod probe;
mod settings;
mod uploads;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use tempo_model::TenantId;

use crate::layout;

pub use error::{Problem, StoreError};
pub use probe::probe;
pub use settings::{
    AzureSettings, GcsSettings, RequestLimits, S3Credentials, S3Settings, Settings, TlsSettings,
};
pub use uploads::TidyUploads;

/// A store that any part may hold.
pub type Store = Arc<dyn ObjectStore>;

/// Makes the store. Nothing is sent yet: [`probe()`] is the first to talk to it.
pub fn open(settings: &Settings) -> Result<Store, StoreError> {
    match settings {
        Settings::Memory => Ok(Arc::new(InMemory::new())),
        Settings::Local { folder } => local(folder),
        Settings::S3(s3) => Ok(below(&s3.prefix, cloud::s3(s3)?)),
        Settings::Gcs(gcs) => Ok(below(&gcs.prefix, cloud::gcs(gcs)?)),
        Settings::Azure(azure) => Ok(below(&azure.prefix, cloud::azure(azure)?)),
    }
}

/// A folder whose files and folder entries are synced before a write is answered, and whose conditional create is exact
/// (a hard link from a staged file), so that several processes of one machine can share it.
fn local(folder: &std::path::Path) -> Result<Store, StoreError> {
    std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|source| StoreError::explain("open", &folder.display(), source))?;
    Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
}

/// The tenants that have a folder in the store, in no particular order.
pub async fn tenants(store: &Store) -> Result<Vec<TenantId>, StoreError> {
    let listed = store.list_with_delimiter(None).await;
    let listed = listed.map_err(|source| StoreError::explain("list", store, source))?;
    let folders = listed.common_prefixes.iter();
    Ok(folders
        .filter_map(|folder| layout::tenant_of_folder(folder.filename()?))
        .collect())
}

fn below<S: ObjectStore>(prefix: &str, store: S) -> Store {
    if prefix.trim_matches('/').is_empty() {
        Arc::new(store)
    } else {
        Arc::new(PrefixStore::new(store, Path::from(prefix)))
    }
}
