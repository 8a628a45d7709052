//! Whose account it is: learned once, and the same from then on.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Tender, UNAUTHORIZED};
use crate::api::{ProviderConfig, Reason};
use crate::controller::accounts::ConfigState;
use crate::controller::{Error, config_status};
use crate::observer::View;
use crate::planner::model::{CloudError, ErrorClass};
use crate::planner::same_account;
use crate::providers::{Account, Provider};

impl Tender {
    /// An account is pinned when it is first reached: another one's servers are not ours to judge.
    pub(super) async fn pin(
        &mut self,
        config: &ProviderConfig,
        account: Account,
        provider: Arc<dyn Provider>,
    ) -> Result<(), Error> {
        self.retry_at = None;
        self.failures = 0;
        let pinned = config.status.as_ref().and_then(|s| s.account.as_ref());
        if let Some(pinned) = pinned.filter(|p| !same_account(&p.id, &account.id)) {
            let words = format!(
                "the credentials are those of account {}, but this ProviderConfig was of account {} before",
                account.id, pinned.id
            );
            self.refuse(
                &CloudError::new(ErrorClass::InvalidSpec, words),
                Reason::AccountChanged,
            );
            // Asked again only when the credentials change, or the status.
            self.retry_at = Some(Instant::now() + UNAUTHORIZED);
            return Ok(());
        }
        let id = account.id.clone();
        let usable = ConfigState::Usable {
            since: self.shell.ctx.clock.now(),
            account: account.clone(),
            cloud: self.cloud,
            provider,
            retired: None,
        };
        if !self.shell.ctx.ownership.owns(&id) {
            return self.introduce(config, &usable).await;
        }
        self.account = Some(account);
        self.state = usable;
        Ok(())
    }

    /// Says whose account it is, and nothing more: another replica sees that it is its own.
    async fn introduce(&mut self, config: &ProviderConfig, usable: &ConfigState) -> Result<(), Error> {
        if !self.shell.serves(&self.key) {
            return Ok(());
        }
        let (now, nothing) = (self.shell.ctx.clock.now(), View::default());
        let status = config_status::status(config, usable, &nothing, &self.shell.ctx.installation, now);
        self.write(config, status).await?;
        self.shell.moved.notify_one();
        Ok(())
    }
}
