//! Names to addresses as the Go programs of Kubernetes do it: `/etc/hosts`, then the servers of `/etc/resolv.conf`.
//! glibc's resolver is not used: linked statically it loads libraries of the machine it runs on, or fails without them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::dns::{self, Answer, RecordType};
use crate::files::words;

/// A name that could not be resolved, in Go's words: `lookup NAME on SERVER: no such host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LookupError {
    name: String,
    server: Option<SocketAddr>,
    reason: String,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lookup {}", self.name)?;
        if let Some(server) = self.server {
            write!(f, " on {server}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for LookupError {}

/// A resolver that reads its files at each lookup, for they may change during a long run.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    hosts: PathBuf,
    config: PathBuf,
    port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), config: "/etc/resolv.conf".into(), port: 53 }
    }
}

impl Resolver {
    /// All addresses of a name, or the address itself when it is one.
    pub(crate) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![ip]);
        }
        let from_file = in_hosts(&read(&self.hosts), name);
        if !from_file.is_empty() {
            return Ok(from_file);
        }
        let config = Config::parse(&read(&self.config), self.port);
        let mut failure = LookupError { name: name.into(), server: None, reason: "no such host".into() };
        for candidate in config.candidates(name) {
            match self.ask(&config, &candidate).await {
                Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
                Ok(_) => failure.server = config.servers.first().copied(),
                Err((server, reason)) => {
                    failure.server = Some(server);
                    failure.reason = reason;
                    // The servers do not answer: they will not for the next candidate either.
                    return Err(failure);
                }
            }
        }
        Err(failure)
    }

    /// Asks for both families at once; no addresses means that the servers know of none.
    async fn ask(&self, config: &Config, name: &str) -> Result<Vec<IpAddr>, (SocketAddr, String)> {
        let (v4, v6) =
            tokio::join!(query(config, name, RecordType::A), query(config, name, RecordType::Aaaa));
        match (v4, v6) {
            (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
            // Some servers drop questions for one family.
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            (Err(e), _) | (_, Err(e)) => Err(e),
        }
    }
}

/// Asks one server after the other, and all of them again, as often as the configuration says.
async fn query(config: &Config, name: &str, record: RecordType) -> Result<Vec<IpAddr>, (SocketAddr, String)> {
    let Some(question) = dns::question(dns::random_id(), name, record) else { return Ok(Vec::new()) };
    let mut failure = (SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), "no such host".to_owned());
    for _ in 0..config.attempts {
        for &server in &config.servers {
            let failed = match tokio::time::timeout(config.timeout, exchange(server, &question)).await {
                Ok(Ok(Answer::Addresses(addresses))) => return Ok(addresses),
                Ok(Ok(Answer::NoSuchName)) => return Ok(Vec::new()),
                Ok(Ok(Answer::ServerFailure)) => "server misbehaving".to_owned(),
                Ok(Err(e)) => words(&e),
                Err(_) => "i/o timeout".to_owned(),
            };
            failure = (server, failed);
        }
    }
    Err(failure)
}

async fn exchange(server: SocketAddr, question: &[u8]) -> io::Result<Answer> {
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0)).await?;
    // A connected socket takes datagrams of this server only, and hears of a port nobody listens on.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = [0; 1500];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match dns::answer(question, &buffer[..length]) {
            Some(dns::Reply::Whole(answer)) => return Ok(answer),
            Some(dns::Reply::Cut) => return exchange_by_tcp(server, question).await,
            // Not the answer to this question: wait for it.
            None => {}
        }
    }
}

async fn exchange_by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let mut message = (question.len() as u16).to_be_bytes().to_vec();
    message.extend(question);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    match dns::answer(question, &reply) {
        Some(dns::Reply::Whole(answer)) => Ok(answer),
        _ => Err(io::Error::other("cannot unmarshal DNS message")),
    }
}

/// A file that cannot be read says nothing.
fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Addresses of a name in a hosts file (`man 5 hosts`).
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.trim_end_matches('.').eq_ignore_ascii_case(name)) && !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

/// What matters of resolv.conf (`man 5 resolv.conf`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Config {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    timeout: Duration,
    attempts: u32,
}

