//! Requests to Docker's Engine API on its unix socket, one connection each. Paths have no version: every daemon then
//! speaks its own, and what is read here is the same in all since 1.12, when Kubernetes' demands began.

use std::path::Path;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::connect::cause;
use crate::get::AGENT;

/// Bytes of an answer that are read: a list of all containers of a busy node is the longest.
const BODY: usize = 16 << 20;

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody answers, for this reason.
    Unreachable(String),
    /// Docker has not answered within this limit.
    Late(Duration),
    /// Docker refuses, in these words.
    Refused(StatusCode, String),
}

/// A request: method, path with query, and headers.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) target: &'a str,
    /// `X-Registry-Auth`: who pulls.
    pub(super) login: Option<String>,
}

impl<'a> Call<'a> {
    pub(super) fn get(target: &'a str) -> Self {
        Self { method: Method::GET, target, login: None }
    }
}

/// Sends a request and reads the head of a successful answer, both within `limit`.
pub(super) async fn open(
    socket: &Path,
    call: &Call<'_>,
    limit: Option<Duration>,
) -> Result<Response<Incoming>, Failure> {
    tracing::trace!("Docker {} {}", call.method, call.target);
    let answer = async {
        let answer = send(socket, call).await.map_err(|error| unreachable(error.as_ref()))?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let body = whole(answer).await?;
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = match told["message"].as_str() {
            Some(message) => message.to_owned(),
            // Daemons before 1.13 answer with the words alone.
            None => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        Err(Failure::Refused(status, if message.is_empty() { format!("status {status}") } else { message }))
    };
    within(limit, answer).await
}

/// Sends a request and reads the whole answer within `limit`.
pub(super) async fn read(socket: &Path, call: &Call<'_>, limit: Duration) -> Result<Bytes, Failure> {
    let answer = async { whole(open(socket, call, None).await?).await };
    within(Some(limit), answer).await
}

async fn within<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(limit) = limit else { return answer.await };
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(Failure::Late(limit)))
}

async fn send(socket: &Path, call: &Call<'_>) -> Result<Response<Incoming>, tower::BoxError> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer's body.
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(&call.method)
        .uri(call.target)
        // It means nothing on a unix socket, but there has to be one.
        .header(HOST, "docker")
        .header(USER_AGENT, AGENT)
        .header(CONTENT_LENGTH, 0);
    if let Some(login) = &call.login {
        request = request.header("X-Registry-Auth", login);
    }
    Ok(sender.send_request(request.body(Empty::<Bytes>::new())?).await?)
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(answer.into_body(), BODY).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| unreachable(error.as_ref()))
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::Unreachable(cause(error).0)
}

/// The JSON of an answer.
pub(super) fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|e| Failure::Unreachable(format!("what answers is not Docker: {e}")))
}
