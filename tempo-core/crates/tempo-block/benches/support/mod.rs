//! What the benches share: requests to fill heads with, and CPU time as what is measured.
#![allow(dead_code, unused_imports, reason = "every bench uses a part")]

pub(crate) mod cpu;
mod wide;

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of another crate, of which the benches use a part"
)]
#[path = "../../../../src/load/shop.rs"]
mod shop;

use std::sync::Arc;

use prost::Message;
use tempo_block::head::{Head, HeadSettings, HeadSnapshot};

pub(crate) use wide::wide_requests;

pub(crate) const ARRIVAL: u64 = 1_700_000_000_000_000_000;

/// What was asked of the crate has failed: a bench ends here.
pub(crate) fn done<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Requests of about so many spans in all: of our own shop, or of the file that `TEMPO_BENCH_OTLP` names (as the load
/// generator makes them: a magic of 8 bytes, then records of a 24-byte header, whose first four are the payload's
/// length, and a request). The file may have fewer.
pub(crate) fn requests(spans: usize) -> Vec<Vec<u8>> {
    if let Some(path) = std::env::var_os("TEMPO_BENCH_OTLP") {
        let file = done("read the requests", std::fs::read(path));
        return records(file.get(8..).unwrap_or_default());
    }
    let mut shop = shop::Shop::new(1);
    let request = |number: u64| shop.request(50, ARRIVAL + number * 250_000_000).0.encode_to_vec();
    (0..spans as u64 / 500).map(request).collect()
}

fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<24>() {
        let [a, b, c, d, ..] = *header;
        let (payload, rest) = rest.split_at(u32::from_le_bytes([a, b, c, d]) as usize);
        records.push(payload.to_vec());
        file = rest;
    }
    records
}

/// A head of the first requests, up to about `spans` spans; and how many requests it took.
pub(crate) fn filled(requests: &[Vec<u8>], spans: usize) -> (Arc<HeadSnapshot>, usize) {
    let mut head = Head::new(HeadSettings::default());
    let mut taken = 0;
    while let Some(request) = requests.get(taken).filter(|_| head.spans() < spans) {
        done("append", head.append(request, ARRIVAL + taken as u64));
        taken += 1;
    }
    (head.snapshot(), taken)
}
