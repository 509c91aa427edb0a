//! The versions that an upgrade across minors goes through, as the command line names them: the last is where it ends,
//! those before it are of the minors between. What is not named is looked up.

use kubeadm_engine::ports::Output;
use kubeadm_release::{Version, skew};

use super::network::Network;
use crate::error::CommandError;
use crate::session::Session;
use crate::values::Values;
use crate::wish;

/// A version as it is named: exactly, or the newest of a minor.
enum Stop {
    Exact(Version),
    Newest(Version),
}

impl Stop {
    fn parse(flag: &str, text: &str) -> Result<Self, CommandError> {
        if let Ok(version) = text.parse() {
            return Ok(Self::Exact(version));
        }
        match Version::first_of_minor(text) {
            Ok(minor) => Ok(Self::Newest(minor)),
            Err(_) => Err(CommandError::new(format!(
                "--{flag}: expected versions such as v1.37 or v1.37.2, separated by commas, found {text:?}"
            ))),
        }
    }
}

/// The versions that were named.
pub(super) struct Wished {
    between: Vec<Stop>,
    to: Stop,
}

/// Versions to stop at.
pub(super) struct Stops {
    /// Of the minors between.
    pub(super) between: Vec<Version>,
    /// Where the way ends.
    pub(super) to: Version,
    /// The first releases of minors that nobody tells the newest version of. The last minor may be among them, and then
    /// its first release stands for where the way ends.
    pub(super) unknown: Vec<Version>,
}

impl Wished {
    /// What a flag names.
    pub(super) fn of(flags: &Values, flag: &str) -> Result<Self, CommandError> {
        let stops: Result<Vec<Stop>, _> =
            flags.list(flag).iter().map(|text| Stop::parse(flag, text)).collect();
        let mut between = stops?;
        match between.pop() {
            Some(to) => Ok(Self { between, to }),
            None => Err(CommandError::new(format!("--{flag}: expected a version, found none"))),
        }
    }

    /// The versions on the way from where a cluster stands.
    pub(super) fn look_up(
        &self,
        from: &Version,
        session: &Session,
        output: &dyn Output,
    ) -> Result<Stops, CommandError> {
        let mut network = Network::new(session, output);
        let own = skew::cleaned(&wish::own_version());
        let mut newest = |minor: &Version| -> Result<Option<Version>, CommandError> {
            let found = network.look_up(&skew::stable_label(minor))?;
            // Of its own minor kubeadm knows a version without asking.
            Ok(found.or_else(|| skew::same_minor(minor, &own).then(|| own.clone())))
        };
        let (mut between, mut unknown) = (Vec::new(), Vec::new());
        let to = match &self.to {
            Stop::Exact(version) => version.clone(),
            Stop::Newest(minor) => newest(minor)?.unwrap_or_else(|| {
                unknown.push(minor.clone());
                minor.clone()
            }),
        };
        for stop in &self.between {
            match stop {
                Stop::Exact(version) => between.push(version.clone()),
                Stop::Newest(minor) if skew::upgrade_step(from, minor) < 0 => {}
                Stop::Newest(minor) => between.extend(newest(minor)?),
            }
        }
        for minor in skew::minors_between(from, &to) {
            if !between.iter().chain([&to]).any(|stop| skew::same_minor(stop, &minor)) {
                match newest(&minor)? {
                    Some(version) => between.push(version),
                    None => unknown.push(minor),
                }
            }
        }
        Ok(Stops { between, to, unknown })
    }
}
