//! The drivers against real files, real sockets and real programs, on loopback only.

#[cfg(test)]
mod artifact;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod composer;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod declared;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod factory;
#[cfg(test)]
mod fetcher;
#[cfg(test)]
mod git;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod support;
