//! A controller as a process of its own.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running controller; killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `evenkeel run` with the rights of that kubeconfig and this file as its log.
    pub fn start(kubeconfig: &Path, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(["run", "--allow-insecure-endpoints", "--admin-address=127.0.0.1:0"])
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "debug,hyper=info,h2=info")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Its id.
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends it a signal (`STOP`, `CONT`, `TERM`).
    pub fn signal(&self, name: &str) {
        signal(name, &self.pid());
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

/// Sends a signal to a process, or with a minus sign to a group of them.
pub fn signal(name: &str, target: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), "--", target])
        .status()
        .unwrap();
    assert!(sent.success(), "kill -{name} -- {target}");
}
