# Everything a person or a machine does with this repository. `make help` lists
# the targets. Servers and tools are built from nested modules into the user's
# cache directory (fixtures/servers/build); bin/ links to them.

VERSION  ?= $(shell git describe --tags --always --dirty)
FUZZTIME ?= 10s
# The size of make bench. Percentiles count from 500 edits and 100 pushes on;
# memory is read that long after the last write.
BENCH_SERVICES     ?= 1000
BENCH_PAIRS        ?= 5
BENCH_EDITS        ?= 500
BENCH_PUSHES       ?= 100
BENCH_MEMORY_AFTER ?= 60s
BENCH_RECORD       ?= docs/bench.json
IMAGE    ?= plumbline:$(VERSION)

# Every module of the repository, the main one first; nested ones are not part
# of `./...`.
MODULES := $(shell git ls-files 'go.mod' '*/go.mod' | xargs -n 1 dirname)
NESTED  := $(filter-out .,$(MODULES))
# Nested modules are linted and tested with the flags that their binaries are
# built with, or Kubernetes and Gitea would be compiled once more.
AS_BUILT := case $$module in \
	fixtures/forge) export CGO_ENABLED=1 GOFLAGS='-trimpath -buildvcs=false -mod=readonly -tags=sqlite,sqlite_unlock_notify';; \
	*) export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false -mod=readonly';; \
esac;

SERVER := go run ./fixtures/servers/buildserver

# Packages whose tests talk to servers run one after another, the others not.
SERVERS_PKG := github.com/plumbline-dev/plumbline/fixtures/servers
WITH_SERVERS = go list -f '{{$$p := .ImportPath}}{{range .TestImports}}{{.}} {{$$p}}{{"\n"}}{{end}}{{range .XTestImports}}{{.}} {{$$p}}{{"\n"}}{{end}}' ./... \
	| sed -n 's|^$(SERVERS_PKG) ||p' | sort -u

# Those that need Knative, or istiod on top of it, get an API server of their
# own: Knative's webhooks refuse what other packages' tests write.
WITH_KNATIVE = git grep -l 'servers\.\(Knative\|Mesh\)(' -- '*_test.go' | xargs -r -n 1 dirname | sort -u \
	| sed 's|^|github.com/plumbline-dev/plumbline/|'

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: build
build: ## Build bin/plumbline
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/plumbline ./cmd/plumbline

.PHONY: devcluster
devcluster: ## Build bin/devcluster, a Kubernetes API server, and bin/kubectl (minutes, once)
	@$(SERVER) devcluster kubectl

.PHONY: devforge
devforge: ## Build bin/devforge, a Gitea (minutes, once)
	@$(SERVER) devforge

.PHONY: devknative
devknative: ## Build bin/devknative, Knative's webhook and controller (minutes, once)
	@$(SERVER) knative-webhook devknative

.PHONY: devmesh
devmesh: ## Build bin/devmesh, Istio's control plane, and what asks it (minutes, once)
	@$(SERVER) devmesh istiocheck meshcalls

.PHONY: sops
sops: ## Build bin/sops, which tests encrypt with (minutes, once)
	@$(SERVER) sops

.PHONY: demo
demo: build devcluster ## Push to a repository and watch a cluster follow; DEMO=script plays it by itself
	go run ./fixtures/demo

.PHONY: test
test: doctor devcluster devforge devknative devmesh sops ## Run all tests, with the race detector, against one API server and one Gitea
	@failed=; all=$$(go list ./...) && served=$$($(WITH_SERVERS)) && knative=$$($(WITH_KNATIVE)) || exit 1; \
	pure=$$(printf '%s\n' $$all | grep -vxF -e "$${served:-none}"); \
	served=$$(printf '%s\n' $$served | grep -vxF -e "$${knative:-none}"); \
	echo "go test -race: packages without servers"; \
	go test -race $$pure || failed=1; \
	if [ -n "$$served" ]; then \
		echo "go test -race: packages with servers"; \
		bin/devcluster -- bin/devforge -- go test -race -p 1 -count=1 -timeout 40m $$served || failed=1; \
	fi; \
	if [ -n "$$knative" ]; then \
		echo "go test -race: packages with Knative and istiod"; \
		bin/devcluster -- bin/devknative -- bin/devmesh -- go test -race -p 1 -count=1 -timeout 40m $$knative || failed=1; \
	fi; \
	for module in $(filter-out .ci/tools,$(NESTED)); do \
		echo "go test: $$module"; \
		(cd $$module && { $(AS_BUILT) go test ./...; }) || failed=1; \
	done; \
	[ -z "$$failed" ]

.PHONY: bench
bench: build devcluster ## Measure beside a bare loop and Flux's engine (25 minutes), for docs/bench.json and the README
	@$(SERVER) bench
	bin/bench -services $(BENCH_SERVICES) -pairs $(BENCH_PAIRS) -edits $(BENCH_EDITS) -pushes $(BENCH_PUSHES) \
		-memory-after $(BENCH_MEMORY_AFTER) -record=$(BENCH_RECORD)
	$(MAKE) docs

.PHONY: bench-go
bench-go: devcluster ## Run the Go benchmarks of all packages: allocations, and requests at the API server
	bin/devcluster -- go test -run '^$$' -bench . -benchmem -p 1 -count=1 ./...

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (10s), two at once
	@FUZZTIME=$(FUZZTIME) sh .ci/fuzz

.PHONY: lint
lint: ## Check style, layers and formatting in every module
	@$(SERVER) golangci-lint
	@top=$$PWD; failed=; \
	for module in . $(filter-out .ci/tools,$(NESTED)); do \
		echo "lint: $$module"; \
		([ "$$module" = . ] || { $(AS_BUILT) }; cd $$module && $$top/bin/golangci-lint run --config $$top/.golangci.yml ./...) \
			|| failed="$$failed $$module"; \
	done; \
	[ -z "$$failed" ] || { echo "lint failed in:$$failed"; exit 1; }

.PHONY: fmt
fmt: ## Lay out all code of the main module as lint wants it
	@$(SERVER) golangci-lint
	bin/golangci-lint fmt ./...

.PHONY: tidy
tidy: ## Run go mod tidy in every module
	@set -e; for module in $(MODULES); do echo "tidy: $$module"; (cd $$module && go mod tidy); done

.PHONY: verify
verify: tidy lint ## Generate and tidy everything, rewrite golden files, and see that nothing changed
	go generate ./...
	UPDATE=1 go test -p 1 -count=1 ./render/... ./policies/... # some read what others rewrite
	$(MAKE) docs
	git diff --exit-code

.PHONY: docs
docs: ## Write the pages that follow from the code and from docs/bench.json
	UPDATE=1 go test -count=1 -run '^TestDocs$$' ./cmd/plumbline

.PHONY: doctor
doctor: ## Check that this machine has what the build and the tests need
	@sh .ci/doctor

.PHONY: image
image: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: clean
clean: ## Remove bin and dist; servers stay in the user's cache directory
	rm -rf bin dist
