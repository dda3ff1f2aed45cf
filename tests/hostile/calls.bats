#!/usr/bin/env bats
# requires root overlay python3 python3-grpc sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Calls that would keep the agent busy for longer than their client waits, or make it grow without end.

load ../lib/helpers

@test "every call that reads many records or leases ends when its client is gone" {
	start_agent
	varve lease create somebody
	stop_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 50
	run "$VARVE_BUILD/tests/tools/cancelled_calls" "$agent_root"
	assert_status 0
	for call in list "list of ids" statistics leases policies explain snapshots doctor prune; do
		assert_output_has "$call: ECANCELED"
	done
	[[ ${#lines[@]} -eq 9 ]]
}

@test "the image references of one record have a limit" {
	start_agent
	id=$(result base)
	"$BATS_TEST_DIRNAME/../tools/grpc_calls" "$agent_socket" "$VARVE_BUILD/gen" image_refs "$id"
}
