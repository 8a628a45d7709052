//! The part of regular expressions that name filters use: literals, `.`, `*`, `^`, `$` and `\`.

/// Whether a pattern is found anywhere in a text.
pub(super) fn found(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    match pattern.split_first() {
        Some(('^', rest)) => here(rest, &text),
        _ => (0..=text.len()).any(|from| here(&pattern, text.get(from..).unwrap_or_default())),
    }
}

fn here(pattern: &[char], text: &[char]) -> bool {
    let (escaped, atom, rest) = match pattern {
        [] => return true,
        ['$'] => return text.is_empty(),
        ['\\', c, rest @ ..] => (true, *c, rest),
        [c, rest @ ..] => (false, *c, rest),
    };
    let fits = |c: char| c == atom || (atom == '.' && !escaped);
    match rest {
        ['*', rest @ ..] => {
            let most = text.iter().take_while(|c| fits(**c)).count();
            (0..=most).any(|n| here(rest, text.get(n..).unwrap_or_default()))
        }
        _ => text
            .split_first()
            .is_some_and(|(c, text)| fits(*c) && here(rest, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::found;

    #[test]
    fn finds_what_a_regular_expression_finds() {
        for (pattern, text, expected) in [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web-1$", "web-1", true),
            ("^web-1$", "web-10", false),
            ("^w.*1$", "web-1", true),
            (r"^a\.b$", "a.b", true),
            (r"^a\.b$", "axb", false),
            ("", "anything", true),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern} in {text}");
        }
    }
}
