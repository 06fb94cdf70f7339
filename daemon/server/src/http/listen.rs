//! Where the API listens: a socket in the data folder, and a port of this machine.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

/// What the API is served on. Whoever made them is the one who knows where they are.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The socket.
    pub socket: Option<UnixListener>,
    /// The port.
    pub tcp: Option<TcpListener>,
}

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Not without TLS.
    #[error(
        "cannot listen on {0}: only addresses of this machine (127.0.0.1, [::1]) are served, because the API has no TLS"
    )]
    NotLoopback(SocketAddr),
    /// Something else listens there.
    #[error("cannot listen on {0}: the port is in use by another program")]
    PortInUse(SocketAddr),
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The socket cannot be made.
    #[error("cannot listen on the socket `{path}`: {source}", path = path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Refuses any address that another machine could reach.
pub fn check_address(address: SocketAddr) -> Result<(), ListenError> {
    match address.ip().is_loopback() {
        true => Ok(()),
        false => Err(ListenError::NotLoopback(address)),
    }
}

/// Listens on a port of this machine; port 0 takes any that is free.
pub async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    check_address(address)?;
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::PortInUse(address),
            _ => ListenError::Tcp { address, source },
        })
}

/// Listens on a socket that only this user can open. The caller holds the data folder's lock, so that a socket which is
/// there already is a dead daemon's.
pub fn bind_socket(path: &Path) -> Result<UnixListener, ListenError> {
    // Made beside its place and renamed, so that it is never there with a mode that lets others in.
    let beside = path.with_extension("new");
    let bound = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        fs::rename(&beside, path)?;
        Ok(listener)
    };
    bound().map_err(|source| ListenError::Socket {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        for address in ["127.0.0.1:7878", "[::1]:0", "127.1.2.3:80"] {
            assert!(check_address(address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in [
            "0.0.0.0:7878",
            "192.168.1.2:7878",
            "[::]:7878",
            "8.8.8.8:80",
        ] {
            let error = check_address(address.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(address), "{error}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_to_be() {
        let first = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind_tcp(address).await.unwrap_err();
        assert!(matches!(error, ListenError::PortInUse(found) if found == address));
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_and_replaces_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("begatd.sock");
        drop(bind_socket(&path).unwrap());
        let _listener = bind_socket(&path).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        tokio::net::UnixStream::connect(&path).await.unwrap();
    }
}
