//! Numbers as Prometheus writes and reads them.

use super::COUNT_LIMIT;
use crate::terminal::quoted;

/// A value as the text format has it: the shortest text that reads back as the same number.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if value == 0.0 || (1e-5..1e17).contains(&value.abs()) {
        value.to_string()
    } else {
        // In full, 1e300 would be 301 digits.
        format!("{value:e}")
    }
}

/// Reads a number. Rust reads just what Prometheus does here, but for numbers beyond the largest, which it takes as
/// infinite.
///
/// # Errors
/// With what is wrong, and what would be right.
pub fn numeric(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && text.contains(|each: char| each.is_ascii_digit()) => {
            Err(format!(
                "{} is beyond {:e}, the largest number; write a smaller one, or +Inf",
                quoted(text),
                f64::MAX
            ))
        }
        Ok(number) => Ok(number),
        Err(_) if text.trim_ascii().parse::<f64>().is_ok() => Err(format!(
            "{} has blanks around the number; write {}",
            quoted(text),
            quoted(text.trim_ascii())
        )),
        Err(_) => Err(format!(
            "{} is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators",
            quoted(text)
        )),
    }
}

/// A number of observations.
pub fn whole(count: f64) -> Result<f64, String> {
    if (0.0..COUNT_LIMIT).contains(&count) && count.fract() == 0.0 {
        Ok(count)
    } else {
        Err(format!(
            "is {}, not a number of observations; write a whole number from 0 and below {COUNT_LIMIT}",
            number(count)
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(6.0, "6")]
    #[case(-0.0, "-0")]
    #[case(0.1, "0.1")]
    #[case(1e16, "10000000000000000")]
    #[case(1e17, "1e17")]
    #[case(-1.5e300, "-1.5e300")]
    #[case(1.25e-5, "0.0000125")]
    #[case(5e-324, "5e-324")]
    #[case(f64::NAN, "NaN")]
    #[case(f64::INFINITY, "+Inf")]
    #[case(f64::NEG_INFINITY, "-Inf")]
    fn numbers_are_short_and_in_prometheus_words(#[case] value: f64, #[case] text: &str) {
        assert_eq!(number(value), text);
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_the_same_number(value in prop::num::f64::ANY) {
            let read = numeric(&number(value)).unwrap();
            prop_assert!(read == value || read.is_nan() && value.is_nan());
        }
    }
}
