//! The order of the layers, read from the sources: imports go down only, clouds stay in their folders, the
//! planner stays pure, files stay short. Each rule is shown to bite on an example.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tokens;

use std::collections::BTreeSet;
use std::path::Path;

use tokens::{Token, test_ranges, tokens};

/// From the bottom up. A layer imports itself and what stands before it.
const LAYERS: &[&str] = &[
    "api",
    "planner",
    "providers",
    "observer",
    "controller",
    "runtime",
    "cli",
];
/// All that the simulators know of the project.
const SIM_MAY_USE: &[&[&str]] = &[
    &["sim"],
    &["api"],
    &["planner", "model"],
    &["providers", "transport"],
];
/// All that the program knows of its library.
const MAIN_MAY_USE: &[&str] = &["cli", "runtime"];
/// Each cloud: the words that give it away, and where they may stand.
const CLOUDS: &[(&[&str], &[&str])] = &[
    (
        &["openstack", "nova"],
        &[
            "src/api/",
            "src/sim/",
            "src/providers/openstack/",
            "src/cli/sim",
            REGISTRATION[0],
            REGISTRATION[1],
        ],
    ),
    (
        &["upcloud"],
        &[
            "src/api/",
            "src/sim/",
            "src/providers/upcloud/",
            "src/cli/sim",
            REGISTRATION[0],
            REGISTRATION[1],
        ],
    ),
    (
        &["clouddc", "imetal", "huawei"],
        &[
            "src/api/",
            "src/sim/",
            "src/providers/clouddc/",
            "src/cli/sim",
            REGISTRATION[0],
            REGISTRATION[1],
        ],
    ),
];
/// Where a cloud is made known to the rest: its `mod` line, and its line in the list of clouds.
const REGISTRATION: [&str; 2] = ["src/providers/mod.rs", "src/providers/registry.rs"];
/// What a pure layer does not do.
const IMPURE: &[&str] = &["async", "await", "tokio", "Instant", "SystemTime", "rand"];
const PURE: &[&str] = &["api", "planner"];
const MAX_LINES: usize = 450;

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, &root.join("src"), &mut files);
    assert!(files.len() > 10, "only {} source files were found", files.len());
    let found = check(&files);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Every fault in these files, given as path and text.
fn check(files: &[(String, String)]) -> Vec<String> {
    let parsed: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::parse(path, text))
        .collect();
    let test_modules: BTreeSet<Vec<String>> = parsed.iter().flat_map(Source::test_modules).collect();
    let mut faults = BTreeSet::new();
    for source in &parsed {
        let test_file = (1..=source.module.len()).any(|n| test_modules.contains(&source.module[..n]));
        source.imports(test_file, &mut faults);
        source.words(test_file, &mut faults);
        if source.lines > MAX_LINES {
            faults.insert(format!(
                "{}: {} lines, more than {MAX_LINES}",
                source.path, source.lines
            ));
        }
    }
    faults.into_iter().collect()
}

/// One source file, cut into tokens; comments are gone.
struct Source {
    path: String,
    /// The path of its module in the crate: `src/planner/mod.rs` is `planner`.
    module: Vec<String>,
    tokens: Vec<Token>,
    /// Ranges of tokens that exist in tests only.
    tests: Vec<(usize, usize)>,
    lines: usize,
}

impl Source {
    fn parse(path: &str, text: &str) -> Self {
        let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if ["mod", "lib", "main"].contains(&module.last().map_or("", String::as_str)) {
            module.pop();
        }
        let tokens = tokens(text);
        let tests = test_ranges(&tokens);
        Self {
            path: path.to_owned(),
            module,
            tokens,
            tests,
            lines: text.lines().count(),
        }
    }

