//! The store that a tool works on: the one of a configuration file, or a folder.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tempo_block::read::Reader;
use tempo_block::store::{self, Settings, Store, TidyUploads};
use tempo_config::{Arguments, Config};
use tempo_model::TenantId;
use tempo_runtime::Environment;

use crate::app::store::settings;

/// Where blocks and logs lie.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct StoreArguments {
    /// The engine's configuration; ${NAME} in it is replaced by environment variables.
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// A local folder in place of the store of a configuration: its storage.trace.local.path.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A store that a tool works on.
pub(super) struct Opened {
    pub(super) environment: Environment,
    pub(super) store: Store,
    /// Where its objects lie, as other programs name it: a folder or a URL.
    pub(super) root: String,
    pub(super) reader: Reader,
}

impl StoreArguments {
    pub(super) fn open(&self) -> Result<Opened> {
        let settings = match &self.folder {
            Some(folder) => {
                // A folder that is made now has nothing to be looked at.
                std::fs::metadata(folder).with_context(|| format!("look into {}", folder.display()))?;
                Settings::Local {
                    folder: folder.clone(),
                }
            }
            None => settings(&self.config()?.storage.trace),
        };
        let environment = Environment::system();
        let store: Store = Arc::new(TidyUploads::new(environment.clone(), store::open(&settings)?));
        let root = root(&settings);
        Ok(Opened {
            reader: Reader::new(environment.clone(), Store::clone(&store)),
            environment,
            store,
            root,
        })
    }

    fn config(&self) -> Result<Config> {
        let arguments = Arguments {
            config_file: self.config.clone(),
            expand_environment: true,
            ..Arguments::default()
        };
        Ok(super::engine::load(&arguments)?.config)
    }
}

/// A folder or a URL, as other programs name it.
fn root(settings: &Settings) -> String {
    let (scheme, bucket, prefix) = match settings {
        Settings::Memory => return String::new(),
        Settings::Local { folder } => return folder.display().to_string(),
        Settings::S3(settings) => ("s3", &settings.bucket, &settings.prefix),
        Settings::Gcs(settings) => ("gs", &settings.bucket, &settings.prefix),
        Settings::Azure(settings) => ("az", &settings.container, &settings.prefix),
    };
    let root = format!("{scheme}://{bucket}/{prefix}");
    root.trim_end_matches('/').to_owned()
}

impl Opened {
    /// The tenant that was named, or all of them in the order of their names.
    pub(super) async fn tenants(&self, named: Option<&TenantId>) -> Result<Vec<TenantId>> {
        if let Some(tenant) = named {
            return Ok(vec![tenant.clone()]);
        }
        let mut tenants = store::tenants(&self.store).await?;
        tenants.sort();
        Ok(tenants)
    }
}
