//! What is wrong with a store, in words that say what to do.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;

/// A store that cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A request failed, or would.
    #[error("{operation} {what}: {problem}{}", cause(.source.as_ref()))]
    Store {
        /// What was tried.
        operation: &'static str,
        /// On which store or object.
        what: String,
        /// What is wrong, and what to do.
        problem: Problem,
        /// What the store answered.
        source: Option<object_store::Error>,
    },
    /// A local folder or file that cannot be used.
    #[error("use {}: {source}; the process needs to read and write it", folder.display())]
    Folder {
        /// The folder or file.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with certificates or a key that cannot be used.
    #[error("read {}: {problem}; correct the file, or the setting that names it", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

fn cause(source: Option<&object_store::Error>) -> String {
    source.map(|source| format!(" ({source})")).unwrap_or_default()
}

/// The kinds of trouble with a store that a user can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// A setting without which there is no store.
    Setting,
    /// There is no such bucket.
    Bucket,
    /// The key is not known, or its secret is wrong.
    Credentials,
    /// No key is configured, and the surroundings offer none.
    NoCredentials,
    /// The key may not do this.
    Permission,
    /// The bucket is in another region than requests are signed for.
    Region,
    /// Nobody answers.
    Unreachable,
    /// The clocks differ by more than the store accepts.
    ClockSkew,
    /// The server's certificate is not trusted.
    Tls,
    /// The server wants to know by a certificate who calls.
    ClientCertificate,
    /// A second create of one key was not refused.
    ConditionIgnored,
    /// What was written is not what was read.
    WrongAnswer,
    /// Anything else.
    Other,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Setting => "it is empty; set it",
            Self::Bucket => "there is no such bucket; create it, or correct its name, the region or the endpoint",
            Self::Credentials => "the store does not accept the credentials; check access key, secret key and region",
            Self::NoCredentials => {
                "no credentials are configured and this machine offers none; set access and secret key, or give the \
                 process a web identity (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE) or a role"
            }
            Self::Region => "the bucket is in another region; set the region that the store's answer names",
            Self::Permission => "the credentials lack permission; allow them to get, put, delete and list objects in the bucket",
            Self::Unreachable => "nobody answers at the endpoint; check its address, port and scheme, and the network between",
            Self::ClockSkew => "the clocks of this machine and of the store differ too much; synchronise them (NTP)",
            Self::Tls => "the server's certificate is not trusted; set the CA that signed it, or use the http scheme if the server speaks plain HTTP",
            Self::ClientCertificate => {
                "the server does not accept who calls; set tls_cert_path and tls_key_path to a certificate that it trusts"
            }
            Self::ConditionIgnored => {
                "the store created one key twice although it was asked to create it only if absent (If-None-Match: *); \
                 its conditional writes do not work, and without them committed blocks would be lost; upgrade the server \
                 (MinIO: 2024-09 or later) or use another store"
            }
            Self::WrongAnswer => "the store answered with other bytes than were written; look for a proxy or cache in between",
            Self::Other => "the request failed; the store's own answer follows",
        })
    }
}

impl StoreError {
    /// Finds out what is wrong from what the store answered.
    pub fn explain(operation: &'static str, what: &dyn fmt::Display, source: object_store::Error) -> Self {
        let problem = Problem::of(&source);
        Self::Store {
            operation,
            what: what.to_string(),
            problem,
            source: Some(source),
        }
    }

    /// A file that cannot be used.
    pub(super) fn file(file: &std::path::Path, problem: impl fmt::Display) -> Self {
        Self::File {
            file: file.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// The kind of trouble, where a store caused it.
    pub fn problem(&self) -> Option<Problem> {
        match self {
            Self::Store { problem, .. } => Some(*problem),
            Self::Folder { .. } | Self::File { .. } => None,
        }
    }
}

impl Problem {
    /// Stores tell these apart only by words in the body or in the chain of causes. The order matters: a skewed clock
    /// and a wrong key also come as "forbidden", and what is asked for credentials may itself not be reached.
    fn of(error: &object_store::Error) -> Self {
        const WORDS: &[(Problem, &[&str])] = &[
            (Problem::ClockSkew, &["requesttimetooskewed", "requestexpired"]),
            (
                Problem::Bucket,
                &[
                    "nosuchbucket",
                    "containernotfound",
                    "invalidbucketname",
                    "the specified bucket does not exist",
                ],
            ),
            (
                Problem::Region,
                &[
                    "authorizationheadermalformed",
                    "permanentredirect",
                    "incorrectly configured region",
                ],
            ),
            (
                Problem::Credentials,
                &[
                    "invalidaccesskeyid",
                    "signaturedoesnotmatch",
                    "invalidtoken",
                    "expiredtoken",
                    "notsignedup",
                    "invalididentitytoken",
                    "token file",
                    "assumerolewithwebidentity",
                ],
            ),
            (
                Problem::NoCredentials,
                &["/latest/api/token", "/latest/meta-data"],
            ),
            (Problem::ClientCertificate, &["received fatal alert"]),
            (
                Problem::Tls,
                &[
                    "certificate",
                    "unknownissuer",
                    "corrupt message",
                    "invalidcontenttype",
                    "http request to an https server",
                    "protocolversion",
                ],
            ),
            (Problem::Permission, &["accessdenied"]),
        ];
        let text = chain(error);
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let said = WORDS.iter().find(|(_, words)| says(words));
        match (said, error) {
            (Some((problem, _)), _) => *problem,
            (None, object_store::Error::PermissionDenied { .. }) => Self::Permission,
            (None, object_store::Error::Unauthenticated { .. }) => Self::Credentials,
            (None, _) if says(UNREACHABLE) => Self::Unreachable,
            (None, _) => Self::Other,
        }
    }
}

/// What is said of a store that does not answer.
const UNREACHABLE: &[&str] = &[
    "dns error",
    "connection refused",
    "tcp connect",
    "error trying to connect",
    "timed out",
    "unreachable",
];

/// The error and all of its causes, in lower case.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(body: &str) -> Problem {
        Problem::of(&object_store::Error::PermissionDenied {
            path: "a".into(),
            source: body.into(),
        })
    }

    #[test]
    fn trouble_is_told_apart_by_what_the_store_says() {
        assert_eq!(
            problem_of("<Code>RequestTimeTooSkewed</Code>"),
            Problem::ClockSkew
        );
        assert_eq!(
            problem_of("<Code>SignatureDoesNotMatch</Code>"),
            Problem::Credentials
        );
        assert_eq!(problem_of("<Code>AccessDenied</Code>"), Problem::Permission);
        assert_eq!(problem_of("<Code>NoSuchBucket</Code>"), Problem::Bucket);
        assert_eq!(
            problem_of("invalid peer certificate: UnknownIssuer"),
            Problem::Tls
        );
    }
}
