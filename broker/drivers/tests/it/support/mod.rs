//! What the tests stand on.

pub(crate) mod bucket;
pub(crate) mod git;
pub(crate) mod git_http;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod source;
pub(crate) mod sshd;
pub(crate) mod tls;
