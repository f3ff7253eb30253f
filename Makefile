# `make help` lists the targets.
SERVER := go run ./fixtures/servers/buildserver

.PHONY: devcluster
devcluster: ## Build bin/devcluster and bin/kubectl (cached; minutes the first time)
	@$(SERVER) devcluster kubectl
