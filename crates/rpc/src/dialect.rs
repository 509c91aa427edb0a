//! Speaks CRI v1 or v1alpha2 with one set of messages: the two differ, in what kubeadm uses of them, by the name of
//! their package alone, which stands in the path of each call (`/runtime.v1.RuntimeService/Status`).

use std::task::{Context, Poll};

use tonic::codegen::Service;
use tonic::codegen::http::{Request, Uri};

const V1: &str = "/runtime.v1.";
const V1_ALPHA2: &str = "/runtime.v1alpha2.";

/// The versions of the CRI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Kubernetes 1.23 and later, containerd 1.6 and later.
    V1,
    /// What older runtimes have; containerd 2.0 dropped it.
    V1Alpha2,
}

/// A channel that speaks one dialect.
#[derive(Debug, Clone)]
pub struct Spoken<S> {
    channel: S,
    dialect: Dialect,
}

impl<S> Spoken<S> {
    /// Speaks `dialect` through `channel`.
    pub fn new(channel: S, dialect: Dialect) -> Self {
        Self { channel, dialect }
    }
}

impl<S, B> Service<Request<B>> for Spoken<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.dialect == Dialect::V1Alpha2
            && let Some(uri) = renamed(request.uri())
        {
            *request.uri_mut() = uri;
        }
        self.channel.call(request)
    }
}

/// The v1alpha2 address of a v1 call; `None` for anything else.
fn renamed(uri: &Uri) -> Option<Uri> {
    let path = format!("{V1_ALPHA2}{}", uri.path().strip_prefix(V1)?);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_calls_only() {
        let renamed = |uri: &str| renamed(&uri.parse().unwrap()).map(|u| u.to_string());
        assert_eq!(
            renamed("http://cri/runtime.v1.RuntimeService/Status").as_deref(),
            Some("http://cri/runtime.v1alpha2.RuntimeService/Status")
        );
        assert_eq!(
            renamed("/runtime.v1.ImageService/PullImage").as_deref(),
            Some("/runtime.v1alpha2.ImageService/PullImage")
        );
        assert_eq!(renamed("/runtime.v1alpha2.ImageService/PullImage"), None);
        assert_eq!(renamed("/other"), None);
    }
}