impl Config {
    fn parse(text: &str, port: u16) -> Self {
        // Two seconds, not the five of glibc and Go: a server that answers does so in far less, and one that does
        // not should not hold up a warning for ten.
        let mut config = Self {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(2),
            attempts: 2,
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if config.servers.len() < 3 => {
                    let ip = words.next().and_then(|ip| ip.split('%').next()?.parse::<IpAddr>().ok());
                    config.servers.extend(ip.map(|ip| SocketAddr::new(ip, port)));
                }
                Some("domain" | "search") => config.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let options: BTreeMap<_, _> = words.filter_map(|w| w.split_once(':')).collect();
                    let number = |name| options.get(name).and_then(|v| v.parse::<u32>().ok());
                    config.dots = number("ndots").map_or(config.dots, |n| n.min(15) as usize);
                    config.attempts = number("attempts").map_or(config.attempts, |n| n.clamp(1, 5));
                    config.timeout = number("timeout")
                        .map_or(config.timeout, |n| Duration::from_secs(n.clamp(1, 30).into()));
                }
                _ => {}
            }
        }
        if config.servers.is_empty() {
            let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            config.servers = local.map(|ip| SocketAddr::new(ip, port)).into();
        }
        config
    }

    /// The absolute names to try, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let itself = format!("{name}.");
        let mut names: Vec<_> =
            self.search.iter().map(|domain| format!("{name}.{}.", domain.trim_matches('.'))).collect();
        let dotted = name.matches('.').count() >= self.dots;
        names.insert(if dotted { 0 } else { names.len() }, itself);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(dir: &Path, hosts: &str, config: &str, port: u16) -> Resolver {
        std::fs::write(dir.join("hosts"), hosts).unwrap();
        std::fs::write(dir.join("resolv.conf"), config).unwrap();
        Resolver { hosts: dir.join("hosts"), config: dir.join("resolv.conf"), port }
    }

    /// A server that knows one name, as an IPv4 address.
    async fn server(known: &'static str) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let mut reply = buffer[..length].to_vec();
                let right = dns::question(0, known, RecordType::A).unwrap();
                let exists = reply[12..length - 4] == right[12..right.len() - 4];
                let wants_v4 = reply[12..] == right[12..];
                // Response, recursion available; 3 is "no such name".
                reply[2..4].copy_from_slice(&[0x81, if exists { 0x80 } else { 0x83 }]);
                if wants_v4 {
                    reply[7] = 1;
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3]);
                }
                socket.send_to(&reply, peer).await.unwrap();
            }
        });
        port
    }

    #[tokio::test]
    async fn hosts_come_first_and_need_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = "127.0.0.1 localhost # me\n10.0.0.1 Node1.example node1\nfd00::1 node1\nbad node1\n";
        let resolver = resolver(dir.path(), hosts, "nameserver 192.0.2.1\n", 53);
        let ips: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(resolver.lookup("NODE1").await.unwrap(), ips);
        assert_eq!(resolver.lookup("node1.example.").await.unwrap(), ips[..1]);
        assert_eq!(resolver.lookup("192.168.0.1").await.unwrap().len(), 1);
        assert_eq!(resolver.lookup("[::1]").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn servers_and_search_domains() {
        let dir = tempfile::tempdir().unwrap();
        let port = server("api.cluster.example.").await;
        let resolver = resolver(dir.path(), "", "nameserver 127.0.0.1\nsearch other cluster.example\n", port);
        let ip: IpAddr = "10.1.2.3".parse().unwrap();
        assert_eq!(resolver.lookup("api").await.unwrap(), [ip]);
        assert_eq!(resolver.lookup("api.cluster.example").await.unwrap(), [ip]);
        let error = resolver.lookup("nobody").await.unwrap_err().to_string();
        assert_eq!(error, format!("lookup nobody on 127.0.0.1:{port}: no such host"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let resolver = resolver(dir.path(), "", "nameserver 127.0.0.1\n", port);
        let error = resolver.lookup("node").await.unwrap_err().to_string();
        assert_eq!(error, format!("lookup node on 127.0.0.1:{port}: connection refused"));
    }

    #[test]
    fn configurations() {
        let text = "nameserver 10.0.0.1\nnameserver fe80::1%eth0 # b\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n\
                    domain old\nsearch a.example b.example.\noptions ndots:2 timeout:9 attempts:0 rotate\n";
        let config = Config::parse(text, 53);
        assert_eq!(config.servers.len(), 3);
        assert_eq!((config.dots, config.timeout.as_secs(), config.attempts), (2, 9, 1));
        assert_eq!(config.candidates("x.y"), ["x.y.a.example.", "x.y.b.example.", "x.y."]);
        assert_eq!(config.candidates("x.y.z")[0], "x.y.z.");
        assert_eq!(config.candidates("x."), ["x."]);
        assert_eq!(Config::parse("", 53).servers.len(), 2);
    }
}
