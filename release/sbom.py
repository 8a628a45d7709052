#!/usr/bin/env python3
"""A bill of materials (CycloneDX 1.5, JSON) of what is linked into the release binary:  sbom.py [TARGET] > FILE

From Cargo.lock as `cargo metadata` resolves it: no development dependencies, nothing of the feature `sim`. The same
lock file makes the same text.
"""
import json
import os
import subprocess
import sys

target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-gnu"
command = [os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version=1", "--filter-platform", target]
data = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
packages = {p["id"]: p for p in data["packages"]}
nodes = {n["id"]: n for n in data["resolve"]["nodes"]}


def needs(node):
    """What it is built with: also build scripts and macros, whose output is in the binary."""
    return sorted(d["pkg"] for d in nodes[node]["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"]))


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


root = data["resolve"]["root"]
found, waiting = set(), [root]
while waiting:
    node = waiting.pop()
    if node not in found:
        found.add(node)
        waiting += needs(node)


def component(package):
    entry = {
        "type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"],
        "purl": purl(package), "scope": "required",
    }
    if package["license"]:
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["description"]:
        entry["description"] = " ".join(package["description"].split())
    return entry


def by_name(ids):
    return sorted((packages[i] for i in ids), key=lambda p: (p["name"], p["version"]))


bom = {
    "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
    "metadata": {"component": {**component(packages[root]), "type": "application"}},
    "components": [component(p) for p in by_name(found - {root})],
    "dependencies": [
        {"ref": purl(p), "dependsOn": sorted(purl(packages[d]) for d in needs(p["id"]))} for p in by_name(found)
    ],
}
json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
print()
