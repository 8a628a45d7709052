//! A controller as a process of its own.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::{SignedDuration, Timestamp};

/// A running controller; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `evenkeel run` with the rights of that kubeconfig, this file as its log, and more arguments.
    pub fn start(kubeconfig: &Path, log: &Path, more: &[&str]) -> Self {
        Self::start_in(kubeconfig, log, more, &[])
    }

    /// The same in an environment of its own.
    pub fn start_in(kubeconfig: &Path, log: &Path, more: &[&str], environment: &[(&str, OsString)]) -> Self {
        let file = File::create(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args([
                "run",
                "--allow-insecure-endpoints",
                "--admin-address=127.0.0.1:0",
                "--console-output",
            ])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "debug,hyper=info,h2=info")
            // Its log is read by words.
            .env("NO_COLOR", "1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let log = log.to_owned();
        Self { child, log }
    }

    /// Its calls that change something and that the cloud has answered, as it logged them. Questions are no calls:
    /// whoever may no longer act may still look.
    pub fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let answered = |l: &&str| {
            let words = ["the cloud answered", "the cloud refused"];
            words.iter().any(|w| l.contains(w))
                && !l.contains("not sent: ")
                && !l.contains("operation=\"Get\"")
        };
        text.lines().filter(answered).map(str::to_owned).collect()
    }

    /// Whether it has logged these words.
    pub fn has_logged(&self, words: &str) -> bool {
        std::fs::read_to_string(&self.log).unwrap().contains(words)
    }

    /// How far ahead of the machine's clock it tells the time in its log. A log says no more than that when it is old.
    pub fn ahead(&self) -> Option<SignedDuration> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        // The last line may be half written.
        let told = text
            .lines()
            .rev()
            .skip(1)
            .find_map(|l| l.split_whitespace().next()?.parse::<Timestamp>().ok());
        told.map(|t| t.duration_since(Timestamp::now()))
    }

    /// Sends it a signal (`STOP`, `CONT`, `TERM`, `KILL`).
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), "--", &pid])
            .status()
            .unwrap();
        assert!(sent.success(), "kill -{name} -- {pid}");
    }

    /// Ends it at once, and waits for that.
    pub fn kill(&mut self) {
        // Killing one that has ended already is what is wanted too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
