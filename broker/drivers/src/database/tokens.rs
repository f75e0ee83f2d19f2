//! Which floors tokens get: the part of a write that is the same in every database.

use std::collections::HashMap;

use package_broker_core::{domain::stamp::Stamp, ports::database::TokenRecord};

use super::publication::Clock;

/// What to write so that the stored tokens are exactly those given.
pub(super) struct TokenPlan<'a> {
    /// Each token's floor, in the order given.
    pub(super) floors: Vec<Stamp>,
    /// The tokens to write, with their floors.
    pub(super) save: Vec<(&'a TokenRecord, Stamp)>,
    /// The names of those to remove.
    pub(super) delete: Vec<String>,
    /// The clock afterwards.
    pub(super) clock: Clock,
}

impl<'a> TokenPlan<'a> {
    /// A token whose hash and grant are the stored ones keeps its floor.
    pub(super) fn new(
        tokens: &'a [TokenRecord],
        stored: Vec<(TokenRecord, Stamp)>,
        mut clock: Clock,
        now: Stamp,
    ) -> Self {
        let mut stored: HashMap<String, (TokenRecord, Stamp)> = stored
            .into_iter()
            .map(|(token, floor)| (token.name.clone(), (token, floor)))
            .collect();
        let mut floors = Vec::with_capacity(tokens.len());
        let mut save = Vec::new();
        for token in tokens {
            let known = stored.remove(&token.name);
            let same_grant = known
                .as_ref()
                .filter(|(known, _)| known.hash == token.hash && known.grant == token.grant);
            let floor =
                same_grant.map_or_else(|| clock.stamps.next_unique(now), |(_, floor)| *floor);
            if known.is_none_or(|(known, stands)| known != *token || stands != floor) {
                save.push((token, floor));
            }
            floors.push(floor);
        }
        let delete: Vec<String> = stored.into_keys().collect();
        if !save.is_empty() || !delete.is_empty() {
            clock.revisions.tokens += 1;
        }
        Self {
            floors,
            save,
            delete,
            clock,
        }
    }
}
