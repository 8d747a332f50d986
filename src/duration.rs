//! Durations as people write them. Uses nobody.

use std::time::Duration;

/// From large to small, as they stand in a duration.
const UNITS: [(char, u64); 5] = [
    ('w', 7 * 24 * 60 * 60),
    ('d', 24 * 60 * 60),
    ('h', 60 * 60),
    ('m', 60),
    ('s', 1),
];

/// Reads `36h`, `90s` or `1h30m`: whole numbers with units, each unit once, from large to small.
///
/// # Errors
/// When it is something else, or no time at all.
pub fn duration(text: &str) -> Result<Duration, String> {
    match with_units(text) {
        Some(Duration::ZERO) => Err("must not be zero".to_owned()),
        Some(duration) => Ok(duration),
        None => {
            Err("write whole numbers with w, d, h, m or s, such as 36h, 7d or 1h30m".to_owned())
        }
    }
}

/// As [`duration`], and may be no time at all; nothing where it is something else.
pub fn with_units(text: &str) -> Option<Duration> {
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|each: char| !each.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, seconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*seconds)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90s", 90)]
    #[case("36h", 129_600)]
    #[case("1h30m", 5400)]
    #[case("2w1d", 1_296_000)]
    #[case("0h5s", 5)]
    fn durations_add_up(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
    }

    #[rstest]
    fn other_texts_are_refused(
        #[values(
            "",
            "5",
            "s",
            "-5s",
            "1.5h",
            "5ms",
            "1m1h",
            "1h1h",
            "5 s",
            "5é",
            "0s",
            "99999999999999999w",
            // The sum alone is too much.
            "30500568904943w1d"
        )]
        text: &str,
    ) {
        assert!(duration(text).is_err(), "{text}");
    }
}
