//! User stories against the built binaries, and the rules that hold across crates.

mod arrows;
mod backup;
mod bucket;
mod kills;
mod licences;
mod minio;
mod quickstart;
mod standalone;
mod stores;
mod telemetrygen;
