//! What a broker takes for its `AccessToken`s: of each the token that is in its Secret, and the one before it as long as that
//! is kept there.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use kube::ResourceExt;
use package_broker_core::domain::token::TokenHash;
use package_broker_crds::AccessToken;
use package_broker_kinds::lifetime::{expires_at, previous_expires_at, previous_name};

use super::Taken;

/// A token that a broker takes.
pub(crate) struct Credential<'a> {
    /// What the broker knows it by: the name of the `AccessToken`, or for the one before a name that no other has.
    pub(crate) name: String,
    /// The object that says what it allows.
    pub(crate) of: &'a AccessToken,
    pub(crate) hash: TokenHash,
    /// When it stops working; it may have passed already.
    pub(crate) expires_at: Option<Timestamp>,
}

/// All tokens of these objects, which are not suspended: no token and no name is there twice. The same input gives the same
/// list, whatever time it is.
pub(crate) fn credentials(tokens: &[(Arc<AccessToken>, Taken)]) -> Vec<Credential<'_>> {
    let mut names: HashSet<String> = tokens.iter().map(|(object, _)| object.name_any()).collect();
    let mut hashes: HashSet<TokenHash> = tokens.iter().map(|(_, token)| token.hash).collect();
    let mut all = Vec::with_capacity(tokens.len());
    for (object, token) in tokens {
        let (of, spec) = (object.as_ref(), &object.spec);
        all.push(Credential {
            name: object.name_any(),
            of,
            hash: token.hash,
            expires_at: expires_at(spec, token.issued_at),
        });
        // One that is somebody's token now counts for what that one allows.
        let Some((hash, valid_until)) = token.previous.filter(|(hash, _)| hashes.insert(*hash))
        else {
            continue;
        };
        let name = previous_name(&object.name_any(), |name| names.contains(name));
        names.insert(name.clone());
        all.push(Credential {
            name,
            of,
            hash,
            expires_at: Some(previous_expires_at(spec, valid_until)),
        });
    }
    all
}
