//! The store through its public face: real HTTP, the AWS SDK for what clients do, hand-made
//! requests for what they mustn't.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "tests stop at what they didn't expect, and may be slow"
)]

mod check;
mod conditions;
mod copies;
mod crowds;
mod digests;
mod durable;
mod errors;
mod form;
mod forms;
mod hostile;
mod hosting;
mod keys;
mod lifecycle;
mod limits;
mod lists;
mod multipart;
mod names;
mod objects;
mod operations;
mod order;
mod parts;
mod signer;
mod smuggling;
mod support;
mod table;
mod tampered;
mod unsupported;
