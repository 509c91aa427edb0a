//! etcd: this node's member comes and goes, and gives a snapshot.

use std::path::Path;
use std::time::Duration;

use super::{ActionError, Executor};
use crate::backoff::retry;
use crate::etcd;
use crate::etcd::join::{JoinEtcdError, Joining};
use crate::plan::{JoinEtcd, RemoveEtcdMember};
use crate::ports::*;

impl Executor<'_> {
    pub(super) async fn join_etcd(&self, wanted: &JoinEtcd) -> Result<(), JoinEtcdError> {
        let etcd = self.fx.etcds.writer(&wanted.access);
        etcd::join::join(wanted, self.joining(&*etcd)).await
    }

    pub(super) async fn rehearse_joining_etcd(&self, wanted: &JoinEtcd) -> Result<(), JoinEtcdError> {
        let etcd = self.fx.etcds.writer(&wanted.access);
        etcd::join::rehearse(wanted, self.joining(&*etcd)).await
    }

    fn joining<'a>(&'a self, etcd: &'a dyn WriteEtcd) -> Joining<'a> {
        Joining {
            etcd,
            files: &*self.fx.files,
            runtime: &*self.runtime,
            view: self.view(),
            output: &*self.fx.output,
            queue: &self.queue,
            api: &*self.api,
        }
    }

    pub(super) async fn remove_etcd_member(&self, removal: &RemoveEtcdMember) -> Result<(), ActionError> {
        let id = removal.member.hex();
        etcd::member::remove(removal, &*self.fx.etcds, self.view(), &*self.fx.output)
            .await
            .map_err(|source| ActionError::RemoveEtcdMember { id, source })
    }

    pub(super) async fn snapshot(
        &self,
        access: &EtcdAccess,
        endpoint: &str,
        to: &Path,
        limit: Duration,
    ) -> Result<(), ActionError> {
        let etcd = self.fx.etcds.writer(access);
        let take = || etcd.snapshot(endpoint, to);
        let size = retry(&*self.fx.clock, limit, take, EtcdError::is_transient).await?;
        tracing::debug!(size, path = %to.display(), "snapshot of etcd");
        Ok(())
    }
}
