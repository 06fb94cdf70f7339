//! What can go wrong between a client and its daemon.

use begat_schemas::api::{Candidate, Problem};

/// Why the daemon gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Nothing listens there.
    #[error("no daemon at {place}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    NoDaemon {
        /// The socket or the address.
        place: String,
        /// What the system answered, unless it says no more than that.
        reason: Option<String>,
    },
    /// The daemon refused, and says why.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The name means several things.
    #[error("`{name}` may mean {} objects", candidates.len())]
    Ambiguous {
        /// The name.
        name: String,
        /// What it may mean.
        candidates: Vec<Candidate>,
    },
    /// The name means something, but nothing that is of use here.
    #[error("`{name}` names a {found}: expected {expected}")]
    WrongKind {
        /// The name.
        name: String,
        /// What it names.
        found: &'static str,
        /// What was needed.
        expected: &'static str,
    },
    /// The connection broke.
    #[error("{action}: the connection to the daemon at {place} broke: {reason}")]
    Broken {
        /// The request.
        action: String,
        /// The socket or the address.
        place: String,
        /// What the system answered.
        reason: String,
    },
    /// The answer is none of begat's.
    #[error("{action}: the daemon at {place} gave an answer that cannot be understood: {reason}")]
    BadAnswer {
        /// The request.
        action: String,
        /// The socket or the address.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What came is not what its digest names.
    #[error("{what} {digest} came with other bytes than its digest names")]
    Corrupt {
        /// `blob` or `tree`.
        what: &'static str,
        /// Its digest.
        digest: String,
    },
    /// The address cannot be one of a daemon.
    #[error("`{url}` is no address of a daemon: expected http://127.0.0.1:PORT")]
    BadUrl {
        /// The address.
        url: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client: {reason}")]
    Client {
        /// What it answered.
        reason: String,
    },
}

impl ApiError {
    /// Whether trying again may help: the daemon is away or the connection broke.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoDaemon { .. } | Self::Broken { .. })
    }

    /// The daemon's own name of the kind of error, if it gave one.
    pub fn problem_kind(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.kind),
            _ => None,
        }
    }
}

/// The innermost reason of an error: what the system said.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// The system's error below `error`, if there is one.
pub(super) fn system_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a std::io::Error> {
    let mut at = Some(error);
    let mut found = None;
    while let Some(error) = at {
        found = error.downcast_ref::<std::io::Error>().or(found);
        at = error.source();
    }
    found
}
