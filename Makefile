# make build   bin/inlet and bin/btcd, static
# make demo    the whole story on a private chain, in a temporary folder
# make test    all tests, those against real lnd, LDK and bitcoind included
# make crash   all points of the crash, disk and disconnect sweeps (about an hour)
# make test-chain   every way in which a channel ends, each with its books to the satoshi
# make conformance   what the tests show of bLIP-50 and bLIP-52, in docs/conformance.md
# make check   format, vet, linters, the rules of the house
# make fuzz    every fuzz target for a while: make fuzz FUZZTIME=10m
# make flood   payments of honest clients while a thousand strangers do all that they can
# make histories random histories of the order and funding machines, a million steps
# make race    the packages with the most goroutines under the race detector
# make bench   all benchmarks
# make soak    half an hour of random clients, payments and faults; SOAK_SECONDS and SOAK_SEED change it
# make oracle  asks LDK again for the opening fees that the tests compare with; needs Node
# make clean   removes what was built and fetched
#
# A fresh Linux machine needs Go, make, a C compiler and apt; the rest is fetched into .cache.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Flags for every run of tests, for instance make test TESTFLAGS=-v
TESTFLAGS ?=

CACHE    := $(CURDIR)/.cache
INLET    := $(CURDIR)/bin/inlet
BTCD     := $(CURDIR)/bin/btcd
BITCOIND := $(CACHE)/bitcoind/bin/bitcoind
LND      := $(CACHE)/bin/lnd

LDKCLIENT := $(CACHE)/bin/ldkclient

# The linters are pinned: a new version is a commit that also brings the code in order.
LINT_VERSION := v2.15.0
LINT         := $(CACHE)/golangci-lint-$(LINT_VERSION)/golangci-lint

LDFLAGS := -s -w -X main.version=$(VERSION)

# Our programs are static. The tests are built in the same way, so that the packages are compiled only once;
# only LDK's bindings (interop) and the race detector need C.
export CGO_ENABLED := 0

# Where tests find the real programs.
PROGRAMS := INLET_BIN=$(INLET) INLET_BTCD=$(BTCD) INLET_BITCOIND=$(BITCOIND) \
	INLET_LDKCLIENT=$(LDKCLIENT) INLET_LND=$(LND)

.PHONY: all build demo test unit interop crash ldkclient check fmt vet lint house race bench clean \
	fuzz flood lnd conformance oracle refusals soak test-chain

all: build

build:
	$(GO) build -ldflags '$(LDFLAGS)' -o $(INLET) ./cmd/inlet
	$(GO) build -ldflags '-s -w' -o $(BTCD) github.com/btcsuite/btcd

demo: build
	$(INLET) demo

test: unit interop

# Tests of the module itself; those of chain run against both backends, some of node sell to LDK and
# are paid by lnd.
unit: build ldkclient lnd $(BITCOIND)
	$(PROGRAMS) $(GO) test -timeout 25m $(TESTFLAGS) ./...

# Tests against programs that are not ours. They are never taken from Go's test cache, which does not
# notice that one of the programs is another.
interop: build ldkclient lnd $(BITCOIND)
	cd itest && $(PROGRAMS) $(GO) test -count=1 -timeout 20m $(TESTFLAGS) .

# What LDK and lnd say to our refusals; with TESTFLAGS=-update it is written into docs/errors.md.
refusals: build ldkclient lnd $(BITCOIND)
	$(PROGRAMS) $(GO) test -count=1 -run RefusalsSeen ./node $(TESTFLAGS)

lnd:
	cd itest && $(GO) build -tags 'chainrpc invoicesrpc peersrpc signrpc walletrpc' \
		-o $(LND) github.com/lightningnetwork/lnd/cmd/lnd

# Every write and every message of a sale, where make test takes a sample of them.
crash: build
	INLET_CRASH=all $(PROGRAMS) $(GO) test -count=1 -timeout 180m -v $(TESTFLAGS) ./node \
		-run 'TestCrash(AtEveryWrite|AtRandom)|TestDiskErrorAtEveryWrite|TestCutAtEveryMessage|TestKill$$|TestFullDisk$$'

# Every ending of a channel, where make test takes a sample of them.
test-chain: build
	INLET_CHAIN=all $(PROGRAMS) $(GO) test -count=1 -timeout 40m -v $(TESTFLAGS) -run '^TestEnding' ./node

ldkclient:
	cd itest && CGO_ENABLED=1 $(GO) build -o $(LDKCLIENT) ./ldkclient

$(BITCOIND):
	itest/get-bitcoind.sh $(CACHE)/bitcoind

# All tests that are marked with a line of the checklist. make conformance ONLY=-new runs those alone
# that have no result in the table.
conformance: build ldkclient lnd $(BITCOIND)
	CI=1 $(PROGRAMS) INLET_LND=$(LND) $(GO) run ./docs/conformance $(ONLY)

check: fmt vet lint house

fmt:
	@bad=$$(gofmt -l .); test -z "$$bad" || { echo "run gofmt -w on:"; echo "$$bad"; exit 1; }

vet:
	$(GO) vet ./...
	cd itest && $(GO) vet . && CGO_ENABLED=1 $(GO) vet ./ldkclient

lint: $(LINT)
	$(LINT) run ./...

$(LINT):
	GOBIN=$(@D) $(GO) install \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

house:
	$(GO) test -count=1 -run 'House|Arrows' ./node ./docs/conformance

# A million steps of random histories: the order machine alone, and both machines in one world.
histories:
	INLET_HISTORY_STEPS=1000000 $(GO) test -count=1 -v -timeout 60m -run Histories ./lsp/jit ./node/world

race: build
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $(TESTFLAGS) ./lsp/... ./node/logs ./node/orders \
		./node/store ./peer/...
	$(PROGRAMS) CGO_ENABLED=1 $(GO) test -race -timeout 20m $(TESTFLAGS) -run TestReconnectStorm ./node

# How long each target is fuzzed.
FUZZTIME ?= 60s

fuzz:
	@for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$target in $$pkg"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

flood: build
	$(PROGRAMS) INLET_FLOOD=full $(GO) test -count=1 -timeout 20m -v -run '^TestFlood$$' ./node

bench:
	$(PROGRAMS) $(GO) test -run '^$$' -bench . -benchmem $(TESTFLAGS) ./...

SOAK_SECONDS ?= 1800
SOAK_SEED    ?= 1

soak: build ldkclient lnd $(BITCOIND)
	cd itest && $(PROGRAMS) CI=1 SOAK_SECONDS=$(SOAK_SECONDS) SOAK_SEED=$(SOAK_SEED) \
		$(GO) test -count=1 -timeout 40m -v -run 'TestSoak$$' .

# LDK as WebAssembly, from npm, pinned with its hash.
ORACLE := $(CACHE)/oracle

oracle:
	mkdir -p $(ORACLE) && cp itest/oracle/package.json itest/oracle/package-lock.json $(ORACLE)
	cd $(ORACLE) && npm ci --ignore-scripts --no-audit --no-fund
	cd $(ORACLE) && node $(CURDIR)/itest/oracle/opening_fee.mjs $(CURDIR)/lsp/jit/testdata

clean:
	rm -rf bin $(CACHE)
