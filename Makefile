.DEFAULT_GOAL := help
.PHONY: bench bench-distance build clean cluster-drill contract deps dist dist-check doc drill fmt fuzz help import-drill lint loss-drill mutants run stop-drill test test-unit

bench: ## Measures what durability costs, imports, the ledger, pacing: on a quiet machine; about an hour
	cargo bench --bench durability --bench ledger --bench pacing
	scripts/install-test-deps.sh
	scripts/with-services.sh cargo bench --bench limits --bench intake

bench-distance: ## Measures shared limits with PostgreSQL 0 to 150 ms away; about an hour
	scripts/install-test-deps.sh
	cargo bench --bench distance

loss-drill: ## Takes messages and the database away under three consumers that hold 2,000 messages; about 15 minutes
	scripts/install-test-deps.sh
	LOSSES_MESSAGES=6000 scripts/with-services.sh cargo test --release --test it losses:: -- --nocapture --test-threads=1

build: ## Builds the program, for release
	cargo build --release

clean: ## Removes what was built
	cargo clean

cluster-drill: ## Takes the nodes of a RabbitMQ cluster away under four consumers, and counts; about half an hour
	scripts/install-test-deps.sh
	scripts/oracle-env.sh
	cargo build --release
	target/venv/bin/python scripts/cluster_drill.py --rounds 2

contract: ## Holds a run's exchanges against Twilio's OpenAPI files: make contract OAI=DIR
	scripts/contract.sh "$(OAI)"

deps: ## Checks the dependencies: licences, sources, known vulnerabilities, crates that are not used
	scripts/deps.sh

dist: ## Builds the archive of a release in target/dist
	scripts/dist.sh

dist-check: ## Installs the archive of make dist on a new, minimal Debian, and runs a campaign there; needs root
	scripts/dist-check.sh

doc: ## Builds the documentation of the crate, and refuses broken links in it
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

drill: ## Kills consumers and the broker under real load, and counts; about 40 minutes
	scripts/install-test-deps.sh
	cargo build --release
	scripts/drill.py --ledger sqlite --consumers 1
	scripts/drill.py --ledger postgres --consumers 3
	scripts/drill.py --ledger sqlite --consumers 1 --messages 2000 --cancel-at 0.4
	scripts/drill.py --ledger postgres --consumers 3 --messages 2000 --cancel-at 0.4

import-drill: ## Kills a 200,000-row import 50 times on each queue, and counts; about 20 minutes
	scripts/install-test-deps.sh
	cargo build --release
	scripts/import_drill.py

fmt: ## Formats the code
	cargo fmt

fuzz: ## Sends hostile messages: ten million frames through the parser, 50,000 messages over a broker; about an hour
	scripts/install-test-deps.sh
	scripts/oracle-env.sh
	FUZZ_FRAMES=10000000 cargo test --release --test it wire_fuzz:: -- --nocapture
	FUZZ_MESSAGES=50000 scripts/with-services.sh cargo test --release --test it poison_fuzz:: -- --nocapture

help: ## Tells what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lint: ## Checks formatting and lints, as .ci/run does
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

mutants: ## Breaks one promise at a time, and demands that the in-process drill notices
	scripts/mutation-check.sh

run: ## Runs the example campaign against the simulator
	cargo run --release -- send examples/spring-renewals.toml examples/spring-renewals.csv --simulate

stop-drill: ## Pauses and cancels 30 times each while a consumer stands still, is cut off or far away; about half an hour
	scripts/install-test-deps.sh
	STOP_ROUNDS=30 scripts/with-services.sh cargo test --release --test it operator_stops:: -- --nocapture

test: ## Runs all tests; installs what they need and starts RabbitMQ and PostgreSQL
	scripts/install-test-deps.sh
	scripts/oracle-env.sh
	# One more than there are processors: most tests wait for something.
	scripts/with-services.sh cargo test -- --test-threads=$$(($$(nproc) + 1))

test-unit: ## Runs the unit tests and the tests that need no service and no other program
	scripts/test-unit.sh
