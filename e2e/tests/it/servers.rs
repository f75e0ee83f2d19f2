//! The servers of the drivers' own tests. They ask more of them, so that some of it is not used here.
#![expect(dead_code, reason = "the tests of the drivers ask more of these")]
#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on should say where"
)]

#[path = "../../../broker/drivers/tests/it/support/redis.rs"]
pub(crate) mod redis;
#[path = "../../../broker/drivers/tests/it/support/s3.rs"]
pub(crate) mod s3;
#[path = "../../../broker/drivers/tests/it/support/tls.rs"]
pub(crate) mod tls;
