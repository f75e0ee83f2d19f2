//! Servers that go, hang and come back, while clients ask all the time.

mod disk;
mod load;
mod postgres;
mod redis;
mod s3;
mod upstream;
