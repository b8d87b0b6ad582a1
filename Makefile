# The targets of a contributor. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test test-containers test-matrix test-citus soak seal-soak suppression generate api verify lint fmt release-test bench bench-compare bench-sealing bench-check profile mutate seed postgres clean

# The test of the Parquet recipe links DuckDB, which is C++. PARQUET= leaves it out.
PARQUET ?= $(if $(shell command -v g++ || command -v clang++),internal/test/parquet/go.mod)

# Modules of their own, so that their dependencies stay out of the module graphs of importers.
MODULES := $(patsubst %/go.mod,%,$(wildcard audittest/go.mod auditotel/go.mod auditwitness/go.mod bench/go.mod examples/*/go.mod internal/report/browsertest/go.mod) $(PARQUET))

# With a C compiler, sqlc parses SQL in C (0.3 s). Without one, it uses WebAssembly (9 s).
CGO := $(if $(shell command -v gcc || command -v cc),1,0)
TOOL := env GOWORK=off CGO_ENABLED=$(CGO) go tool -modfile=tools/go.mod
SQLC := $(TOOL) sqlc
LINT := $(TOOL) golangci-lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: postgres ## run the example coordinator on a private PostgreSQL and show its trail
	@go run ./cmd/coordaudit demo

# These guarantee milliseconds, so no other package runs at the same time.
ALONE := . ./internal/test/pgbouncer

test: postgres ## run all tests on a real PostgreSQL; TESTFLAGS=-race adds the race detector
	go test $(TESTFLAGS) -p 1 $(ALONE)
	go test $(TESTFLAGS) $$(go list ./... | grep -vxF "$$(go list $(ALONE))")
	@for module in $(MODULES); do echo "cd $$module && go test $(TESTFLAGS) ./..."; (cd $$module && go test $(TESTFLAGS) ./...) || exit 1; done

test-containers: postgres ## run every guarantee on the databases of audittest, which are containers if there is a Docker engine
	cd audittest && go test $(TESTFLAGS) -count=1 -run '^TestConformance$$' .

test-matrix: postgres ## run the guarantees on every available PostgreSQL; POSTGRES_VERSIONS="15 17" names images
	@scripts/test-matrix.sh

# Their tests have Cluster, Distribut or Analysis in their names. One package at a time: those of the root kill nodes.
CITUS := . ./auditadmin/... ./internal/cli/migrate ./sealer
test-citus: ## run the guarantees on the Citus cluster of COORDAUDIT_TEST_CITUS_URL (docs/citus.md)
	@test -n "$$COORDAUDIT_TEST_CITUS_URL" || { echo "set COORDAUDIT_TEST_CITUS_URL to the URL of a database on the coordinator, with the extension and its workers: docs/citus.md" >&2; exit 2; }
	go test $(TESTFLAGS) -count=1 -p 1 -parallel 4 -timeout 40m -run 'Cluster|Distribut|Analysis' $(CITUS)

SOAK ?= 10m
soak: postgres ## run the Recorder through random faults and check its counts; SOAK=10m
	COORDAUDIT_SOAK=$(SOAK) go test $(TESTFLAGS) -count=1 -timeout 0 -v -run TestSoak ./internal/test/soak

seal-soak: postgres ## kill the sealer and the server while writers of every kind run, and verify; SOAK=10m
	COORDAUDIT_SEAL_SOAK=$(SOAK) go test $(TESTFLAGS) -count=1 -timeout 0 -v -run Survives ./internal/test/sealing

SUPPRESSION ?= 200000
suppression: postgres ## hide records in every way and require that each one is found; SUPPRESSION=200000
	COORDAUDIT_SUPPRESSION=$(SUPPRESSION) go test $(TESTFLAGS) -count=1 -timeout 0 -v ./internal/test/suppression

generate: postgres ## compile queries/ and migrations/ into internal/dbgen, and describe the schema for auditadmin
	rm -f internal/dbgen/*.go
	$(SQLC) generate
	go run ./auditadmin/internal/describe/cmd auditadmin/internal/catalog/schema.json

api: ## make the current exported API the baseline of verify
	@scripts/api.sh --write

verify: ## check everything besides the tests: generated code, SQL rules, API, modules, footprint, words, lint
	@scripts/verify.sh "$(SQLC)" $(MODULES)
	@$(MAKE) --no-print-directory lint

release-test: ## try scripts/release.sh on a bare clone, and build a service against it
	@scripts/release-test.sh

lint: ## run the linters only
	$(LINT) run ./...
	@for module in $(MODULES); do (cd $$module && $(subst tools/go.mod,$(CURDIR)/tools/go.mod,$(LINT)) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

fmt: ## format the Go code
	$(LINT) fmt ./...

bench: postgres ## measure against the bare pgx statement and print the tables of docs/benchmarks.md; BENCH=--write
	@scripts/bench.sh $(BENCH)

bin/bench: FORCE
	cd bench && go build -o ../bin/bench .
FORCE:

bench-compare: postgres bin/bench ## measure against database/sql, GORM and River, and write docs/benchmarks-compare.md; COMPARE='--records 0,1000000'
	bin/bench compare $(COMPARE)

bench-sealing: postgres bin/bench ## measure sealing and following, and write docs/benchmarks-sealing.md; SEALING='--records 1000000,20000000'
	bin/bench sealing $(SEALING)

bench-check: postgres bin/bench ## compare the ratios that matter with bench/ratios.json; run it alone on the machine
	bin/bench check $(CHECK)

profile: postgres bin/bench ## write CPU and allocation profiles of the hot paths into bin/profile and print the top of each
	@scripts/profile.sh

PKG ?= ./audit
mutate: postgres ## change a package bit by bit, print what no test notices and the score; PKG=./internal/auditdriver MUTATE='-files copy'
	@scripts/mutate.sh $(PKG) $(MUTATE)

RECORDS ?= 1000000
seed: ## fill the empty trail of DATABASE_URL with generated records; RECORDS=1000000
	@go run ./internal/test/seed/cmd --records $(RECORDS)

postgres:
	@scripts/postgres.sh

clean: ## remove the files that the targets leave behind
	rm -rf bin
