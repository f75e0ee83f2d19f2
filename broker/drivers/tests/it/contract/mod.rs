//! What the ports promise, tested once for all drivers.
//!
//! Each promise is a function over the port. A driver is held to all of them by one module that says how it is
//! opened.

mod cache;
mod database;
mod source;
mod storage;

/// Makes one test of each promise, given an expression that opens the driver anew as `$open`.
macro_rules! promises {
    ($open:expr, $($group:ident :: $promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$group::$promise(&$open).await;
            }
        )+
    };
}
use promises;
