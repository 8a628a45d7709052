//! Source text, cut into pieces: enough of the language to tell code from comments, strings and tests.

/// A piece of source text.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    /// The inside of a string literal.
    pub(crate) quoted: bool,
}

/// Words, `::`, single other characters, and the insides of strings. Comments, characters and lifetimes go.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    let starts = |at: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    while at < chars.len() {
        let from = at;
        let mut push = |text: String, quoted| found.push(Token { text, line, quoted });
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some((open, close)) = string_at(&chars, at) {
            at += open;
            let inside = at;
            while at < chars.len() && !starts(at, &close) {
                at += if close == "\"" && chars[at] == '\\' { 2 } else { 1 };
            }
            push(chars[inside..at.min(chars.len())].iter().collect(), true);
            at += close.len();
        } else if chars[at] == '\'' {
            // A character literal has its closing quote one or, escaped, more characters on; a lifetime has none.
            if chars.get(at + 1) == Some(&'\\') {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            } else if chars.get(at + 2) == Some(&'\'') {
                at += 3;
            } else {
                at += 1;
            }
        } else if chars[at].is_alphanumeric() || chars[at] == '_' {
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            push(chars[from..at].iter().collect(), false);
        } else if starts(at, "::") {
            push("::".into(), false);
            at += 2;
        } else {
            if !chars[at].is_whitespace() {
                push(chars[at].to_string(), false);
            }
            at += 1;
        }
        line += chars[from..at.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    found
}

/// The length of a string's opening and the text that closes it, if one begins here.
fn string_at(chars: &[char], at: usize) -> Option<(usize, String)> {
    if at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') {
        // The tail of a word is no prefix; a quote right after a word still opens a string.
        return (chars[at] == '"').then(|| (1, "\"".to_owned()));
    }
    let prefix = chars[at..]
        .iter()
        .take_while(|c| matches!(c, 'b' | 'c' | 'r'))
        .count()
        .min(2);
    let hashes = chars[at + prefix..].iter().take_while(|c| **c == '#').count();
    let raw = chars[at..at + prefix].contains(&'r');
    if chars.get(at + prefix + hashes) != Some(&'"') || (hashes > 0 && !raw) {
        return None;
    }
    // A raw string without hashes has no escapes either, but no source here ends one in a backslash.
    Some((prefix + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

/// The items that stand under `#[cfg(test)]` or a `cfg` that asks for `test` among other things.
pub(crate) fn test_ranges(tokens: &[Token]) -> Vec<(usize, usize)> {
    let is = |at: usize, text: &str| {
        tokens
            .get(at)
            .is_some_and(|t: &Token| !t.quoted && t.text == text)
    };
    let close = |mut at: usize, open: &str, close: &str| {
        let mut depth = 0;
        while at < tokens.len() {
            depth += i32::from(is(at, open)) - i32::from(is(at, close));
            at += 1;
            if depth == 0 {
                break;
            }
        }
        at
    };
    let mut ranges = Vec::new();
    for at in 0..tokens.len() {
        if !(is(at, "#") && is(at + 1, "[") && is(at + 2, "cfg")) {
            continue;
        }
        let end = close(at + 1, "[", "]");
        let asks = (at..end).any(|i| is(i, "test")) && !(at..end).any(|i| is(i, "not") || is(i, "any"));
        let item = (end..tokens.len()).find(|i| is(*i, "{") || is(*i, ";"));
        if let Some(item) = item.filter(|_| asks) {
            let to = if is(item, "{") {
                close(item, "{", "}")
            } else {
                item + 1
            };
            ranges.push((at, to));
        }
    }
    ranges
}
