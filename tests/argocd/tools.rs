//! The programs that judge.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a variable says, which `tests/env/provision.sh PART` prints. Without it there is nothing to test, which is
/// said; where `CI` is set it has to be there.
pub fn provisioned(variable: &str, part: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        let hint = format!("{variable} is not set: eval \"export $(tests/env/provision.sh {part})\"");
        assert!(std::env::var_os("CI").is_none(), "{hint}");
        // Past the capture of the test harness: who skips must see it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {hint}");
    }
    found
}

/// Argo CD's programs.
pub fn argocd() -> Option<PathBuf> {
    provisioned("EVENKEEL_ARGOCD_BIN", "argocd")
}

/// The program that says the kstatus.
pub fn kstatus() -> Option<PathBuf> {
    provisioned("EVENKEEL_KSTATUS", "kstatus")
}

/// Hands objects to a program and reads one answer for each.
pub fn ask(command: &mut Command, objects: &[Value]) -> Result<Vec<Value>, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{command:?}: {e}"))?;
    let text: String = objects.iter().map(|o| format!("{o}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    // Whoever ended early says why on its own output.
    let _ = writer.join();
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&out.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    assert_eq!(answers.len(), objects.len(), "{command:?}");
    Ok(answers)
}
