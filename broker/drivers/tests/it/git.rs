//! Git repositories, made by the real `git` and read by the source.

mod archive;
mod mirror;
mod reach;
mod versions;
