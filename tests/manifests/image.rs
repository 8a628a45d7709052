//! The image: what is in it, as whom it runs, that it is the same each time. And the bill of materials.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::helm::{only, root, template, text};

fn image(args: &[&str]) -> Output {
    let script = root("release/image.py");
    Command::new("python3")
        .arg(script)
        .args(args)
        .output()
        .expect("python3")
}

fn said(out: &Output) -> String {
    String::from_utf8([out.stdout.as_slice(), &out.stderr].concat()).unwrap()
}

/// The program of these tests without its symbols, which are five times its size.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evenkeel-stripped");
        let done = Command::new("strip")
            .arg("-o")
            .arg(&file)
            .arg(env!("CARGO_BIN_EXE_evenkeel"))
            .status();
        assert!(done.expect("strip (binutils)").success());
        file.to_str().unwrap().to_owned()
    })
}

/// The program of these tests is linked dynamically and has the simulators in it: it stands for the form alone.
/// `make image` builds the real one, and has it verified and run.
fn built(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let part = format!("{}={}", platform(), program());
    let out = image(&[
        "build",
        "--allow-dynamic",
        "--tag",
        "1",
        "--output",
        file.to_str().unwrap(),
        &part,
    ]);
    assert!(out.status.success(), "{}", said(&out));
    file
}

fn platform() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "linux/arm64"
    } else {
        "linux/amd64"
    }
}

fn blob(folder: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    folder
        .join("blobs/sha256")
        .join(digest.strip_prefix("sha256:").unwrap())
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_image_is_made_without_an_engine_and_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (built(folder.path(), "a.tar"), built(folder.path(), "b.tar"));
    assert!(
        std::fs::read(&a).unwrap() == std::fs::read(&b).unwrap(),
        "two images differ"
    );

    // Read by other eyes than those of the script: tar.
    let unpack = |archive: &Path, to: &Path| {
        std::fs::create_dir(to).unwrap();
        let done = Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(to)
            .status()
            .unwrap();
        assert!(done.success());
    };
    let layout = folder.path().join("layout");
    unpack(&a, &layout);
    let index = read(&blob(&layout, &read(&layout.join("index.json"))["manifests"][0]));
    let manifest = read(&blob(&layout, &index["manifests"][0]));
    let config = &read(&blob(&layout, &manifest["config"]))["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/evenkeel"]));
    let files = folder.path().join("root");
    unpack(&blob(&layout, &manifest["layers"][0]), &files);
    let bundle = std::fs::read_to_string(files.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(bundle.matches("BEGIN CERTIFICATE").count() > 50);
    let run = Command::new(files.join("evenkeel"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        said(&run).trim(),
        format!("evenkeel {}", env!("CARGO_PKG_VERSION"))
    );
    for shell in ["bin", "lib", "usr", "tmp"] {
        assert!(!files.join(shell).exists(), "{shell}");
    }

    // The pods of the chart run it as the same user, and tell it the same.
    let deployment = template(&[]);
    let pod = &only(&deployment, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(
        pod["containers"][0].get("command"),
        None,
        "the entrypoint is the image's"
    );
    let containerfile = text("Containerfile");
    for line in [
        "FROM scratch",
        "USER 65532:65532",
        "ENTRYPOINT [\"/evenkeel\"]",
        "CMD [\"run\"]",
    ] {
        assert!(containerfile.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn what_must_not_be_in_an_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = program();
    let out = folder.path().join("x.tar");
    let out = out.to_str().unwrap();
    let other = if platform() == "linux/amd64" {
        "linux/arm64"
    } else {
        "linux/amd64"
    };
    let (here, there) = (format!("{}={program}", platform()), format!("{other}={program}"));
    let script = format!("{}={}", platform(), root("release/binary.sh").display());
    let empty = folder.path().join("empty.crt");
    std::fs::write(&empty, "").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&[&here], "needs a dynamic loader, and the image has none"),
        (&["--allow-dynamic", &there], "is no program for"),
        (
            &["--allow-dynamic", &script],
            "not a 64-bit little-endian ELF program",
        ),
        (&["--allow-dynamic", "linux/mips=x"], "expected one of"),
        (
            &["--allow-dynamic", "--ca-bundle", empty.to_str().unwrap(), &here],
            "holds no certificates",
        ),
    ];
    for (args, words) in cases {
        let done = image(&[&["build", "--tag", "1", "--output", out], *args].concat());
        assert!(
            !done.status.success() && said(&done).contains(words),
            "{args:?}: {}",
            said(&done)
        );
    }

    // What was made is read again, and one changed byte is seen.
    let good = built(folder.path(), "good.tar");
    let verify = |file: &Path, more: &[&str]| image(&[&["verify", file.to_str().unwrap()], more].concat());
    let done = verify(&good, &[]);
    assert!(
        !done.status.success() && said(&done).contains("dynamic loader"),
        "{}",
        said(&done)
    );
    let mut bytes = std::fs::read(&good).unwrap();
    let at = bytes.windows(9).position(|w| w == b"Entrypoin").unwrap();
    bytes[at] = b'X';
    std::fs::write(&good, bytes).unwrap();
    let done = verify(&good, &["--allow-dynamic"]);
    assert!(
        !done.status.success() && said(&done).contains("the digest is"),
        "{}",
        said(&done)
    );
}

#[test]
fn the_bill_of_materials_names_what_is_linked_and_nothing_else() {
    let out = Command::new("python3")
        .arg(root("release/sbom.py"))
        .output()
        .expect("python3");
    assert!(out.status.success(), "{}", said(&out));
    let bill: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    let components = bill["components"].as_array().unwrap();
    let names: Vec<&str> = components.iter().map(|c| c["name"].as_str().unwrap()).collect();
    for linked in ["kube", "rustls", "ring", "tokio", "serde_json"] {
        assert!(names.contains(&linked), "{linked}");
    }
    // Of the tests and of the simulators.
    for other in ["insta", "proptest", "tempfile", "uuid"] {
        assert!(!names.contains(&other), "{other}");
    }
    for component in components {
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    // The versions of the lock file.
    let lock = text("Cargo.lock");
    for component in components {
        let (name, version) = (
            component["name"].as_str().unwrap(),
            component["version"].as_str().unwrap(),
        );
        assert!(
            lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")),
            "{name} {version}"
        );
    }
}

#[test]
fn workflows_ask_for_no_more_than_they_need() {
    for name in ["ci", "release"] {
        let flow: Value = serde_saphyr::from_str(&text(&format!(".github/workflows/{name}.yaml"))).unwrap();
        assert_eq!(
            flow["permissions"],
            serde_json::json!({"contents": "read"}),
            "{name}"
        );
        // A pull request of a stranger never runs with the rights of the project.
        assert!(flow["on"].get("pull_request_target").is_none(), "{name}");
        for (job, steps) in flow["jobs"].as_object().unwrap() {
            assert!(steps["timeout-minutes"].is_u64(), "{name}: {job}");
            for step in steps["steps"].as_array().unwrap() {
                let command = step["run"].as_str().unwrap_or_default();
                // What others can name goes through the environment, never into a command's text.
                assert!(!command.contains("${{ github.event"), "{name}: {job}: {command}");
                for script in command
                    .split_whitespace()
                    .filter_map(|w| w.strip_prefix("release/"))
                {
                    let file = root("release").join(script.trim_end_matches([')', '"']));
                    assert!(file.is_file(), "{name}: {job}: {script}");
                }
            }
        }
    }
}
