//! Services, system, network, clock and output in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kubeadm_engine::ports::*;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Whether it starts at boot.
    pub enabled: bool,
    /// Its state.
    pub state: ServiceState,
    /// Its state once it was restarted.
    pub restarted: ServiceState,
}

/// What a machine is like.
#[derive(Debug, Clone)]
pub struct State {
    /// When every process starts, and what every clock shows.
    pub started: Timestamp,
    /// Host name.
    pub hostname: String,
    /// `uname`.
    pub uname: Uname,
    /// User.
    pub uid: u32,
    /// Processors.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// The init system, if there is one.
    pub init_system: Option<InitSystem>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Journal of the kubelet.
    pub journal: Vec<String>,
    /// Programs that PATH does not have.
    pub missing_programs: BTreeSet<String>,
    /// What programs say; others say nothing and succeed.
    pub outputs: BTreeMap<String, CommandOutput>,
    /// Answers by URL; others answer 200. An error refuses the connection.
    pub answers: BTreeMap<String, Result<HttpAnswer, String>>,
    /// Ports that cannot be listened on.
    pub ports: BTreeMap<u16, ListenError>,
    /// What host names resolve to.
    pub resolved: Result<Vec<IpAddr>, String>,
    /// The proxy for every URL.
    pub proxy: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        let kubelet =
            Service { enabled: true, state: ServiceState::Running, restarted: ServiceState::Running };
        Self {
            started: started(),
            hostname: "cp1".into(),
            uname: Uname { sysname: "Linux".into(), release: "6.1.0".into(), machine: "x86_64".into() },
            uid: 0,
            cpus: 2,
            memory: 4 << 30,
            init_system: Some(InitSystem::Systemd),
            services: [("kubelet".to_owned(), kubelet)].into(),
            journal: Vec::new(),
            missing_programs: BTreeSet::new(),
            outputs: BTreeMap::new(),
            answers: BTreeMap::new(),
            ports: BTreeMap::new(),
            resolved: Ok(vec![IpAddr::from([192, 0, 2, 10])]),
            proxy: None,
        }
    }
}

impl State {
    /// Installs a kubelet of a version.
    pub fn install_kubelet(&mut self, version: &str) {
        self.say("kubelet", &format!("Kubernetes {version}\n"));
    }

    /// Has a program succeed and say something.
    pub fn say(&mut self, program: &str, stdout: &str) {
        let output = CommandOutput { code: Some(0), stdout: stdout.into(), stderr: String::new() };
        self.outputs.insert(program.into(), output);
    }

    /// Has a program fail and say something.
    pub fn fail(&mut self, program: &str, stderr: &str) {
        let output = CommandOutput { code: Some(1), stdout: String::new(), stderr: stderr.into() };
        self.outputs.insert(program.into(), output);
    }

    /// Has a URL answer.
    pub fn answer(&mut self, url: &str, status: u16, body: &str) {
        self.answers.insert(url.into(), Ok(HttpAnswer { status, body: body.into() }));
    }

    /// Has a URL refuse connections.
    pub fn refuse(&mut self, url: &str) {
        self.answers.insert(url.into(), Err("connection refused".into()));
    }

    /// The kubelet.
    pub fn kubelet(&mut self) -> &mut Service {
        self.services.entry("kubelet".into()).or_insert_with(|| Service {
            enabled: true,
            state: ServiceState::Running,
            restarted: ServiceState::Running,
        })
    }
}

/// A machine with systemd, a kubelet and an address. Time passes only by waiting.
#[derive(Debug, Default)]
pub struct Machine {
    state: Mutex<State>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    service_log: Mutex<Vec<String>>,
    elapsed: Arc<Mutex<Duration>>,
    kubelet: Kubelet,
}

/// What starts when the kubelet's service does.
#[derive(Default)]
struct Kubelet(Mutex<Option<Box<dyn Fn() + Send>>>);

impl std::fmt::Debug for Kubelet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubelet")
    }
}

impl Machine {
    /// A machine whose time others may pass too.
    pub(crate) fn with_time(elapsed: Arc<Mutex<Duration>>) -> Self {
        Self { elapsed, ..Self::default() }
    }

    /// Changes what the machine is like.
    pub fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut lock(&self.state))
    }

    /// Verbs that services were given, such as `restart kubelet`.
    pub fn service_log(&self) -> Vec<String> {
        lock(&self.service_log).clone()
    }

    /// Has the service `kubelet` start something, from now on.
    pub(crate) fn kubelet(&self, start: impl Fn() + Send + 'static) {
        *lock(&self.kubelet.0) = Some(Box::new(start));
    }

    /// A machine like this one, with a clock of its own.
    pub(crate) fn fork(&self, elapsed: Arc<Mutex<Duration>>) -> Self {
        *lock(&elapsed) = *lock(&self.elapsed);
        let (state, service_log) = (Mutex::new(self.state()), Mutex::new(self.service_log()));
        Self { state, service_log, env: self.env.clone(), elapsed, kubelet: Kubelet::default() }
    }

    fn state(&self) -> State {
        lock(&self.state).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no test panics with the lock")
}

