//! Labels of versions, looked up as long as the network answers: one silence costs its time-out, and then nothing more.

use kubeadm_config::detect::{Detect, FetchError};
use kubeadm_config::version;
use kubeadm_engine::ports::Output;
use kubeadm_release::Version;

use crate::error::CommandError;
use crate::session::Session;
use crate::wish;

/// Where labels are looked up, as long as there is an answer.
pub(super) struct Network<'a> {
    session: &'a Session,
    output: &'a dyn Output,
    /// Whether it has not yet failed to answer.
    pub(super) answers: bool,
}

impl<'a> Network<'a> {
    /// Nothing was asked yet. What there is to say goes to `output`.
    pub(super) fn new(session: &'a Session, output: &'a dyn Output) -> Self {
        Self { session, output, answers: true }
    }

    /// The version of a label; `None` if nobody could be asked.
    pub(super) fn look_up(&mut self, label: &str) -> Result<Option<Version>, CommandError> {
        if !self.answers {
            return Ok(None);
        }
        let mut host = self.session;
        let mut silent = false;
        let mut fetch = |url: &str| {
            let answer = host.fetch(url);
            silent |= matches!(answer, Err(FetchError::Unreachable(_)));
            answer
        };
        let mut notices = Vec::new();
        let own = wish::own_version();
        let found = version::resolve(label, &own, &mut fetch, &mut notices);
        for notice in notices {
            self.output.warn(&notice.text);
        }
        self.answers = !silent;
        let version = found?.version;
        Ok((!silent).then_some(version))
    }
}
