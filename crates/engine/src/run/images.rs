//! Images: which are pulled, one after another or all at once, and how often that is tried.

use super::{ActionError, Executor};
use crate::backoff;
use crate::plan::PullImages;
use crate::ports::{RuntimeError, WriteRuntime};

impl Executor<'_> {
    pub(super) async fn pull(&self, pull: &PullImages) -> Result<(), ActionError> {
        let runtime = self.fx.runtimes.writer(&pull.socket);
        let mut failures = Vec::new();
        if pull.serial {
            for (n, image) in pull.images.iter().enumerate() {
                self.fx.output.progress(&format!("image {} of {}: {image}", n + 1, pull.images.len()));
                let Err(error) = self.pull_one(&*runtime, image, pull.always).await else { continue };
                failures.push(failed(image, &error));
                // It was asked for long enough: the other images would only take as long again.
                if error.is_late() {
                    break;
                }
            }
        } else {
            let all = pull.images.iter().map(async |image| {
                self.pull_one(&*runtime, image, pull.always).await.err().map(|error| failed(image, &error))
            });
            failures.extend(futures::future::join_all(all).await.into_iter().flatten());
        }
        self.fx.output.progress("");
        self.checked("ImagePull", failures, pull.ignore_errors)
    }

    /// Upstream tries five times within milliseconds (quirk 23): a registry that stumbles needs a moment.
    async fn pull_one(
        &self,
        runtime: &dyn WriteRuntime,
        image: &str,
        always: bool,
    ) -> Result<(), RuntimeError> {
        if !always {
            match backoff::of_runtime(&*self.fx.clock, || runtime.image_present(image)).await {
                Ok(true) => {
                    tracing::debug!(image, "image exists");
                    return Ok(());
                }
                Ok(false) => {}
                Err(error @ (RuntimeError::Unreachable { .. } | RuntimeError::Late { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    let text = format!("Failed to get image status, image: {image:?}, error: {error}");
                    self.fx.output.warn(&text);
                }
            }
        }
        let mut tries = self.patiently();
        for attempt in 1.. {
            match runtime.pull(image).await {
                Ok(()) => return Ok(()),
                // A runtime that is not there will not be there in a moment.
                Err(error) if attempt == PULL_TRIES || matches!(error, RuntimeError::Unreachable { .. }) => {
                    return Err(error);
                }
                Err(error) => tracing::debug!(image, attempt, %error, "pull failed"),
            }
            tries.pause().await;
        }
        Ok(())
    }
}

fn failed(image: &str, error: &RuntimeError) -> String {
    format!("failed to pull image {image}: {error}")
}

/// Tries to pull one image. cmd/kubeadm/app/constants/constants.go: PullImageRetry.
const PULL_TRIES: u32 = 5;