#[async_trait]
impl Services for Machine {
    fn init_system(&self) -> Result<InitSystem, ServiceError> {
        let none = || ServiceError { command: "systemctl".into(), reason: "not found".into() };
        self.state().init_system.ok_or_else(none)
    }
    async fn exists(&self, service: &str) -> bool {
        self.state().services.contains_key(service)
    }
    async fn enabled(&self, service: &str) -> bool {
        self.state().services.get(service).is_some_and(|s| s.enabled)
    }
    async fn active(&self, service: &str) -> bool {
        let running = |s: &Service| matches!(s.state, ServiceState::Running | ServiceState::Failing { .. });
        self.state().services.get(service).is_some_and(running)
    }
    async fn state(&self, service: &str) -> ServiceState {
        let services = self.state().services;
        services.get(service).map_or(ServiceState::Missing, |s| s.state.clone())
    }
    async fn journal(&self, _: &str, _: usize) -> Vec<String> {
        self.state().journal
    }
    fn enable_command(&self, service: &str) -> String {
        format!("systemctl enable {service}.service")
    }
}

#[async_trait]
impl WriteServices for Machine {
    async fn stop(&self, service: &str) -> Result<(), ServiceError> {
        lock(&self.service_log).push(format!("stop {service}"));
        self.set(|state| {
            if let Some(service) = state.services.get_mut(service) {
                service.state = ServiceState::Stopped;
            }
        });
        Ok(())
    }
    async fn restart(&self, service: &str) -> Result<(), ServiceError> {
        lock(&self.service_log).push(format!("restart {service}"));
        self.set(|state| {
            if let Some(service) = state.services.get_mut(service) {
                service.state = service.restarted.clone();
            }
        });
        if let ("kubelet", Some(start)) = (service, &*lock(&self.kubelet.0)) {
            start();
        }
        Ok(())
    }
}

#[async_trait]
impl System for Machine {
    fn hostname(&self) -> String {
        self.state().hostname
    }
    fn uname(&self) -> Uname {
        self.state().uname
    }
    fn uid(&self) -> u32 {
        self.state().uid
    }
    fn cpus(&self) -> usize {
        self.state().cpus
    }
    fn memory(&self) -> u64 {
        self.state().memory
    }
    fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        (!self.state().missing_programs.contains(name)).then(|| PathBuf::from("/usr/bin").join(name))
    }
    async fn output(&self, program: &str, _: &[&str]) -> Result<CommandOutput, CommandError> {
        if self.find_program(program).is_none() {
            return Err(CommandError { program: program.into(), reason: "No such file or directory".into() });
        }
        let silent = CommandOutput { code: Some(0), stdout: String::new(), stderr: String::new() };
        Ok(self.state().outputs.remove(program).unwrap_or(silent))
    }
}

#[async_trait]
impl Net for Machine {
    fn interfaces(&self) -> Vec<Interface> {
        vec![Interface {
            name: "eth0".into(),
            up: true,
            loopback: false,
            point_to_point: false,
            addresses: vec![IpAddr::from([192, 0, 2, 10])],
        }]
    }
    fn can_listen(&self, address: SocketAddr) -> Result<(), ListenError> {
        self.state().ports.remove(&address.port()).map_or(Ok(()), Err)
    }
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, String> {
        self.state().resolved
    }
    async fn get(&self, request: &HttpGet) -> Result<HttpAnswer, HttpError> {
        match self.state().answers.remove(&request.url) {
            None => Ok(HttpAnswer { status: 200, body: "ok".into() }),
            Some(Ok(answer)) => Ok(answer),
            Some(Err(reason)) => Err(HttpError { reason, refused: true }),
        }
    }
    fn proxy_for(&self, _: &str) -> Option<String> {
        self.state().proxy
    }
}

#[async_trait]
impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.started()
    }
    fn started(&self) -> Timestamp {
        lock(&self.state).started
    }
    fn elapsed(&self) -> Duration {
        // Time passes a little by itself, so that a wait without pauses ends too.
        let mut elapsed = lock(&self.elapsed);
        *elapsed += Duration::from_millis(10);
        *elapsed
    }
    async fn pause(&self, time: Duration) {
        *lock(&self.elapsed) += time;
    }
}

/// When every process on the machine starts, unless a test says otherwise.
pub(crate) fn started() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// Keeps what was said.
#[derive(Debug, Default)]
pub struct Recorder {
    said: Mutex<Vec<String>>,
    warned: Mutex<Vec<String>>,
    /// Whether questions are answered with no.
    pub refuses: std::sync::atomic::AtomicBool,
}

impl Recorder {
    /// Standard output.
    pub fn said(&self) -> Vec<String> {
        lock(&self.said).clone()
    }

    /// Warnings and notes.
    pub fn warned(&self) -> Vec<String> {
        lock(&self.warned).clone()
    }
}

impl Output for Recorder {
    fn say(&self, text: &str) {
        lock(&self.said).push(text.into());
    }
    fn warn(&self, text: &str) {
        lock(&self.warned).push(text.into());
    }
    fn note(&self, text: &str) {
        lock(&self.warned).push(text.into());
    }
    fn confirm(&self, question: &str) -> bool {
        self.say(question);
        !self.refuses.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Progress for Recorder {
    fn progress(&self, _: &str) {}
}
