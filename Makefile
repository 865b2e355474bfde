# Everything goes through here; .ci/run calls nothing else. Needs Go, make and
# git; `race` needs gcc as well, and `generate` Debian's protobuf-compiler.

# One set of flags for build, vet and test: other flags would be a second build
# of everything. No cgo makes static binaries; no paths and no VCS stamp make
# the same bytes in any folder.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath -buildvcs=false
export GOTOOLCHAIN := local

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 1m
BENCH    ?= .

PROGRAMS := ./coordinator/cmd/koinon-coordinator ./node/cmd/koinon-node ./models/cmd/koinon ./benchmarks/cmd/koinon-bench
# What two parties recompute must have the same bits on every processor.
PORTABLE := ./models/arch/... ./models/aggregate/... ./models/schedule/... ./models/trees/... ./crypto/update/... ./crypto/prg/... ./crypto/ring/... ./crypto/parallel/...
TOOLS    := .ci/bin/.built
VAULT    := .ci/bin/vault-test

.PHONY: build test lint generate fuzz demo bench race vault-test long portable clean help

build: ## the four programs, into bin/
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ $(PROGRAMS)

test: ## vet and every test; fuzz targets on their corpus only
	go vet ./...
	go test ./...
	go test -count=1 ./docs/... # reads other packages, which the test cache does not see

lint: $(TOOLS) ## vet, staticcheck, gofumpt, govulncheck; generated code is up to date
	go vet ./...
	.ci/bin/staticcheck ./...
	@files=$$(.ci/bin/gofumpt -l .); if [ -n "$$files" ]; then echo "gofumpt would change:"; echo "$$files"; exit 1; fi
	.ci/vulncheck
	.ci/generate --check

generate: $(TOOLS) ## protobuf code, from the .proto files
	.ci/generate

fuzz: ## every fuzz target for FUZZTIME (1m)
	.ci/fuzz $(FUZZTIME)

demo: build ## a whole federation on this machine
	bin/koinon-bench demo

bench: ## every Go benchmark matching BENCH (.)
	go test -run '^$$' -bench '$(BENCH)' -benchmem $$(.ci/packages '^func Benchmark')

race: ## tests of the packages with goroutines of ours, under the race detector
	.ci/race

vault-test: $(VAULT) ## keys in a real HashiCorp Vault; builds it once (minutes)
	KOINON_REQUIRE=vault go test -count=1 -run Vault ./crypto/keystore/...

long: ## what takes hours: simulations, soaks, then fuzz
	KOINON_LONG=1 go test -count=1 -timeout 24h ./...
	.ci/fuzz $(FUZZTIME)

portable: ## golden digests on amd64 v1, amd64 v3 and arm64
	.ci/portable $(PORTABLE)

# The marker lies behind every tool, so one rule builds all of them once.
$(TOOLS): .ci/go.mod .ci/go.sum
	go build -C .ci -o bin/ tool
	@touch $@

# Tests that run meanwhile see the whole program or none.
$(VAULT): .ci/vault/go.sum $(wildcard .ci/vault/*.go)
	go build -C .ci/vault -ldflags '-s -w' -o ../bin/vault-test.new .
	@touch $@.new && mv $@.new $@

clean: ## remove what was built here
	rm -rf bin .ci/bin .ci/onnx/node_modules

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12
