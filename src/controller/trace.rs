//! The span of one turn: every line that is logged in it, by it or by the cloud calls that it began, names the
//! object and the turn.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Span;

use crate::observer::ObjectKey;
use crate::observer::sync::Jitter;

/// The span of the next turn. The trace id is one of its own for each turn of each process, in the form of W3C Trace
/// Context (16 bytes in hexadecimal).
pub(super) fn span(
    process: u64,
    turns: &AtomicU64,
    key: &ObjectKey,
    uid: &str,
    generation: Option<i64>,
) -> Span {
    let turn = turns.fetch_add(1, Ordering::Relaxed);
    tracing::info_span!(
        "reconcile",
        kind = key.kind(),
        object = %key,
        uid,
        generation,
        trace_id = id(process, turn),
    )
}

fn id(process: u64, turn: u64) -> String {
    // The numbering never repeats a number, and a process has its own seed.
    let (a, b) = (Jitter::new(process).number(), Jitter::new(turn).number());
    format!("{a:016x}{b:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_turns_have_the_same_id() {
        let ids: BTreeSet<String> = (0..4).flat_map(|p| (0..1000).map(move |t| id(p, t))).collect();
        assert_eq!(ids.len(), 4000);
        assert!(
            ids.iter()
                .all(|i| i.len() == 32 && i.chars().all(|c| c.is_ascii_hexdigit()))
        );
    }
}
