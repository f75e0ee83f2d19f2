//! Values of the domain from columns, by position, and to parameters.

use std::borrow::Cow;

use package_broker_core::domain::{
    names::{PackageName, RepositoryName},
    stamp::Stamp,
};
use sqlx::{Row, postgres::PgRow};

use super::fault::Fault;

pub(super) fn package(row: &PgRow, column: usize) -> Result<PackageName, Fault> {
    PackageName::parse(row.try_get(column)?)
        .map_err(|error| Fault::corrupt("a package name", &error))
}

pub(super) fn repository(row: &PgRow, column: usize) -> Result<RepositoryName, Fault> {
    Ok(RepositoryName::new(row.try_get(column)?))
}

pub(super) fn stamp(row: &PgRow, column: usize) -> Result<Stamp, Fault> {
    Ok(Stamp(row.try_get(column)?))
}

pub(super) fn digest(row: &PgRow, column: usize) -> Result<[u8; 32], Fault> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes
        .try_into()
        .map_err(|_| Fault::corrupt("a digest", &format!("it has {} bytes", bytes.len())))
}

/// A time that was selected in microseconds since the Unix epoch.
pub(super) fn time(row: &PgRow, column: usize) -> Result<Option<jiff::Timestamp>, Fault> {
    let micros: Option<i64> = row.try_get(column)?;
    micros
        .map(jiff::Timestamp::from_microsecond)
        .transpose()
        .map_err(|error| Fault::corrupt("a time", &error))
}

/// A number that a column of 32 bits with a sign has room for.
pub(super) fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn number(row: &PgRow, column: usize) -> Result<u32, Fault> {
    let number: i32 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| Fault::corrupt("a number", &error))
}

/// Text from outside, which may hold the one character that PostgreSQL does not take.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
