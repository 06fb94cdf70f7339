//! `endpoint.json`: where a running daemon can be reached. It is there from the moment that the daemon answers until it stops.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

const FILE: &str = "endpoint.json";

#[derive(Serialize)]
struct Endpoint<'a> {
    pid: u32,
    socket: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<SocketAddr>,
}

/// The file; dropping it removes it.
pub(super) struct EndpointFile(PathBuf);

impl EndpointFile {
    /// Writes the file into the data folder, whole or not at all.
    pub(super) fn write(data: &Path, socket: &Path, tcp: Option<SocketAddr>) -> io::Result<Self> {
        let endpoint = Endpoint {
            pid: std::process::id(),
            socket,
            tcp,
        };
        let path = data.join(FILE);
        let beside = data.join("endpoint.json.new");
        fs::write(&beside, serde_json::to_vec(&endpoint)?)?;
        fs::rename(&beside, &path)?;
        Ok(Self(path))
    }
}

impl Drop for EndpointFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("cannot remove `{}`: {error}", self.0.display());
        }
    }
}
