//! The worlds that are explored, and how far.

use serde_json::json;

use crate::cloud;
use crate::steps::Bounds;
use crate::world::Left;

impl Bounds {
    /// Its bounds in words.
    pub(crate) fn words(&self) -> String {
        let from = if self.settled { "from a server at rest" } else { "from a new object" };
        let depth = self.depth.map_or(String::new(), |d| format!(", up to {d} steps deep"));
        format!("{from}; at most {}{depth}", self.left.words())
    }
}

pub(crate) fn worlds(large: bool) -> Vec<Bounds> {
    let create = Bounds {
        name: "create",
        can: &cloud::CONFIRMS,
        spec: json!({}),
        settled: false,
        strangers: false,
        left: Left::default(),
        calm_one_in: 16,
        depth: None,
    };
    if let Ok(text) = std::env::var("MODEL_LEFT") {
        let mut b = create.clone();
        let l = &mut b.left;
        for part in text.split(',') {
            let (k, v) = part.split_once('=').unwrap();
            let v: u8 = v.parse().unwrap();
            match k {
                "crashes" => l.crashes = v, "timeouts" => l.timeouts = v, "refusals" => l.refusals = v, "no_room" => l.no_room = v,
                "pauses" => l.pauses = v, "lost_writes" => l.lost_writes = v, "lags" => l.lags = v, "denials" => l.denials = v,
                "old_lists" => l.old_lists = v, "slow" => l.slow = v, "outside" => l.outside = v, "edits" => l.edits = v, "deletes" => l.deletes = v, "forces" => l.forces = v,
                "recreations" => l.recreations = v, "deeds" => l.deeds = v, "settled" => b.settled = v > 0, "depth" => b.depth = Some(v.into()),
                "stops" => b.can = &cloud::STOPS_FIRST, "strangers" => b.strangers = true, "calm" => b.calm_one_in = v.into(), _ => panic!("{k}"),
            }
        }
        return vec![b];
    }
    let _ = large;
    vec![create]
}
