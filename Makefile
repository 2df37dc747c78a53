# Gnomon: every task of the house. `make help` lists them.

CONFIG ?= release
SWIFT_FLAGS ?= --static-swift-stdlib
ARGS ?=

# For `make fuzz`: SECONDS in all, and TARGET to fuzz only one.
SECONDS ?= 600
TARGET ?=

# For `make bench`: ROUNDS, RUNTIME (seconds a cell), CELLS and SERVERS (comma-separated names).
ROUNDS ?= 5
RUNTIME ?= 3
CELLS ?=
SERVERS ?=

# For `make sim` and `make soak`: which world, and for how long to look for others (90, 10m, 2h).
SEED ?= 1
DURATION ?= 10m

# For `make demo-failover`: SHOW, how many seconds it takes.
SHOW ?= 40

.PHONY: help install-deps install-build-deps build run demo-failover test test-slow unit e2e sim soak asan tsan coverage fuzz lint fmt \
  golden-forecasts bench bench-failover bench-prediction bench-limits clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install-deps: ## Install the Debian packages that building, testing and benchmarking need
	scripts/install-deps all

install-build-deps:
	scripts/install-deps build

build: install-build-deps ## Build the release binary, .build/release/gnomon
	swift build -c $(CONFIG) $(SWIFT_FLAGS) --product gnomon

run: build ## Build, create a demo pool once, serve it, and print how to attach to it
	scripts/run-demo

demo-failover: install-deps build ## Show what clients see of a store that turns slow, dies and returns (SHOW seconds)
	scripts/demo-failover --seconds $(SHOW) $(ARGS)

test: install-deps ## Install what is missing, then lint, unit tests and end-to-end tests; one count at the end
	CONFIG='$(CONFIG)' SWIFT_FLAGS='$(SWIFT_FLAGS)' scripts/test all

test-slow: install-deps ## What takes too long for `make test`: hundreds of kills and power cuts, the whole kernel rig
	CONFIG='$(CONFIG)' SWIFT_FLAGS='$(SWIFT_FLAGS)' scripts/test slow

unit: install-build-deps ## Only the Swift tests
	CONFIG='$(CONFIG)' SWIFT_FLAGS='$(SWIFT_FLAGS)' scripts/test unit

e2e: install-deps build ## Only the end-to-end tests; e.g. make e2e ARGS='-k kernel'
	swift build --product gnomon
	Tests/e2e/run $(ARGS)

sim: install-build-deps ## Live one simulated world (SEED; ARGS=--trace tells its story); its digest is on the last line
	swift build -c $(CONFIG) --product gnomon-sim
	@.build/$(CONFIG)/gnomon-sim --seed $(SEED) $(ARGS)

soak: install-build-deps ## Live fresh simulated worlds on all cores for a while (DURATION)
	swift build -c $(CONFIG) --product gnomon-sim
	.build/$(CONFIG)/gnomon-sim --soak $(DURATION) --jobs $$(nproc) $(ARGS)

asan: install-deps ## The Swift and end-to-end tests with AddressSanitizer and LeakSanitizer
	scripts/test asan

tsan: install-deps ## The Swift and end-to-end tests with ThreadSanitizer
	scripts/test tsan

coverage: install-build-deps ## Which lines the Swift tests reach; fails if a pure target is below 90 %
	scripts/coverage

fuzz: install-deps build ## Fuzz what takes bytes from strangers (SECONDS=600, TARGET)
	Fuzz/run --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET)) $(ARGS)

lint: ## Check the formatting of the Swift sources
	scripts/lint

fmt: ## Format the Swift sources in place
	swift format format --in-place --parallel --recursive Package.swift Sources Fuzz Tests

golden-forecasts: ## Have statsmodels (from PyPI) smooth the series that the forecasting tests compare with
	python3 -m venv .cache/statsmodels
	.cache/statsmodels/bin/pip install --quiet statsmodels==0.15.0
	.cache/statsmodels/bin/python Tests/golden/smoothing.py > .cache/smoothing.json
	mv .cache/smoothing.json Tests/golden/smoothing.json
	.cache/statsmodels/bin/python Tests/golden/autoregression.py > .cache/autoregression.json
	mv .cache/autoregression.json Tests/golden/autoregression.json

bench: install-deps build ## Benchmark against other NBD servers (ROUNDS, RUNTIME, CELLS, SERVERS)
	bench/run --rounds $(ROUNDS) --runtime $(RUNTIME) $(if $(CELLS),--cells $(CELLS)) \
	  $(if $(SERVERS),--servers $(SERVERS)) $(ARGS)

bench-failover: install-deps build ## What a failing store costs clients, and what moves and shadows cost; takes 15 minutes
	bench/failover $(ARGS)

bench-prediction: install-deps build ## What prediction is worth to a client of a slow store and a fast one
	bench/prediction $(ARGS)

bench-limits: install-deps build ## Allocations per request, start-up time and memory
	bench/malloc-count
	bench/startup

clean: ## Remove what was built and the demo pool
	rm -rf .build .cache
