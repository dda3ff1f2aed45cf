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

@test "what faults map in is counted, of our layers and of nothing else" {
	local backend tried=0
	for backend in overlay syscall; do
		mkdir "$BATS_TEST_TMPDIR/$backend"
		run "$VARVE_BUILD/tests/tools/mapped_probe" --backend "$backend" "$BATS_TEST_TMPDIR/$backend"
		[[ $status -eq 77 && $output == "skip $backend: the kernel refuses"* ]] && continue
		assert_status 0
		((tried += 1))
	done
	((tried > 0))
}

@test "both mount methods make the mounts that were asked for" {
	run "$VARVE_BUILD/tests/tools/overlay_check" "$BATS_TEST_TMPDIR"
	assert_status 0
	[[ $(grep -c '^ok ' <<< "$output") -ge 20 ]]
}

@test "doc/unseen.md says what this kernel's backends do not see" {
	local backend measured documented compared=0
	for backend in overlay syscall; do
		mkdir "$BATS_TEST_TMPDIR/$backend"
		run "$VARVE_BUILD/tests/tools/paths_probe" --backend "$backend" "$BATS_TEST_TMPDIR/$backend"
		[[ $status -eq 77 && $output == "skip $backend: "* ]] && continue
		assert_status 0
		measured=$(sed -n 's/^path //p' <<< "$output")
		documented=$(scripts/show-unseen-column "$(uname -r | cut -d. -f1-2) $backend")
		if [[ -n $documented ]]; then
			diff <(echo "$documented") <(echo "$measured")
			((compared += 1))
		fi
	done
	((compared > 0)) || skip "the table has no column for this kernel"
}
