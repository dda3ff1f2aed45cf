#!/usr/bin/env bats
# requires root python3
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by a registry on the host that pulls from it or pushes to it.

load ../lib/helpers
load ../lib/registry

setup() {
	content_setup
	make_site
	start_bad_registry
}

teardown() {
	stop_registry
	[[ ! -s site/errors ]] || cat site/errors
}

tool() {
	content_tool --stall 1 --auth user:secret "$@"
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
