//! The kinds of errors that the API knows, each with the `type` that programs match on, its title and its status.

use axum::http::StatusCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $title:literal, $status:ident;)*) => {
        /// A kind of error. Its name never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Every kind.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The kind of this name; whatever the API does not know is internal.
            pub(super) fn named(name: &str) -> Self {
                match name {
                    $($name => Self::$kind,)*
                    _ => Self::Internal,
                }
            }

            /// The problem's `type`.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The kind in words.
            pub(super) const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)*
                }
            }

            /// The status it is answered with.
            pub(super) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)*
                }
            }
        }
    };
}

kinds! {
    /// Nothing has that name.
    NotFound, "not-found", "Nothing has that name", NOT_FOUND;
    /// Several things have that name.
    Ambiguous, "ambiguous", "Several things have that name", CONFLICT;
    /// The request cannot be understood.
    BadRequest, "bad-request", "The request cannot be understood", BAD_REQUEST;
    /// The recipe cannot be run.
    BadRecipe, "bad-recipe", "The recipe cannot be run", UNPROCESSABLE_ENTITY;
    /// It does not go with what is there.
    Conflict, "conflict", "It does not go with what is there", CONFLICT;
    /// It has to wait for something else.
    Busy, "busy", "It has to wait for something else", CONFLICT;
    /// What is stored is not what was stored.
    Corrupt, "corrupt", "What is stored is damaged", INTERNAL_SERVER_ERROR;
    /// Nothing can be written.
    ReadOnly, "read-only", "Nothing can be written at present", SERVICE_UNAVAILABLE;
    /// No token, or a wrong one.
    Unauthorized, "unauthorized", "The token is missing or wrong", UNAUTHORIZED;
    /// Not for this caller, or not in this way.
    Forbidden, "forbidden", "The request is refused", FORBIDDEN;
    /// More than may be sent.
    TooLarge, "too-large", "The request is too large", PAYLOAD_TOO_LARGE;
    /// No run made that tree.
    NoProducer, "no-producer", "No run made it", CONFLICT;
    /// The program of the stages cannot be run.
    StageProgram, "stage-program", "The stages' program cannot be run", INTERNAL_SERVER_ERROR;
    /// No space left.
    DiskFull, "disk-full", "The disk is full", INSUFFICIENT_STORAGE;
    /// A mistake in begat, or a failing machine.
    Internal, "internal", "Something failed inside of the daemon", INTERNAL_SERVER_ERROR;
}
