//! Who is at the other end of a connection.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, UnixListener};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Somebody on the socket: the user, if the kernel says so.
    User(Option<u32>),
    /// Somebody on TCP.
    Tcp,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self::User(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self::Tcp
    }
}

impl Peer {
    /// Whom a history shall name: a user by the name that this machine knows, or the holder of the token.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Tcp => "a holder of the token".to_owned(),
            Self::User(None) => "an unknown user".to_owned(),
            Self::User(Some(user)) => {
                let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
                name_of(*user, &known).unwrap_or_else(|| format!("user {user}"))
            }
        }
    }
}

fn name_of(user: u32, passwd: &str) -> Option<String> {
    let user = user.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_users_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# a comment\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_of(1000, passwd).as_deref(), Some("ada"));
        assert_eq!(name_of(0, passwd).as_deref(), Some("root"));
        assert_eq!(name_of(7, passwd), None);
    }
}
