//! A client that never rests: it asks a server again and again and tells for how long no answer came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::command::wait_for;
use crate::error::At as _;
use crate::kubectl::Kubectl;
use crate::{Error, Result};

/// From one request to the next.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a request may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a load has seen.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Requests that were answered well.
    pub answered: u32,
    /// Requests that were not.
    pub failed: u32,
    /// The longest time from one good answer to the next.
    pub outage: Duration,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answered, failed, outage } = self;
        write!(
            f,
            "{answered} answers, {failed} failures, {:.1} s at most without an answer",
            outage.as_secs_f64()
        )
    }
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    /// Ends the asking when it goes.
    stop: Option<Sender<()>>,
    asking: Option<JoinHandle<Report>>,
    proxy: Option<Child>,
}

impl Load {
    /// Asks a web server for `/`.
    pub fn on_server(address: &str) -> Result<Self> {
        let address: SocketAddr =
            address.parse().map_err(|e| Error::Unfit(format!("{address} is no address of a server: {e}")))?;
        let request = "GET / HTTP/1.0\r\n\r\n".to_owned();
        Ok(Self::start(None, move |_| {
            let server = TcpStream::connect_timeout(&address, PATIENCE)?;
            server.set_read_timeout(Some(PATIENCE))?;
            ask(server, &request)
        }))
    }

    /// Writes to the API: a ConfigMap of this name, which it makes first. The requests go through one `kubectl proxy`,
    /// as those of a client that keeps its connection.
    pub fn on_api(kubectl: &Kubectl, name: &'static str) -> Result<Self> {
        kubectl.run(["create", "configmap", name])?;
        let socket = kubectl.kubeconfig().with_extension("proxy");
        let _ = std::fs::remove_file(&socket);
        let proxy = kubectl
            .command(["proxy", &format!("--unix-socket={}", socket.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .at("start kubectl proxy for", &socket)?;
        wait_for("kubectl proxy to listen", Duration::from_secs(10), || {
            UnixStream::connect(&socket).map(drop).map_err(|e| e.to_string())
        })?;
        Ok(Self::start(Some(proxy), move |count| write(&socket, name, count)))
    }

    fn start(proxy: Option<Child>, once: impl Fn(u32) -> std::io::Result<()> + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let asking = std::thread::spawn(move || {
            let mut report = Report { answered: 0, failed: 0, outage: Duration::ZERO };
            let mut last = Instant::now();
            loop {
                match once(report.answered) {
                    Ok(()) => {
                        report.answered += 1;
                        report.outage = report.outage.max(last.elapsed());
                        last = Instant::now();
                    }
                    Err(_) => report.failed += 1,
                }
                // The pace of a client, unless it is told to end.
                if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            report.outage = report.outage.max(last.elapsed());
            report
        });
        Self { stop: Some(stop), asking: Some(asking), proxy }
    }

    /// Ends the load and tells what it saw.
    pub fn finish(mut self) -> Result<Report> {
        self.stop = None;
        let report = self.asking.take().and_then(|asking| asking.join().ok());
        report.ok_or_else(|| Error::Unfit("a load's thread panicked".into()))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(proxy) = &mut self.proxy {
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

fn write(proxy: &Path, name: &str, count: u32) -> std::io::Result<()> {
    let body = format!("{{\"data\":{{\"count\":\"{count}\"}}}}");
    let request = format!(
        "PATCH /api/v1/namespaces/default/configmaps/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/merge-patch+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let proxy = UnixStream::connect(PathBuf::from(proxy))?;
    proxy.set_read_timeout(Some(PATIENCE))?;
    ask(proxy, &request)
}

/// Sends a request and reads the first line of the answer, which must tell of success.
fn ask(mut server: impl Read + Write, request: &str) -> std::io::Result<()> {
    server.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    server.read_exact(&mut answer)?;
    match &answer[9..] {
        b"200" => Ok(()),
        status => Err(std::io::Error::other(String::from_utf8_lossy(status).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn outage_is_the_longest_time_without_a_good_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen_enough, enough) = channel();
        std::thread::spawn(move || {
            for (n, mut client) in listener.incoming().flatten().enumerate() {
                let status = if (3..9).contains(&n) { "503 No" } else { "200 OK" };
                let _ = client.read(&mut [0; 64]);
                let _ = client.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes());
                if n == 12 {
                    let _ = seen_enough.send(());
                }
            }
        });
        let started = Instant::now();
        let load = Load::on_server(&address).unwrap();
        enough.recv().unwrap();
        let report = load.finish().unwrap();
        assert!(report.failed >= 2 && report.answered >= 3, "{report:?}");
        // Seven pauses are in it and two before it, however slow the machine is.
        let most = started.elapsed() - 2 * PAUSE;
        assert!((7 * PAUSE..=most).contains(&report.outage), "{report:?}, {most:?} at most");
    }
}
