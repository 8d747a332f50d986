//! What a person sees: lines on standard error, and text that comes from outside (files, servers, arguments), made safe
//! to print: no control characters that could move the cursor or reorder a line, and a bounded length. Uses nobody.

use std::io::{self, Write};

/// Longest text that [`quoted`] shows, in characters.
const QUOTED_LENGTH: usize = 80;

/// Tells a person, on standard error. Nothing depends on it that someone reads.
pub fn tell(line: &str) {
    // In one piece: others may write there at the same time.
    let _ = io::stderr().write_all(format!("simplepipe: {line}\n").as_bytes());
}

/// The text in double quotes, with everything that doesn't print escaped, cut after 80 characters.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_LENGTH) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The text as one line of at most `length` characters: blanks and line ends become one space each, and what doesn't
/// print is left out.
pub fn one_line(text: &str, length: usize) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| {
            word.chars()
                .filter(|character| prints(*character))
                .collect()
        })
        .filter(|word: &String| !word.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(length) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// As [`one_line`], for text whose cause comes last: what is too long is cut in the middle.
pub fn one_line_with_its_end(text: &str, length: usize) -> String {
    let line = one_line(text, usize::MAX);
    let surplus = line.chars().count().saturating_sub(length);
    if surplus == 0 {
        return line;
    }
    let start: String = line.chars().take(length / 2).collect();
    let end: String = line.chars().skip(length / 2 + surplus).collect();
    format!("{start} ... {end}")
}

/// The first few of them, and how many more there are.
pub fn listed(all: &[impl AsRef<str>], separator: &str, most: usize) -> String {
    let shown: Vec<&str> = all.iter().take(most).map(AsRef::as_ref).collect();
    let shown = shown.join(separator);
    match all.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether `Debug` would leave it as it is: that knows the invisible and direction-changing characters too.
fn prints(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_cannot_move_the_cursor_or_turn_the_line() {
        assert_eq!(quoted("a\x1b[2Jb\u{202e}"), r#""a\u{1b}[2Jb\u{202e}""#);
    }

    #[test]
    fn quoted_text_is_cut_between_characters() {
        assert_eq!(
            quoted(&"é".repeat(81)),
            format!("\"{}\"...", "é".repeat(80))
        );
        assert_eq!(quoted(&"é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
    }

    #[test]
    fn one_line_keeps_words_and_drops_what_does_not_print() {
        assert_eq!(
            one_line(" it's \"a\"\r\n\x1b[31mred\u{202e}\0 \x07 end\n", 80),
            "it's \"a\" [31mred end"
        );
        assert_eq!(one_line("one two", 5), "one t...");
    }

    #[test]
    fn the_end_of_a_text_is_kept_where_the_cause_stands() {
        assert_eq!(one_line_with_its_end("one\ntwo", 7), "one two");
        assert_eq!(one_line_with_its_end("é two three", 6), "é t ... ree");
    }
}
