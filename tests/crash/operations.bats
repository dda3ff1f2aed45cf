#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Each operation of clients, cut off at each of its fail points (crash.bash).

load crash
load operations

@test "B83 a new that is cut off at any step leaves a consistent store" {
	crash new new_on_twin
}

@test "B83 a mount or umount that is cut off at any step leaves a consistent store" {
	crash mount mount_twin mount_view umount
}

@test "B83 a new that mounts by mount(2) and is cut off at any step leaves a consistent store" {
	export VARVE_OVERLAY_METHOD=mount
	only='^staging'
	crash new
}

@test "B83 a failed new that is cut off at any step of its undoing leaves a consistent store" {
	trap - DEBUG
	operation=new
	start
	learn
	: > "$passed"
	arm mount.point-made 1 28
	operate
	disarm
	((ended != 0))
	list_passes
	also="mount.point-made 1 28"
	undoing=no
	for pass in "${passes[@]}"; do
		# shellcheck disable=SC2086
		[[ $undoing == no ]] || killed_at $pass
		[[ $pass != mount.point-made* ]] || undoing=yes
	done
}

@test "B83 a commit, finalize or get that is cut off at any step leaves a consistent store" {
	crash commit finalize get get_commits get_mutable
}

@test "B9 B10 a release that is cut off at any step leaves a consistent store" {
	crash release release_deletes
}

@test "B68 an rm, prune or repair that is cut off at any step leaves a consistent store" {
	crash rm rm_old prune fsck_repair
}

@test "B83 a change of a lease that is cut off at any step leaves a consistent store" {
	crash lease_create lease_rm lease_need
}

@test "B83 a pin, label or fold that is cut off at any step leaves a consistent store" {
	crash pin label fold
}

@test "files that were read count once, wherever their fold is cut off" {
	local pass
	trap - DEBUG
	backend=syscall operation=files
	start
	for pass in files.pinned files.put-aside files.written; do
		spot="killed at $pass"
		id=$(varve new --retain)
		dir=$(varve mount "$id")
		echo a > "$dir/a"
		echo b > "$dir/b"
		cat "$dir/a" "$dir/a" "$dir/b" > /dev/null
		arm "$pass" 1 0
		varve files "$id" &> /dev/null || true
		retry 50 agent_is_gone || complain "is not passed"
		disarm
		wait "$agent_pid" 2> /dev/null || true
		cat "$dir/b" > /dev/null
		start
		[[ $(varve files --json "$id" | jq -s 'map(.opens) | add') == 4 ]] || complain "counts $(varve files --json "$id")"
	done
	cat "$passed" >> "$BATS_FILE_TMPDIR/passed"
}

@test "these tests pass every fail point of operations" {
	passes_every "$operation_points"
}
