//! Where programs are: beside this one, then on PATH.

use std::path::PathBuf;

/// Folders with programs, in the order in which they are looked through.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    folders: Vec<PathBuf>,
}

impl Programs {
    /// The folder of this program, then those of PATH.
    pub(super) fn of_this_process() -> Self {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.to_owned()));
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            folders: beside.into_iter().chain(std::env::split_paths(&path)).collect(),
        }
    }

    /// These folders alone.
    #[cfg(test)]
    pub(super) fn of(folders: &[&std::path::Path]) -> Self {
        Self {
            folders: folders.iter().map(|folder| (*folder).to_owned()).collect(),
        }
    }

    /// The path of a program.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let mut paths = self.folders.iter().map(|folder| folder.join(name));
        paths.find(|path| path.is_file())
    }

    /// The first folder, for messages.
    pub(super) fn beside(&self) -> String {
        let first = self.folders.first();
        first.map_or_else(String::new, |folder| folder.display().to_string())
    }
}
