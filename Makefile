# Everything is run by the Node that package-lock.json pins: npm scripts find it first on their PATH.
NODE := node_modules/.bin/node
STAMP := node_modules/.installed
NPM_RUN := npm run --silent

# The embedded model uses prebuilt binaries only: nothing is compiled during the installation.
export NODE_LLAMA_CPP_SKIP_DOWNLOAD := true

.DEFAULT_GOAL := help
.PHONY: help install redis run test package agents sdk-suites bench bench-micro bench-peers bench-depth bench-placement bench-rates bench-sharing journey chaos fuzz lint types format build clean

help: ## List the targets
	@echo "Stargazer Network Gateway. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) redis ## Install the packages, and Redis when it is missing

$(STAMP): package.json package-lock.json
	@echo "Installing the npm packages of package-lock.json"
	@npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# Skipped when a Redis is on PATH or named by REDIS_URL, in the environment or in .env.
redis:
	@if command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then exit 0; fi; \
	if [ -n "$$REDIS_URL" ] || grep -qs '^REDIS_URL=.' .env; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
	if command -v apt-get >/dev/null; then \
		set -- $$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c \
			'apt-get -qq update && apt-get -qq -o=Dpkg::Use-Pty=0 install --no-install-recommends redis-server >/dev/null'; \
	elif command -v dnf >/dev/null; then \
		set -- $$sudo sh -c 'dnf -q -y install valkey || dnf -q -y install redis'; \
	elif command -v apk >/dev/null; then \
		set -- $$sudo apk add --quiet redis; \
	elif command -v brew >/dev/null; then \
		set -- brew install --quiet redis; \
	else \
		echo "Redis is missing: install redis-server 7 or later, or set REDIS_URL." >&2; exit 1; \
	fi; \
	echo "Redis is missing. Installing it: $$*"; \
	"$$@"

run: install ## Run everything on this machine: Redis, a gateway, a worker
	@test -f .env || { cp .env.example .env && echo "Wrote .env: your settings go there"; }
	@exec $(NODE) src/cli.ts up

test: install ## Lint, format, types, then all tests
	@$(NPM_RUN) lint
	@$(NPM_RUN) format:check
	@$(NPM_RUN) types
	@$(NPM_RUN) test

agents: install ## Install and run Codex, Claude Code, Cline and others against a scripted model; ARGS="codex"
	@exec $(NODE) test/agents/run.ts $(ARGS)

sdk-suites: install ## Run the tests of OpenAI's and Anthropic's SDKs for Python: OPENAI_PYTHON=folder ANTHROPIC_PYTHON=folder
	@exec $(NODE) test/vendors/run.ts $(ARGS)

bench: install ## Measure on this machine; ARGS="--quick" takes seconds
	@exec $(NODE) bench/run.ts $(ARGS)

chaos: install ## Break everything while clients watch; SECONDS=600 SEED=7 TOPOLOGY=cluster KEYS=1
	@exec $(NODE) test/chaos/run.ts --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(TOPOLOGY),--topology $(TOPOLOGY)) $(if $(KEYS),--keys)

bench-peers: install ## The same through nginx, haproxy, LiteLLM and other routers that are on PATH
	@exec $(NODE) bench/run.ts --peers --dialect openai --limit 900 --out bench/results/peers $(ARGS)

bench-depth: install ## Time claims from a queue of up to 100,000 requests
	@exec $(NODE) bench/depth.ts

bench-placement: install ## Several models on one server; ARGS="--quick" or "--only p1,p2"
	@exec $(NODE) bench/placement/run.ts $(ARGS)

bench-sharing: install ## Keys and limits on real gateways; ARGS="--quick" or "--only l1,l3"
	@exec $(NODE) bench/sharing/run.ts $(ARGS)

journey: install ## List the files and functions that a streamed request passes; ARGS="--path /api/chat"
	@exec $(NODE) bench/journey/run.ts $(ARGS)

bench-rates: install ## Rate limits that four gateways share; ARGS="--seconds 5" for each case
	@exec $(NODE) bench/sharing/rates.ts $(ARGS)

bench-micro: $(STAMP) ## Time codecs and translators, in µs
	@exec $(NODE) bench/micro/run.ts $(ARGS)

fuzz: install ## Hostile input, SECONDS=60 for each of its tests; SEED=7 looks at the same again
	@FUZZ_SECONDS=$(or $(SECONDS),60) FUZZ_SEED=$(SEED) $(NODE) --test --test-concurrency=1 "test/hostile/*.test.ts"

lint: $(STAMP) ## Find mistakes and broken house rules
	@$(NPM_RUN) lint

types: $(STAMP) ## Check the types
	@$(NPM_RUN) types

format: $(STAMP) ## Format all files
	@$(NPM_RUN) format

build: $(STAMP) ## Compile to dist, as it is published
	@rm -rf dist
	@$(NPM_RUN) build

package: $(STAMP) ## Write the package file that npm installs elsewhere
	@$(NPM_RUN) pack

clean: ## Remove what install and build made; data and .env stay
	rm -rf dist node_modules
