//! What a ProviderConfig is told about its account: its status, and events when that turns.

use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, Resource as _};
use tokio::time::{Instant, timeout};

use super::Tender;
use crate::api::conditions::{self, ConditionType};
use crate::api::{ProviderConfig, ProviderConfigStatus, Reason, keys};
use crate::controller::reconcile::REQUEST;
use crate::controller::{Error, config_status};
use crate::planner::EventDraft;

/// Counts of servers are written at most so often.
const COUNTS: Duration = Duration::from_secs(10);

/// What events have said of an account. Nothing is repeated that a status said before this process began.
#[derive(Debug, Default)]
pub(super) struct Told {
    begun: bool,
    /// Why it is not ready, if that was said.
    down: Option<String>,
}

impl Told {
    /// The event for a step from one status to the next, if it deserves one: a warning when Ready turns False or
    /// its reason changes, a word when it is True again.
    pub(super) fn next(
        &mut self,
        before: &ProviderConfigStatus,
        after: &ProviderConfigStatus,
    ) -> Option<EventDraft> {
        let ready = |s: &ProviderConfigStatus| conditions::get(&s.conditions, ConditionType::Ready).cloned();
        if !std::mem::replace(&mut self.begun, true) {
            self.down = ready(before).filter(|c| c.status == "False").map(|c| c.reason);
        }
        let now = ready(after)?;
        let reason = Reason::ALL.iter().copied().find(|r| r.as_str() == now.reason)?;
        let draft = |warning| EventDraft {
            warning,
            reason,
            action: "Observe",
            note: now.message.clone(),
        };
        match now.status.as_str() {
            "False" if self.down.as_ref() != Some(&now.reason) => {
                self.down = Some(now.reason.clone());
                Some(draft(true))
            }
            "True" => self.down.take().map(|_| draft(false)),
            _ => None,
        }
    }
}

impl Tender {
    pub(super) async fn publish(&mut self, config: &ProviderConfig) -> Result<(), Error> {
        if !self.shell.serves(&self.key) {
            return Ok(());
        }
        let Some((state, view)) = self.shell.accounts.state(&self.key) else {
            return Ok(());
        };
        let now = self.shell.ctx.clock.now();
        let mut status = config_status::status(config, &state, &view, &self.shell.ctx.installation, now);
        let recorded = config.status.clone().unwrap_or_default();
        let held = self.word.hold(config, &mut status, now);
        self.publish_due = held.map(|due| self.shell.ctx.clock.instant(due));
        let counted = recorded.servers != status.servers;
        if counted
            && let Some(due) = self
                .counts_at
                .map(|at| at + COUNTS)
                .filter(|due| *due > Instant::now())
        {
            status.servers = recorded.servers.clone();
            self.publish_due = Some(self.publish_due.map_or(due, |held| held.min(due)));
        }
        if recorded == status {
            return Ok(());
        }
        let counts_written = recorded.servers != status.servers;
        let event = self.told.next(&recorded, &status);
        self.write(config, status).await?;
        if let Some(event) = event {
            self.shell.events.publish(config.object_ref(&()), event);
        }
        if counts_written {
            self.counts_at = Some(Instant::now());
        }
        Ok(())
    }

    pub(super) async fn write(
        &mut self,
        config: &ProviderConfig,
        status: ProviderConfigStatus,
    ) -> Result<(), Error> {
        let api: Api<ProviderConfig> = Api::namespaced(self.shell.ctx.client.clone(), &self.key.namespace);
        self.word.tries(&status);
        let wanted = ProviderConfig {
            status: Some(status),
            ..config.clone()
        };
        let params = PostParams {
            field_manager: Some(keys::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let put = timeout(REQUEST, api.replace_status(&self.key.name, &params, &wanted)).await;
        match put.map_err(|_| Error::Timeout)? {
            Ok(mut written) => {
                self.word.said();
                written.metadata.managed_fields = None;
                self.shell.configs.put(written);
                Ok(())
            }
            Err(kube::Error::Api(s)) if s.is_not_found() => Ok(()),
            Err(error) => {
                if let Ok(Ok(Some(mut fresh))) = timeout(REQUEST, api.get_opt(&self.key.name)).await {
                    fresh.metadata.managed_fields = None;
                    self.shell.configs.put(fresh);
                }
                Err(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::ConditionStatus;

    fn status(ready: ConditionStatus, reason: Reason) -> ProviderConfigStatus {
        let mut status = ProviderConfigStatus::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        conditions::set(
            &mut status.conditions,
            ConditionType::Ready,
            ready,
            reason,
            "words",
            None,
            now,
        );
        status
    }

    #[test]
    fn each_turn_of_an_account_is_told_once() {
        use ConditionStatus::{False, True, Unknown};
        let (none, connecting) = (
            ProviderConfigStatus::default(),
            status(Unknown, Reason::Connecting),
        );
        let (up, away) = (
            status(True, Reason::Reachable),
            status(False, Reason::Unreachable),
        );
        let refused = status(False, Reason::CredentialsInvalid);
        let steps = [
            (&none, &connecting, None),
            (&connecting, &up, None),
            (&up, &up, None),
            (&up, &away, Some(true)),
            (&away, &away, None),
            (&away, &refused, Some(true)),
            (&refused, &connecting, None),
            (&connecting, &up, Some(false)),
            (&up, &up, None),
        ];
        let mut told = Told::default();
        for (i, (before, after, event)) in steps.into_iter().enumerate() {
            assert_eq!(told.next(before, after).map(|e| e.warning), event, "step {i}");
        }
        let mut restarted = Told::default();
        assert_eq!(restarted.next(&away, &connecting), None);
        assert_eq!(
            restarted.next(&connecting, &away),
            None,
            "said before the process began"
        );
        assert_eq!(restarted.next(&away, &up).map(|e| e.warning), Some(false));
    }
}
