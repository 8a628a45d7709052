//! What a project may have, and how Nova says that it has it already.

use super::server::{Server, Vm};
use super::wire::nova_error;
use super::world::World;
use crate::sim::cloud::Reply;

/// What is over: its name, how much more was wanted, how much is used, the limit.
type Over = (&'static str, i64, i64, i64);

impl World {
    /// Whether a project may have so much more. What is still being deleted counts.
    pub(super) fn check_quota(
        &self,
        project: &str,
        instances: i64,
        cores: i64,
        ram: i64,
    ) -> Result<(), Reply> {
        let mut quota = self.config.quota;
        if self.accounts.project_name(project) == "quota" {
            quota.instances = 1;
        }
        // What can still be restored does not count.
        let counted = |s: &&Server| s.project == project && s.vm != Vm::SoftDeleted;
        let mine = || self.live().filter(counted);
        let used = [
            mine().count() as i64,
            mine().map(|s| s.flavor.vcpus).sum(),
            mine().map(|s| s.flavor.ram).sum::<i64>(),
        ];
        let wanted = [
            ("instances", instances, quota.instances),
            ("cores", cores, quota.cores),
            ("ram", ram, quota.ram),
        ];
        let over: Vec<Over> = wanted
            .iter()
            .zip(used)
            .filter(|((_, more, limit), used)| *limit >= 0 && *more > 0 && used + more > *limit)
            .map(|((name, more, limit), used)| (*name, *more, used, *limit))
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let join = |part: &dyn Fn(&Over) -> String| over.iter().map(part).collect::<Vec<_>>().join(", ");
        let names = join(&|o| o.0.to_owned());
        let (more, used, limit) = (
            join(&|o| o.1.to_string()),
            join(&|o| o.2.to_string()),
            join(&|o| o.3.to_string()),
        );
        let text = format!(
            "Quota exceeded for {names}: Requested {more}, but already used {used} of {limit} {names}"
        );
        Err(nova_error(403, text))
    }
}
