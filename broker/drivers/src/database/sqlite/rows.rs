//! Values of the domain from columns, by position.

use package_broker_core::domain::{
    names::{PackageName, RepositoryName},
    stamp::Stamp,
};
use sqlx::{Row, sqlite::SqliteRow};

use super::fault::Fault;

pub(super) fn package(row: &SqliteRow, column: usize) -> Result<PackageName, Fault> {
    PackageName::parse(row.try_get(column)?)
        .map_err(|error| Fault::corrupt("a package name", &error))
}

pub(super) fn repository(row: &SqliteRow, column: usize) -> Result<RepositoryName, Fault> {
    Ok(RepositoryName::new(row.try_get(column)?))
}

pub(super) fn stamp(row: &SqliteRow, column: usize) -> Result<Stamp, Fault> {
    Ok(Stamp(row.try_get(column)?))
}

pub(super) fn digest(row: &SqliteRow, column: usize) -> Result<[u8; 32], Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| Fault::corrupt("a digest", &format!("it has {} bytes", bytes.len())))
}

pub(super) fn time(row: &SqliteRow, column: usize) -> Result<Option<jiff::Timestamp>, Fault> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(str::parse)
        .transpose()
        .map_err(|error: jiff::Error| Fault::corrupt("a time", &error))
}
