#!/usr/bin/env bats
# requires root overlay
# SPDX-License-Identifier: Apache-2.0
#
# containerd's own suite of tests for snapshotters. It skips one of its 21 tests, Rename, on every
# overlayfs.

load ../lib/helpers

# passes client|agent: all tests of the suite, where the client or the agent mounts.
passes() {
	export VARVED=$VARVE_BUILD/varved VARVED_CONFIG=$agent_config TMPDIR=$BATS_TEST_TMPDIR
	printf '[prune]\nautomatic = no\n[snapshots]\nmounts = %s\n' "$1" > "$agent_config"
	run "$VARVE_BUILD/tests/tools/containerd_suite" -test.root -test.v
	assert_status 0
	[[ $(grep -c '^    --- PASS' <<< "$output") == 20 ]]
	[[ $(grep '^    --- SKIP' <<< "$output") == *Rename* ]]
	# A mount that is left over would keep its store.
	! grep "$BATS_TEST_TMPDIR/snapshot-suite" /proc/self/mountinfo
}

@test "the agent passes containerd's snapshotter suite when clients mount" {
	passes client
}

@test "the agent passes containerd's snapshotter suite when it mounts" {
	passes agent
}
