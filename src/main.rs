//! The command line.
#![allow(clippy::print_stdout)]
fn main() {
    for (name, crd) in evenkeel::api::crds::all().unwrap() {
        std::fs::write(format!("crds/{name}"), evenkeel::api::crds::to_yaml(&crd).unwrap()).unwrap();
    }
}
