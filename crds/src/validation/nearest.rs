//! "Did you mean": the known word that a misspelt one is closest to.

/// The candidate that differs from `word` by the fewest letters put in, left out, changed or
/// swapped; none when that is more than a third of the word, or a single short word's whole sense.
/// Upper and lower case count as the same letter.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).collect();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&word, &candidate.to_lowercase().chars().collect::<Vec<_>>()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, where two neighbours that changed places are one edit.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &right) in b.iter().enumerate() {
            let changed = last[j] + usize::from(left != right);
            let mut best = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == b[j - 1] && a[i - 1] == right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let known = ["url", "type", "priority", "credentialsSecretRef"];
        assert_eq!(nearest("prioriti", known), Some("priority"));
        assert_eq!(nearest("tpye", known), Some("type"));
        assert_eq!(nearest("URL", known), Some("url"));
        assert_eq!(
            nearest("credentialSecretref", known),
            Some("credentialsSecretRef")
        );
        assert_eq!(nearest("webhook", known), None);
        assert_eq!(nearest("", known), None);
    }
}
