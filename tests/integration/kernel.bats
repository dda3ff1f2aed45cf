#!/usr/bin/env bats
# requires root overlay bpf
# SPDX-License-Identifier: Apache-2.0
#
# What is tested below the agent, on this kernel: every counter against every kind of access, and
# every way to mount.

load ../lib/helpers

setup() {
	require
}

teardown() {
	:
}

@test "usage_probe: each access is counted exactly" {
	run "$VARVE_BUILD/tests/tools/usage_probe" --backend syscall "$BATS_TEST_TMPDIR"
	assert_status 0
	[[ $(grep -cE '^(ok|skip) ' <<< "$output") -ge 45 ]]
}

@test "usage_probe: the overlay backend counts exactly, or is refused with a reason" {
	run "$VARVE_BUILD/tests/tools/usage_probe" --backend overlay "$BATS_TEST_TMPDIR"
	[[ $status -eq 0 || ($status -eq 77 && $output == "skip overlay: the kernel refuses"*) ]]
}

@test "overlay_check: mounts by either method" {
	run "$VARVE_BUILD/tests/tools/overlay_check" "$BATS_TEST_TMPDIR"
	assert_status 0
	[[ $(grep -c '^ok ' <<< "$output") -ge 20 ]]
}
