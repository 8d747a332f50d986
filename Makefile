# Everything that a person runs. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export SIMPLEPIPE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/simplepipe
# Build output stays outside the clone, so that a new clone builds only what changed.
export CARGO_TARGET_DIR ?= $(SIMPLEPIPE_CACHE)/target

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo demo-down
demo: ## Show everything on a real cluster: two tenants, their jobs, and what Prometheus has of them
	@tests/demo/up
demo-down: ## Take the demo away, and the cluster if the demo started it
	@tests/demo/down

.PHONY: cluster cluster-down kubeconfig tools
cluster: ## Start the node cluster alone (CLUSTER=current|kind|node takes another)
	@tests/cluster/cluster up
cluster-down: ## Stop it, and remove all that it made
	@tests/cluster/cluster down
kubeconfig: ## Print the path of its kubeconfig
	@tests/cluster/cluster kubeconfig
tools: ## Print the folder of the built programs: kubectl, helm, promtool, etcd, ...
	@tests/cluster/tools all

.PHONY: build image generate
build: ## Build the program, and print where it is
	cargo build --locked
	@echo "$$CARGO_TARGET_DIR/debug/simplepipe"
image: ## Build the operator's image, and print where its archive is
	@tests/demo/operator-image --build
generate: ## Write the files that are made from others: crds/, docs/api.md, the chart's copies, config/base
	cargo run --quiet --locked -- crd > crds/metricsnamespaces.simplepipe.dev.yaml
	cargo run --quiet --locked -- crd --markdown > docs/api.md
	config/generate

.PHONY: test test-quick lint bench faults faults-table
test: ## Test everything, on real parts
	@tests/run
test-quick: ## Test what needs no cluster: lints, the programs, the Python package on each Python that is there
	@tests/run quick
lint: ## Check format and lints only
	@tests/run lint
faults: ## Break the way to the API server in many orders: SEEDS=200 (or FIRST-LAST), LANES=2 side by side
	SEEDS=$(or $(SEEDS),50) LANES=$(or $(LANES),2) PATIENCE=$(or $(PATIENCE),15) \
	  cargo test --locked --test faults seeds:: -- --nocapture
faults-table: ## Measure what each outage does: the table of docs/faults.md
	cargo test --locked --test faults outages:: -- --ignored --nocapture
bench: ## Measure the operator on 1,000 tenants, and a push, each beside others
	@tests/bench/run
	@tests/bench/push
