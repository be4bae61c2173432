# Thin: each target is one line into a script or cargo. `make help` lists them.
.PHONY: help run demo test bench lint setup
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
setup: ## install the system packages that building and testing need (says what and why)
	@sh scripts/setup.sh
