//! How values in requests are read: numbers may be strings, lists may be wrapped.

use serde_json::Value;

use super::errors::{Refusal, because, refused};
use super::model::Labels;
use super::world::{HostWish, World};

/// A number, or a string that is one. None if it is neither.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    }
}

/// A number that may be absent.
pub(super) fn maybe_number(value: &Value, code: &'static str) -> Result<Option<u64>, Refusal> {
    match value {
        Value::Null => Ok(None),
        value => number(value).map(Some).ok_or(refused(code)),
    }
}

/// One of these words; absent is the first.
pub(super) fn word(
    value: &Value,
    words: &[&'static str],
    code: &'static str,
) -> Result<&'static str, Refusal> {
    let first = words.first().copied().unwrap_or_default();
    match value {
        Value::Null => Ok(first),
        Value::String(s) => words.iter().find(|w| *w == s).copied().ok_or(refused(code)),
        _ => Err(refused(code)),
    }
}

/// A text of at most 255 characters.
pub(super) fn text(value: &Value, code: &'static str) -> Result<String, Refusal> {
    let text = value.as_str().filter(|s| s.chars().count() <= 255);
    text.map(Into::into).ok_or(refused(code))
}

/// Something that does not exist because its name is no uuid.
pub(super) fn uuid(text: &str, code: &'static str) -> Result<(), Refusal> {
    let fits = text.len() == 36
        && text.char_indices().all(|(i, c)| match i {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    if fits { Ok(()) } else { Err(refused(code)) }
}

/// Labels, wrapped (`{"label": [...]}`) or bare; none if absent.
pub(super) fn labels(value: &Value) -> Result<Option<Labels>, Refusal> {
    let list = match value {
        Value::Null => return Ok(None),
        Value::Object(map) => map.get("label").and_then(Value::as_array),
        value => value.as_array(),
    };
    let list = list.ok_or(because(
        "REQUEST_INVALID",
        "labels are an object with the list label",
    ))?;
    if list.len() > 255 {
        return Err(refused("LABEL_LIMIT_REACHED"));
    }
    let mut labels = Labels::new();
    for label in list {
        let key = label["key"].as_str().unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.is_empty() || key.len() > 32 || key.starts_with('_') || !key.chars().all(legal) {
            return Err(because(
                "INVALID_LABEL_KEY",
                format!("The label key {key:?} is invalid."),
            ));
        }
        if labels.iter().any(|(k, _)| k.eq_ignore_ascii_case(key)) {
            return Err(refused("DUPLICATE_LABEL_KEYS"));
        }
        labels.push((key.into(), text(&label["value"], "INVALID_LABEL_VALUE")?));
    }
    Ok(Some(labels))
}

/// Whether labels fit filters: `key` or `key=value`, all of them.
pub(super) fn fits(labels: &Labels, query: &[(String, String)]) -> bool {
    query
        .iter()
        .filter(|(name, _)| name == "label")
        .all(|(_, filter)| {
            let (key, value) = match filter.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (filter.as_str(), None),
            };
            labels
                .iter()
                .any(|(k, v)| k.eq_ignore_ascii_case(key) && value.is_none_or(|value| value == v))
        })
}

/// A hostname: lower case, at most 128 characters.
pub(super) fn hostname(value: &Value) -> Result<String, Refusal> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let part = |p: &str| !p.is_empty() && !p.starts_with('-') && !p.ends_with('-');
    let name = value.as_str().unwrap_or_default();
    let fits = name.len() <= 128 && name.chars().all(legal) && name.split('.').all(part);
    if fits {
        Ok(name.into())
    } else {
        Err(refused("HOSTNAME_INVALID"))
    }
}

/// An attribute that is a word: name, values (`yes|no`), the code for others.
struct Attribute(&'static str, fn(&str) -> bool, &'static str);

fn boot_order(text: &str) -> bool {
    text.split(',')
        .all(|part| matches!(part, "disk" | "cdrom" | "network"))
}

fn on_off(text: &str) -> bool {
    matches!(text, "on" | "off")
}

fn yes_no(text: &str) -> bool {
    matches!(text, "yes" | "no")
}

fn backup(text: &str) -> bool {
    let Some((time, kind)) = text.split_once(',') else {
        return text == "no";
    };
    let digits = time.len() == 4 && time.parse::<u32>().is_ok_and(|t| t / 100 < 24 && t % 100 < 60);
    digits && matches!(kind, "daily" | "dailies" | "weeklies" | "monthlies")
}

fn timezone(text: &str) -> bool {
    text == "UTC"
        || text
            .split_once('/')
            .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
}

fn secret(text: &str) -> bool {
    text.len() == 8 && text.chars().all(|c| c.is_ascii_alphanumeric())
}

const ATTRIBUTES: &[Attribute] = &[
    Attribute("boot_order", boot_order, "BOOT_ORDER_INVALID"),
    Attribute("firewall", on_off, "FIREWALL_INVALID"),
    Attribute("metadata", yes_no, "REQUEST_INVALID"),
    Attribute(
        "nic_model",
        |t| matches!(t, "e1000" | "virtio" | "rtl8139"),
        "NIC_MODEL_INVALID",
    ),
    Attribute("simple_backup", backup, "SIMPLE_BACKUP_INVALID"),
    Attribute("timezone", timezone, "TIMEZONE_INVALID"),
    Attribute(
        "video_model",
        |t| matches!(t, "vga" | "cirrus"),
        "VIDEO_MODEL_INVALID",
    ),
    Attribute("remote_access_type", |t| t == "vnc", "VNC_INVALID"),
    Attribute("remote_access_enabled", yes_no, "REQUEST_INVALID"),
    Attribute("remote_access_password", secret, "VNC_PASSWORD_INVALID"),
];

/// The attributes of a server that are words, as far as a request has them.
pub(super) fn words(server: &Value) -> Result<Vec<(&'static str, String)>, Refusal> {
    let mut words = Vec::new();
    for Attribute(name, legal, code) in ATTRIBUTES {
        match &server[*name] {
            Value::Null => {}
            Value::String(value) if legal(value) => words.push((*name, value.clone())),
            value => return Err(because(code, format!("The attribute {name} cannot be {value}."))),
        }
    }
    Ok(words)
}

impl World {
    /// The hosts that a request asks for.
    pub(super) fn host_wish(&self, body: &Value) -> Result<HostWish, Refusal> {
        let wish = HostWish {
            only: maybe_number(&body["host"], "HOST_NOT_FOUND")?,
            avoid: maybe_number(&body["avoid_host"], "HOST_NOT_FOUND")?,
        };
        if [wish.only, wish.avoid]
            .into_iter()
            .flatten()
            .any(|host| !self.host_exists(host))
        {
            return Err(refused("HOST_NOT_FOUND"));
        }
        if wish.only.is_some() && !self.config.choices.private_hosts {
            return Err(refused("HOST_FORBIDDEN"));
        }
        Ok(wish)
    }
}
