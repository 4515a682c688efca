//! Which known word was probably meant.

/// How alike a known key must be to be suggested, 0 to 1.
const ALIKE: f64 = 0.6;

/// Returns the known key that is most like what was written, if one is like it.
pub(super) fn nearest<'a>(known: impl Iterator<Item = &'a str>, written: &str) -> Option<&'a str> {
    known
        .map(|known| (alike(known, written, '.'), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Compares two names, 0 to 1, and a little less their last parts: people write a key
/// into the wrong section, and of a zone the city alone.
pub(super) fn alike(known: &str, written: &str, separator: char) -> f64 {
    let last = |name: &str| name.rsplit(separator).next().unwrap_or_default().to_owned();
    let parts = strsim::normalized_damerau_levenshtein(&last(known), &last(written));
    strsim::normalized_damerau_levenshtein(known, written).max(0.9 * parts)
}
