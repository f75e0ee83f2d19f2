//! The core beside Composer's own PHP code, which has the last word on versions, constraints and
//! minified metadata.

#[cfg(test)]
mod composer;
#[cfg(test)]
mod constraints;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod minifier;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod versions;
