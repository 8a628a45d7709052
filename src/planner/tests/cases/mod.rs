//! Cases in which other controllers of servers have failed, one scenario each: `tests/failure_cases` names them all.

mod ended;
mod odd;
mod power;
mod refused;
mod seen;
mod sized;

use super::world::World;

/// How often the cloud was asked for this.
fn count(w: &World, call: &str) -> usize {
    w.calls
        .iter()
        .filter(|c| c.split('/').next() == Some(call))
        .count()
}

fn at_rest(w: &World) -> bool {
    w.ready() == "True/AsDeclared"
}
