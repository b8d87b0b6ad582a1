# The targets that a contributor needs; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test test-matrix soak generate verify lint fmt bench bench-compare bench-indexes bench-check profile seed postgres clean

# Modules of their own, so that what they need stays out of importers' module graphs.
MODULES := $(patsubst %/go.mod,%,$(wildcard audittest/go.mod auditotel/go.mod bench/go.mod examples/*/go.mod internal/report/browsertest/go.mod))

# sqlc parses SQL in C where there is a C compiler (0.3 s), else in WebAssembly (9 s).
CGO := $(if $(shell command -v gcc || command -v cc),1,0)
TOOL := env GOWORK=off CGO_ENABLED=$(CGO) go tool -modfile=tools/go.mod
SQLC := $(TOOL) sqlc
LINT := $(TOOL) golangci-lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: postgres ## run the example coordinator on a private PostgreSQL and show its trail
	@go run ./cmd/coordaudit demo

# These promise milliseconds, which are not to be tested beside other packages' load.
ALONE := . ./internal/pooler

test: postgres ## run all tests on a real PostgreSQL; TESTFLAGS=-race adds the race detector
	go test $(TESTFLAGS) -p 1 $(ALONE)
	go test $(TESTFLAGS) $$(go list ./... | grep -vxF "$$(go list $(ALONE))")
	@for module in $(MODULES); do echo "cd $$module && go test $(TESTFLAGS) ./..."; (cd $$module && go test $(TESTFLAGS) ./...) || exit 1; done

test-matrix: postgres ## run the guarantees on every PostgreSQL to be had; POSTGRES_VERSIONS="15 17" adds images
	@scripts/test-matrix.sh

SOAK ?= 10m
soak: postgres ## run the Recorder through random faults and hold its counts against the rows; SOAK=10m
	COORDAUDIT_SOAK=$(SOAK) go test $(TESTFLAGS) -count=1 -timeout 0 -v -run TestSoak ./internal/soak

generate: ## compile queries/ and migrations/ into internal/dbgen
	rm -f internal/dbgen/*.go
	$(SQLC) generate

verify: ## everything that must hold besides the tests: generated code, SQL rules, modules, footprint, lint
	@scripts/verify.sh "$(SQLC)" $(MODULES)
	@$(MAKE) --no-print-directory lint

lint: ## run the linters only
	$(LINT) run ./...
	@for module in $(MODULES); do (cd $$module && $(subst tools/go.mod,$(CURDIR)/tools/go.mod,$(LINT)) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

fmt: ## format the Go code
	$(LINT) fmt ./...

bench: postgres ## measure against the bare pgx statement, five rounds, and print the table of docs/benchmarks.md
	@scripts/bench.sh

bin/bench: FORCE
	cd bench && go build -o ../bin/bench .
FORCE:

bench-compare: postgres bin/bench ## measure beside database/sql, GORM and River, and write docs/benchmarks-compare.md; COMPARE='--records 0,1000000'
	bin/bench compare $(COMPARE)

bench-indexes: postgres bin/bench ## measure what each index costs and saves, and write docs/index-diet.md; INDEXES='--records 1000000'
	bin/bench indexes $(INDEXES)

bench-check: postgres bin/bench ## hold the ratios that matter against the committed ones; alone on the machine
	bin/bench check $(CHECK)

profile: postgres bin/bench ## write CPU and allocation profiles of the hot paths into bin/profile, and print the top of each
	@scripts/profile.sh

RECORDS ?= 1000000
seed: ## fill the empty trail of DATABASE_URL with made-up records; RECORDS=1000000
	@go run ./internal/seed/cmd --records $(RECORDS)

postgres:
	@scripts/postgres.sh

clean: ## remove what the targets leave behind
	rm -rf bin
