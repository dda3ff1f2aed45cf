#!/usr/bin/env bats
# requires root overlay bpf
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tools that test the kernel's side without an agent: every counter with every kind of access, and
# both mount methods.

load ../lib/helpers

setup() {
	require
}

teardown() {
	:
}

@test "the syscall backend counts each kind of access exactly" {
	run "$VARVE_BUILD/tests/tools/usage_probe" --backend syscall "$BATS_TEST_TMPDIR"
	assert_status 0
	[[ $(grep -cE '^(ok|skip) ' <<< "$output") -ge 45 ]]
}

@test "the overlay backend counts each kind of access exactly, or the kernel refuses it with a reason" {
	run "$VARVE_BUILD/tests/tools/usage_probe" --backend overlay "$BATS_TEST_TMPDIR"
	[[ $status -eq 0 || ($status -eq 77 && $output == "skip overlay: the kernel refuses"*) ]]
}

@test "both mount methods make the mounts that were asked for" {
	run "$VARVE_BUILD/tests/tools/overlay_check" "$BATS_TEST_TMPDIR"
	assert_status 0
	[[ $(grep -c '^ok ' <<< "$output") -ge 20 ]]
}
