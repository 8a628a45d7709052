//! A git repository in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A repository; every commit is on `main`.
pub struct Git(PathBuf);

impl Git {
    pub fn init(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let git = Self(folder);
        git.run(&["init", "-q", "-b", "main"]);
        git
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    fn run(&self, args: &[&str]) -> String {
        let out = Command::new("git")
            .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
            .args(args)
            .current_dir(&self.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "git {args:?}: {said}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Replaces what is in the repository; the new revision.
    pub fn commit<'a>(&self, files: impl IntoIterator<Item = (&'a String, &'a Value)>) -> String {
        let folder = self.0.join("shop");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        // A folder without files is not in git; Argo CD refuses a path that is not there.
        write(&folder.join("README"), "nothing that is applied");
        for (name, object) in files {
            write(&folder.join(format!("{name}.json")), &object.to_string());
        }
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", "a wish"]);
        self.run(&["rev-parse", "HEAD"])
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
