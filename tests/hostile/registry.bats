#!/usr/bin/env bats
# requires root python3
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by a registry on the host that pulls from it or pushes to it.

load ../lib/helpers

setup() {
	bats_require_minimum_version 1.5.0
	require
	cd "$BATS_TEST_TMPDIR" || return
	mkdir store site
	head -c 300000 /dev/urandom > site/blob
	printf '{"schemaVersion":2,"layers":[]}' > site/manifest
	digest=sha256:$(sha256sum site/blob | cut -d' ' -f1)
	"$BATS_TEST_DIRNAME/../tools/bad_registry.py" site 2> errors 3>&- &
	registry_pid=$!
	retry 100 test -f site/address
	registry=$(< site/address)
	other=$(< site/other)
}

teardown() {
	kill "$registry_pid"
	wait "$registry_pid" || true
	[[ ! -s errors ]] || cat errors
}

tool() {
	"$VARVE_BUILD/tests/tools/content_tool" --store store --helper "$VARVE_BUILD/varve-fetch" --stall 1 --auth user:secret "$@"
}

# The other service got no request, and so no password.
nothing_asked_of_other() {
	run -1 grep "^other " site/log
}

@test "a registry on this host cannot make varve-fetch connect to the host's other services" {
	for repository in redirect-port redirect-port-later token-port; do
		run -1 tool fetch-blob "$registry" "$repository" "$digest" 300000
		assert_output_has "EPERM: $registry/$repository: blob $digest: "
		assert_output_has "http://$other/"
		assert_output_has "is another service of this host"
	done
	tool add site/blob > /dev/null
	run -1 tool push-blob "$registry" push-port "$digest"
	assert_output_has "the place for the upload is refused: http://$other/"
	nothing_asked_of_other
}
