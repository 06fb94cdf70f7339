//! The API over real listeners, on an engine with a folder of its own.

mod access;
mod blobs;
mod openapi;
mod problems;
mod server;
mod serving;
mod traversal;
mod usage;
