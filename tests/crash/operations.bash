# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The operations of clients: prepare_NAME makes the records that operate_NAME needs, with descriptions that
# begin with $case-.

# crash.bash and helpers.bash set these.
: "${case=}" "${agent_root=}"

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

prepare_rm_old() {
	id=$(finished a)
	touch -d "2 days ago" "$agent_root/layers/$(varve inspect "$id" --json | jq -r .layer)"
}
operate_rm_old() { varve rm "$id"; }

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
