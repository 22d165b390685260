# Everything a contributor needs. `make` or `make help` lists it.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BINARY  := matomo-scim-bridge
DIST    ?= dist
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Durations of the long runs: make soak SOAK=30m, make fuzz FUZZTIME=1m.
SOAK     ?= 10m
FUZZTIME ?= 10s

.PHONY: help
help: ## Show this list
	@echo 'matomo-scim-bridge: what make can do (Go and Debian are all it needs)'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Before a change is handed in: make fmt lint test. The whole gate is .ci/run.'
	@echo 'Tests run on SQLite and PostgreSQL; TEST_ENGINES=sqlite or TEST_ENGINES=postgres picks one.'

.PHONY: build
build: ## Build the static binary into dist/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(DIST)/$(BINARY) ./cmd/$(BINARY)

.PHONY: cross
cross: ## Build for every platform we ship, to see that it compiles
	for p in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
	  echo "$$p"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} \
	    go build -trimpath -ldflags '$(LDFLAGS)' -o "$(DIST)/$(BINARY)-$${p%/*}-$${p#*/}" ./cmd/$(BINARY); \
	done

.PHONY: dist
dist: ## Archives for every platform, with checksums and SBOM, built twice alike
	scripts/dist '$(VERSION)' '$(DIST)'

.PHONY: test
test: ## Vet and test everything, on both database engines
	scripts/test-deps
	go vet ./...
	go test ./...

.PHONY: race
race: ## The same under the race detector (needs a C compiler)
	scripts/test-deps race
	CGO_ENABLED=1 go test -race -timeout 30m ./...

.PHONY: lint
lint: ## Format check, golangci-lint, go.mod tidy
	scripts/lint

.PHONY: fmt
fmt: ## Format every Go file the way lint wants it
	go tool -modfile=go.tool.mod gofumpt -l -w .

.PHONY: vuln
vuln: ## Look for known vulnerabilities (needs the Go vulnerability database)
	go tool -modfile=go.tool.mod govulncheck ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s)
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## Run every benchmark once, with allocations
	scripts/test-deps
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: soak
soak: ## Long randomised run of the whole bridge for SOAK (10m)
	go test -count=1 -timeout 0 -run '^TestSoak$$' ./internal/app -args -soak $(SOAK)

.PHONY: budget
budget: ## Print the size budget and what is over it
	go test -count=1 -v -run '^TestSizeBudget$$' ./internal/imports

.PHONY: plugin
plugin: ## Pack the companion plugin for Matomo into dist/
	scripts/test-deps plugin
	scripts/plugin-zip $(DIST)

.PHONY: plugin-test
plugin-test: ## Check the companion plugin: php -l and PHPUnit
	scripts/test-deps plugin
	scripts/plugin-test

.PHONY: docs
docs: ## Check links and commands in README and docs/
	scripts/check-docs

.PHONY: alerts
alerts: ## Check the Prometheus rules and run their unit tests (needs promtool)
	promtool check rules deploy/prometheus/rules.yaml
	cd deploy/prometheus && promtool check config prometheus.yml && promtool test rules rules_test.yaml

.PHONY: helm-test
helm-test: ## Check the Helm chart: lint, schemas, and what it renders (builds helm once)
	scripts/tool --build helm kubeconform
	go test -count=1 -run '^TestChart' ./deploy

.PHONY: helm-files
helm-files: ## Copy alerts and dashboards into the Helm chart
	cp deploy/prometheus/rules.yaml deploy/helm/matomo-scim-bridge/files/
	cp deploy/grafana/dashboards/*.json deploy/helm/matomo-scim-bridge/files/dashboards/

.PHONY: dashboard-picture
dashboard-picture: ## Draw docs/dashboard.svg from a live run (needs prometheus)
	go test -count=1 -run '^TestDashboards_Live$$' ./deploy -args -picture

.PHONY: metrics-page
metrics-page: ## Write docs/metrics.md from the code
	TEST_ENGINES=sqlite go test -count=1 -run '^TestMetricsPage$$' ./internal/app -args -update-docs

.PHONY: licences-page
licences-page: ## Write docs/licences.md from what is linked in
	go test -count=1 -run '^TestLicences$$' ./internal/imports -args -update-docs

.PHONY: clean
clean: ## Remove what build left behind
	rm -rf $(DIST)
