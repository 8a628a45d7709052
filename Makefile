# What a developer of Evenkeel says most often. `make help` lists it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
# One set of features for every check and test, so that nothing is built twice.
FEATURES := --features sim

.PHONY: help build generate lint audit test test-fast model campaign soak test-gitops provision demo image bench bounds bench-quick bench-side-by-side clean-env

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

build: ## the release binary, without simulators
	$(CARGO) build --release --locked

generate: ## write crds/, docs/ and what deploy/argocd is tested with anew from the code
	GENERATE=1 $(CARGO) test --locked -q $(FEATURES) --test crds --test docs
	GENERATE=1 INSTA_UPDATE=always $(CARGO) test --locked -q $(FEATURES) --lib -- planner::tests::policy_table providers::page sim::page
	GENERATE=1 $(CARGO) test --locked -q $(FEATURES) --test argocd -- scripts samples

lint: ## formatting and clippy, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --locked $(FEATURES) --all-targets -- -D warnings

audit: ## licences, sources and advisories of what comes into the build (needs cargo-deny)
	$(CARGO) deny check

provision: ## the real kube-apiserver, etcd, Nova and vendors' clients that `make test` needs (cached)
	tests/env/provision.sh >/dev/null

test: provision ## everything, on the real parts too
	tests/run.sh all

test-fast: ## what needs no provisioning
	tests/run.sh fast

model: ## every state of larger worlds that the planner can get into, for hours (the standing ones are in `make test-fast`)
	MODEL=large $(CARGO) test --locked $(FEATURES) --test model

campaign: ## random wishes, faults and crashes against the planner, other ones each time (CASES=4000); then every single fault on every call of every cloud, several at once (SEEDS=2000), and replies of any shape (SHAPES=300)
	PROPTEST_CASES=$${CASES:-4000} $(CARGO) test --locked $(FEATURES) --lib -- planner::tests::properties planner::tests::groups arbitrary any_
	CAMPAIGN_PLANS=1000000 CAMPAIGN_SEEDS=$${SEEDS:-2000} \
	  ARBITRARY_SEEDS=$${SHAPES:-300} \
	  $(CARGO) test --locked $(FEATURES) --test virtual_time -- campaign:: arbitrary:: --nocapture --test-threads 1

soak: ## half an hour of chaos on real processes: bad network, kills, freezes, wrong clocks, crashes of the cluster, Nova away (SOAK=1800 SOAK_SEED=1)
	settings=$$(tests/env/provision.sh kubernetes openstack faketime) && export $$settings && \
	  SOAK=$${SOAK:-1800} $(CARGO) test --locked $(FEATURES) --test real -- soak

test-gitops: ## what the real Argo CD and kstatus make of our objects, with the life of a shop under Argo CD
	settings=$$(tests/env/provision.sh kubernetes argocd kstatus) && export $$settings && \
	  $(CARGO) test --locked $(FEATURES) --test argocd

demo: ## real Kubernetes API, three simulated clouds: servers converge before your eyes (DEMO_EXIT=1 ends by itself)
	demo/run.sh

image: ## the image as an OCI layout tar, without a container engine, verified and (as root) run: target/evenkeel-image.tar
	mkdir -p target
	release/image.py build --output target/evenkeel-image.tar --tag "$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" \
	  "linux/$$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')=$$(release/binary.sh)"
	release/image.py verify target/evenkeel-image.tar $$([ "$$(id -u)" != 0 ] || echo --run)

bench: ## the table of docs/performance.md, P1 to P13, and target/performance.json (a quarter of an hour)
	tests/bench/run.sh

bounds: ## memory and reaction of 10,000 objects with a cloud that hangs, a storm of events, a neighbour that makes 5,000 (BINARY=FILE)
	JSON=target/bounds.json tests/bench/run.sh bounds

bench-quick: ## counts that depend on no machine: requests, writes, allocations
	$(CARGO) test --locked $(FEATURES) --test counts
	$(CARGO) test --locked $(FEATURES) --test virtual_time -- costs::

bench-side-by-side: ## the same work on the real kube-apiserver and the real Nova, for any controller (PROFILE=FOLDER)
	BINARY=$$($(CARGO) build --release --locked --message-format json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1) \
	  tests/bench/side_by_side/run.sh $(PROFILE)

clean-env: ## stop what the test environment started
	tests/env/openstack/down.sh
