#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Each operation of clients, cut off at each of its fail points (crash.bash).

load crash

prepare_new() { :; }
operate_new() { varve new --description "$case-new" --label k=v; }

prepare_new_on_twin() {
	id=$(varve commit "$(varve new --description "$case-parent")")
}
operate_new_on_twin() { varve new --parent "$id" --description "$case-child"; }

prepare_mount() {
	id=$(finished a)
	varve get "$id"
}
operate_mount() { varve mount "$id" --read-only; }

prepare_mount_twin() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_mount_twin() { varve mount "$id"; }

prepare_mount_view() { id=$(varve new --description "$case-a"); }
operate_mount_view() { varve mount "$id" --read-only; }

prepare_umount() {
	id=$(varve new --description "$case-a")
	varve mount "$id" --read-only > /dev/null
}
operate_umount() { varve umount "$id"; }

prepare_commit() {
	id=$(varve new --description "$case-a" --label k=v)
	echo a > "$(varve mount "$id")/a"
}
operate_commit() { varve commit "$id"; }

prepare_finalize() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_finalize() { varve finalize "$id"; }

prepare_get() { id=$(finished a); }
operate_get() { varve get "$id"; }

prepare_get_commits() {
	id=$(varve new --retain --description "$case-a")
	varve release "$id"
}
operate_get_commits() { varve get "$id"; }

prepare_get_mutable() {
	id=$(varve new --retain --description "$case-a")
	varve release "$(varve commit "$id")"
}
operate_get_mutable() { varve get "$id" --mutable; }

prepare_release() {
	id=$(finished a)
	varve get "$id"
	varve mount "$id" --read-only > /dev/null
}
operate_release() { varve release "$id"; }

prepare_release_deletes() {
	id=$(varve new --description "$case-a")
	echo a > "$(varve mount "$id")/a"
}
operate_release_deletes() { varve release "$id"; }

prepare_rm() { id=$(finished a --label k=v); }
operate_rm() { varve rm "$id"; }

prepare_prune() {
	id=$(finished a)
	finished b --parent "$id"
	id=$(varve new --retain --description "$case-c")
	varve release "$(varve commit "$id")"
}
operate_prune() { varve prune --all --filter "description~=^$case-"; }

prepare_lease_create() { :; }
operate_lease_create() { varve lease create "$case-lease"; }

prepare_lease_rm() {
	varve lease create "$case-lease"
	varve lease need "$case-lease" one two
	id=$(finished a)
	varve get "$id" --lease "$case-lease"
	varve new --lease "$case-lease" --description "$case-b"
}
operate_lease_rm() { varve lease rm "$case-lease"; }

prepare_lease_need() {
	varve lease create "$case-lease"
	varve lease need "$case-lease" one two
}
operate_lease_need() { varve lease need "$case-lease" two three; }

prepare_pin() { id=$(varve commit "$(varve new --description "$case-a")"); }
operate_pin() { varve pin "$id"; }

prepare_label() { id=$(finished a --label a=1 --label b=2); }
operate_label() { varve label "$id" a=3 c=4 --remove b; }

prepare_fold() {
	id=$(varve new --description "$case-a")
	echo a > "$(varve mount "$id")/a"
}
operate_fold() { varve du; }

prepare_fsck_repair() {
	finished a > /dev/null
	mkdir -p "$agent_root/layers/zzzz/fs"
	ln -sfn ../layers/zzzz/fs "$agent_root/l/zzzz"
}
operate_fsck_repair() { varve fsck --repair; }

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
	crash rm prune fsck_repair
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
