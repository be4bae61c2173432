# Thin: each target is one line into a script or cargo. `make` alone lists them.
.PHONY: coverage help install run demo test bench lint docs kernels setup
.DEFAULT_GOAL := help
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10
run: ## build and watch this machine with the shipped rules (Ctrl-C ends it)
	@sh scripts/setup.sh build && cargo build --release --package hawkbell && exec $(ROOT) "$${CARGO_TARGET_DIR:-target}/release/hawkbell" watch
demo: ## do harmless suspicious things in a scratch directory, so that a running watch has something to say
	@$(ROOT) sh scripts/demo.sh
install: ## build and install binaries, man pages, completions and the service (DESTDIR, PREFIX)
	@sh scripts/setup.sh build && cargo build --release --package hawkbell && $(ROOT) sh scripts/install.sh
test: ## install what the tests need and run them all
	@sh scripts/setup.sh test && cargo test --workspace --quiet
bench: ## print the measured figures beside the reference's
	@sh scripts/setup.sh test && cargo xtask bench
coverage: ## measure the shipped packet programs with our own coverage: figures, floor, HTML in target/cover/html
	@sh scripts/setup.sh test && sh scripts/coverage.sh
lint: ## formatting and lints as CI sees them
	@cargo fmt --all --check && cargo clippy --workspace --all-targets --quiet -- -D warnings
docs: ## write the generated reference pages anew
	@cargo xtask docs
kernels: ## boot other kernels in a VM and try there
	@sh scripts/setup.sh kernels && cargo xtask kernels
setup: ## only install the system packages
	@sh scripts/setup.sh test
