//! Runs a command once and tells what it took, as the kernel accounts for it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kubeadm_lab::{Error, Result};

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time of it and of what it ran.
    pub(crate) cpu: Duration,
    /// Most memory held at a time, in KiB.
    pub(crate) memory: i64,
}

/// Runs a command to its end; another exit status than 0 is an error.
pub(crate) fn measure(command: &mut Command) -> Result<Cost> {
    let line = format!("{command:?}");
    let failed = |outcome: String| Error::Command { command: line.clone(), outcome, tail: String::new() };
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let (status, usage) = wait(child.id()).map_err(|e| failed(e.to_string()))?;
    let wall = started.elapsed();
    if status != 0 {
        return Err(failed(format!("wait status {status:#x}")));
    }
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec.unsigned_abs()) + Duration::from_micros(t.tv_usec.unsigned_abs())
    };
    Ok(Cost { wall, cpu: time(usage.ru_utime) + time(usage.ru_stime), memory: usage.ru_maxrss })
}

/// Collects a child with what it used. The standard library does not tell the latter.
#[allow(unsafe_code)]
fn wait(pid: u32) -> std::io::Result<(i32, libc::rusage)> {
    let pid = libc::pid_t::try_from(pid).map_err(std::io::Error::other)?;
    let mut status = 0;
    // SAFETY: rusage is a plain structure of numbers, for which zeroes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to local variables that outlive the call. The child is ours and nobody else
        // collects it: its handle has no destructor that waits.
        if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } == pid {
            return Ok((status, usage));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_counts_processor_time_and_failures() {
        let cost =
            measure(Command::new("sh").args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]))
                .unwrap();
        assert!(cost.cpu > Duration::ZERO && cost.memory > 100, "{cost:?}");
        assert!(measure(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }
}
