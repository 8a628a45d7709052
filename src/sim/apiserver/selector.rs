//! Label and field selectors, and the query of a URL.

use serde_json::Value;

use super::error::ApiError;

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// What a list or a watch is narrowed to.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String)>,
}

/// The fields that every resource can be selected by.
const FIELDS: &[&str] = &["metadata.name", "metadata.namespace"];

impl Selector {
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiError> {
        let labels = split_outside_parens(labels.unwrap_or_default())
            .into_iter()
            .map(requirement)
            .collect::<Result<_, _>>()?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|f| !f.is_empty())
            .map(field)
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        self.labels.iter().all(|r| match r {
            Requirement::In(k, values) => label(k).is_some_and(|v| values.iter().any(|x| x == v)),
            Requirement::NotIn(k, values) => label(k).is_none_or(|v| values.iter().all(|x| x != v)),
            Requirement::Exists(k) => label(k).is_some(),
            Requirement::Absent(k) => label(k).is_none(),
        }) && self
            .fields
            .iter()
            .all(|(path, want)| at(object, path).as_str().unwrap_or_default() == want)
    }
}

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |v, key| &v[key])
}

fn field(text: &str) -> Result<(String, String), ApiError> {
    let (path, value) = text
        .split_once("==")
        .or_else(|| text.split_once('='))
        .ok_or_else(|| ApiError::new(400, format!("invalid field selector: {text}")))?;
    if !FIELDS.contains(&path) {
        return Err(ApiError::new(400, format!("field label not supported: {path}")));
    }
    Ok((path.to_owned(), value.to_owned()))
}

fn requirement(text: &str) -> Result<Requirement, ApiError> {
    let text = text.trim();
    let values = |list: &str| {
        list.trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|v| v.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let one = |k: &str, v: &str| (k.trim().to_owned(), vec![v.trim().to_owned()]);
    if let Some((k, v)) = text.split_once(" notin ") {
        return Ok(Requirement::NotIn(k.trim().to_owned(), values(v)));
    }
    if let Some((k, v)) = text.split_once(" in ") {
        return Ok(Requirement::In(k.trim().to_owned(), values(v)));
    }
    if let Some((k, v)) = text.split_once("!=") {
        let (k, v) = one(k, v);
        return Ok(Requirement::NotIn(k, v));
    }
    if let Some((k, v)) = text.split_once("==").or_else(|| text.split_once('=')) {
        let (k, v) = one(k, v);
        return Ok(Requirement::In(k, v));
    }
    match text.strip_prefix('!') {
        Some(k) => Ok(Requirement::Absent(k.trim().to_owned())),
        None if text.contains(' ') => Err(ApiError::new(400, format!("unable to parse requirement: {text}"))),
        None => Ok(Requirement::Exists(text.to_owned())),
    }
}

fn split_outside_parens(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|p| !p.trim().is_empty());
    parts
}

/// The decoded pairs of a URL's query.
pub(super) fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                let value = std::str::from_utf8(&hex)
                    .ok()
                    .and_then(|h| u8::from_str_radix(h, 16).ok());
                out.extend(value);
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_narrow() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}});
        for (text, want) in [
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app=db", false),
            ("app!=db", true),
            ("app in (db, web),tier", true),
            ("app notin (db,web)", false),
            ("!zone", true),
            ("zone", false),
        ] {
            assert_eq!(
                Selector::parse(Some(text), None).unwrap().matches(&object),
                want,
                "{text}"
            );
        }
        assert!(
            Selector::parse(None, Some("metadata.name=a"))
                .unwrap()
                .matches(&object)
        );
        assert!(
            !Selector::parse(None, Some("metadata.name=b"))
                .unwrap()
                .matches(&object)
        );
        assert_eq!(Selector::parse(None, Some("spec.x=1")).unwrap_err().code, 400);
    }

    #[test]
    fn queries_are_decoded() {
        let pairs = query_pairs("&limit=5&labelSelector=a%3Db%2Cc+in+%28d%29&watch=true");
        assert_eq!(pairs[1], ("labelSelector".to_owned(), "a=b,c in (d)".to_owned()));
        assert_eq!(pairs.len(), 3);
    }
}
