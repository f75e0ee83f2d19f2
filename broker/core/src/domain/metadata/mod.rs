//! The metadata of package versions: read leniently, checked strictly, written as clients want it.

pub mod check;
pub mod document;
pub mod fields;
pub mod links;
pub mod minify;
pub mod package;

pub use document::{DistUrls, Rendered};
pub use fields::{Fields, Raw};
pub use package::{Channel, PackageVersions, Version};