    fn layer(&self) -> &str {
        match self.path.as_str() {
            "src/main.rs" => "main",
            "src/lib.rs" => "lib",
            _ => &self.module[0],
        }
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| !t.quoted && t.text == text)
    }

    fn in_test(&self, at: usize) -> bool {
        self.tests.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// Modules in files of their own that are declared under `cfg(test)`.
    fn test_modules(&self) -> Vec<Vec<String>> {
        let declared =
            (0..self.tokens.len()).filter(|i| self.in_test(*i) && self.is(*i, "mod") && self.is(i + 2, ";"));
        declared
            .map(|i| {
                let mut module = self.module.clone();
                module.push(self.tokens[i + 1].text.clone());
                module
            })
            .collect()
    }

    fn imports(&self, test_file: bool, faults: &mut BTreeSet<String>) {
        let mut inline: Vec<Option<String>> = Vec::new();
        for at in 0..self.tokens.len() {
            let token = &self.tokens[at];
            if token.quoted {
                continue;
            }
            match token.text.as_str() {
                "{" => {
                    let named = at >= 2 && self.is(at - 2, "mod");
                    inline.push(named.then(|| self.tokens[at - 1].text.clone()));
                }
                "}" => drop(inline.pop()),
                start @ ("crate" | "super" | "evenkeel")
                    if self.is(at + 1, "::") && !self.is(at.wrapping_sub(1), "::") =>
                {
                    let here = self
                        .module
                        .iter()
                        .cloned()
                        .chain(inline.iter().flatten().cloned());
                    let base = match start {
                        "super" => here.collect::<Vec<_>>(),
                        _ => Vec::new(),
                    };
                    let mut paths = Vec::new();
                    let first = if start == "super" { at } else { at + 2 };
                    self.tree(first, base, &mut paths);
                    for target in paths {
                        if let Some(fault) = self.forbidden(&target, test_file || self.in_test(at)) {
                            faults.insert(format!("{}:{}: {fault}", self.path, token.line));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads a path or a tree of paths from token `at` on; returns the token after it.
    fn tree(&self, mut at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        loop {
            if self.is(at, "{") {
                at += 1;
                while !self.is(at, "}") && at < self.tokens.len() {
                    at = self.tree(at, path.clone(), found);
                    while at < self.tokens.len() && !self.is(at, ",") && !self.is(at, "}") {
                        at += 1;
                    }
                    at += usize::from(self.is(at, ","));
                }
                return at + 1;
            }
            match self.tokens.get(at) {
                Some(t) if !t.quoted && t.text == "super" => drop(path.pop()),
                Some(t) if !t.quoted && t.text == "self" => {}
                Some(t) if !t.quoted && is_word(&t.text) => path.push(t.text.clone()),
                _ => {
                    found.push(path);
                    return at;
                }
            }
            at += 1;
            if !self.is(at, "::") {
                found.push(path);
                return at;
            }
            at += 1;
        }
    }

    /// Why this file may not use a path, given from the root of the crate.
    fn forbidden(&self, target: &[String], test: bool) -> Option<String> {
        let to = target.first().map_or("", String::as_str);
        let from = self.layer();
        let shown = target.join("::");
        let rank = |layer: &str| LAYERS.iter().position(|l| *l == layer);
        match (from, to) {
            ("main", _) => (!MAIN_MAY_USE.contains(&to)).then(|| format!("the program may not use {shown}")),
            ("sim", _) => {
                let fits = |allowed: &&[&str]| {
                    target
                        .iter()
                        .map(String::as_str)
                        .take(allowed.len())
                        .eq(allowed.iter().copied())
                };
                (!SIM_MAY_USE.iter().any(fits)).then(|| format!("a simulator may not use {shown}"))
            }
            ("cli", "sim") => None,
            (_, "sim") => (!test).then(|| format!("{from} may not use the simulators ({shown})")),
            _ => {
                let upward = rank(from).zip(rank(to)).is_some_and(|(a, b)| a < b);
                upward.then(|| format!("{from} may not use {to}, which stands above it ({shown})"))
            }
        }
    }

    fn words(&self, test_file: bool, faults: &mut BTreeSet<String>) {
        let pure = PURE.contains(&self.layer());
        for (at, token) in self.tokens.iter().enumerate() {
            if test_file || self.in_test(at) {
                continue;
            }
            let place = format!("{}:{}", self.path, token.line);
            for (words, homes) in CLOUDS {
                let at_home = homes.iter().any(|home| self.path.starts_with(home));
                if let Some(word) = words.iter().find(|w| !at_home && names(&token.text, w)) {
                    faults.insert(format!("{place}: names {word} outside of its folder"));
                }
            }
            if pure && !token.quoted && IMPURE.contains(&token.text.as_str()) {
                faults.insert(format!("{place}: {} in a pure layer", token.text));
            }
            let now = token.text == "now" && at >= 2 && self.is(at - 1, "::") && self.is(at - 2, "Timestamp");
            if pure && now {
                faults.insert(format!("{place}: Timestamp::now in a pure layer"));
            }
        }
    }
}

/// Whether a text names a cloud: as a word of its own or as a part of a compound (`NovaError`, `my_nova`).
fn names(text: &str, cloud: &str) -> bool {
    let lower = text.to_lowercase();
    lower.match_indices(cloud).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let starts = !before.is_some_and(char::is_alphabetic) || text[at..].starts_with(char::is_uppercase);
        let after = text[at + cloud.len()..].chars().next();
        starts && !after.is_some_and(char::is_lowercase)
    })
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn faults_of(path: &str, text: &str) -> Vec<String> {
    check(&[(path.to_owned(), text.to_owned())])
}

#[test]
#[rustfmt::skip] // One case a line.
fn each_rule_bites() {
    let long = "\n".repeat(MAX_LINES + 1);
    let bad: &[(&str, &str, &str)] = &[
        // Upward, in every way to write it.
        ("src/planner/mod.rs", "use crate::providers::Account;", "planner may not use providers"),
        ("src/api/server.rs", "use crate::{api::Reason, planner::model};", "api may not use planner"),
        ("src/api/server.rs", "use crate::{api::{a, b}, observer};", "api may not use observer"),
        ("src/planner/model.rs", "use super::super::controller::Queue;", "planner may not use controller"),
        ("src/planner/mod.rs", "use super::{controller::Queue};", "planner may not use controller"),
        ("src/planner/mod.rs", "fn f() -> crate::observer::X { todo() }", "planner may not use observer"),
        ("src/planner/a/b.rs", "mod c { use super::super::super::super::cli::X; }", "planner may not use cli"),
        ("src/providers/x/mod.rs", "use crate::controller::y as z;", "providers may not use controller"),
        ("src/controller/mod.rs", "use crate::runtime::ownership;", "controller may not use runtime"),
        ("src/runtime/mod.rs", "pub use crate::cli::*;", "runtime may not use cli"),
        ("src/planner/mod.rs", "#[cfg(test)] mod tests { use crate::observer::X; }", "planner may not use observer"),
        ("src/main.rs", "use evenkeel::planner::plan;", "the program may not use planner::plan"),
        // The simulators.
        ("src/sim/cloud.rs", "use crate::planner::plan;", "a simulator may not use planner::plan"),
        ("src/sim/cloud.rs", "use crate::providers::{transport::Stage, Account};", "a simulator may not use providers::Account"),
        ("src/observer/mod.rs", "use crate::sim::Cloud;", "observer may not use the simulators"),
        ("src/observer/mod.rs", "#[cfg(not(test))] use crate::sim::Cloud;", "observer may not use the simulators"),
        ("src/observer/mod.rs", "#[cfg(test)] mod tests {} use crate::sim::Cloud;", "observer may not use the simulators"),
        // Clouds.
        ("src/planner/mod.rs", "if spec.openstack.is_some() {}", "names openstack"),
        ("src/controller/mod.rs", "const X: &str = \"ask Nova\";", "names nova"),
        ("src/controller/mod.rs", "struct NovaError;", "names nova"),
        ("src/runtime/mod.rs", "fn my_nova() {}", "names nova"),
        ("src/providers/other/mod.rs", "type X = OpenStackServer;", "names openstack"),
        ("src/providers/transport/client.rs", "const ID: &str = \"x-openstack-request-id\";", "names openstack"),
        // Purity.
        ("src/planner/mod.rs", "pub async fn plan() {}", "async in a pure layer"),
        ("src/planner/mod.rs", "use tokio::time;", "tokio in a pure layer"),
        ("src/planner/mod.rs", "use std::time::{Duration, Instant};", "Instant in a pure layer"),
        ("src/api/x.rs", "std::time::SystemTime::now();", "SystemTime in a pure layer"),
        ("src/planner/mod.rs", "let x: u8 = rand::random();", "rand in a pure layer"),
        ("src/planner/mod.rs", "let t = Timestamp::now();", "Timestamp::now in a pure layer"),
        // Length.
        ("src/cli/mod.rs", &long, "451 lines"),
    ];
    for (path, text, expected) in bad {
        let found = faults_of(path, text);
        assert!(found.iter().any(|f| f.contains(expected)), "{path}: {text}\nexpected {expected:?}, found {found:?}");
    }
}

#[test]
#[rustfmt::skip] // One case a line.
fn what_is_allowed_passes() {
    let good: &[(&str, &str)] = &[
        ("src/cli/mod.rs", "use crate::{api, planner::model::X, runtime, sim::Cloud};"),
        ("src/controller/queue.rs", "use super::{status::Writer, events}; use crate::planner::plan;"),
        ("src/planner/model.rs", "use super::memory::Memory; use crate::api::choice::choice;"),
        ("src/sim/openstack/mod.rs", "use crate::planner::model::Marks; use crate::providers::transport::Transport; use super::faults;"),
        ("src/sim/openstack/mod.rs", "use crate::api::keys; const NOVA: &str = \"nova\";"),
        ("src/observer/mod.rs", "#[cfg(test)]\nmod tests { use super::*; use crate::sim::Cloud; }"),
        ("src/observer/mod.rs", "#[cfg(all(test, feature = \"sim\"))]\nmod tests { use crate::sim::Cloud; }"),
        ("src/planner/mod.rs", "// nova, async and crate::cli::X\n/* tokio /* rand */ */ fn f<'a>(x: &'a str) {}"),
        ("src/planner/mod.rs", "const X: &str = \"crate::cli::X async\"; const Y: char = '\"'; const Z: &str = r#\"a \"tokio\" b\"#;"),
        ("src/planner/mod.rs", "fn innovation() { let random = operand; }"),
        ("src/providers/openstack/wire.rs", "struct Nova; use crate::api::server::OpenStackServer;"),
        ("src/providers/mod.rs", "pub mod openstack;"),
        ("src/providers/registry.rs", "const CLOUDS: &[Cloud] = &[super::openstack::CLOUD];"),
        ("src/main.rs", "use evenkeel::cli; pub(crate) fn f() {}"),
    ];
    for (path, text) in good {
        assert_eq!(faults_of(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_file_that_is_declared_for_tests_is_a_test() {
    let parent = (
        "src/observer/mod.rs".to_owned(),
        "#[cfg(test)]\nmod drills;".to_owned(),
    );
    let child = (
        "src/observer/drills.rs".to_owned(),
        "use crate::sim::Cloud;".to_owned(),
    );
    assert_eq!(check(&[parent, child.clone()]), Vec::<String>::new());
    assert_eq!(check(&[child]).len(), 1);
}

/// The simulators, and the bugs that the model sows in the planner, are in no release.
#[test]
fn a_release_is_built_without_the_feature_of_the_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect(file);
    assert!(read("Cargo.toml").contains("\ndefault = []\n"));
    for file in ["Makefile", "Containerfile", "release/binary.sh"] {
        let text = read(file);
        let builds = |line: &&str| line.contains("build --release");
        let lines: Vec<&str> = text.lines().filter(builds).collect();
        assert!(!lines.is_empty(), "{file} builds no release");
        for line in lines {
            assert!(!line.to_lowercase().contains("features"), "{file}: {line}");
        }
    }
    let bugs = read("src/planner/bugs.rs");
    let switch = "#[cfg(not(feature = \"sim\"))]\npub(super) const fn has(_: Bug) -> bool {\n    false\n}";
    assert!(bugs.contains(switch), "a bug can be sown in a release");
}
