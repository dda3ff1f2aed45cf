#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# Clients that mount the snapshots that they are given: well, badly, or not at all.

load ../lib/helpers
load ../lib/snapshots

setup() {
	agent_setup
	snapshots_setup
	sleeper=
}

teardown() {
	[[ -z $sleeper ]] || kill "$sleeper"
	snapshots_teardown
	agent_teardown
}

mount_option() { # KEY NAME
	call Mounts "key=$1" | jq -r --arg start "$2=" \
		'.mounts[0].options[] | select(startswith($start)) | ltrimstr($start)'
}

store_is_sound() {
	run varve fsck
	assert_status 0
}

@test "the answers have the form of containerd's overlayfs snapshotter" {
	start_agent_with client
	call Prepare key=a > /dev/null
	run call Mounts key=a
	assert_json '.mounts == [{type: "bind", source: .mounts[0].source, options: ["rw", "rbind"]}]'
	[[ -d $(jq -r '.mounts[0].source' <<< "$output") ]]
	call Commit key=a name=one
	call Prepare key=b parent=one > /dev/null
	call Commit key=b name=two
	call Prepare key=active parent=two > /dev/null
	run call Mounts key=active
	assert_json '.mounts[0] | .type == "overlay" and .source == "overlay" and
		(.options | map(split("=")[0])) == ["index", "workdir", "upperdir", "lowerdir"]'
	call View key=view parent=two > /dev/null
	run call Mounts key=view
	assert_json '.mounts[0].options | map(split("=")[0]) == ["index", "lowerdir"]'
	# What a view shows, a snapshot on top of it continues: so clients find what one layer adds.
	[[ $(mount_option active lowerdir) == "$(mount_option view lowerdir)" ]]
	call View key=low parent=one > /dev/null
	[[ $(mount_option view lowerdir) == *":$(mount_option low lowerdir)" ]]
	call View key=nothing > /dev/null
	run call Mounts key=nothing
	assert_json '.mounts[0] | .type == "bind" and .options == ["ro", "rbind"]'
}

@test "where the kernel's default is to redirect, the answers switch it off" {
	local parameter=/sys/module/overlay/parameters/redirect_dir was
	was=$(cat "$parameter")
	echo Y > "$parameter"
	start_agent_with client
	echo "$was" > "$parameter"
	committed base
	call Prepare key=active parent=base > /dev/null
	[[ $(mount_option active redirect_dir) == off ]]
	mount_snapshot active
}

@test "a store whose path does not fit into mount options is mounted by the agent" {
	agent_root=$BATS_TEST_TMPDIR/a:b,c
	start_agent_with client
	committed base
	call View key=view parent=base > /dev/null
	run call Mounts key=view
	assert_json '.mounts[0] | .type == "bind" and (.source | contains("/mnt/"))'
	[[ $(cat "$(mount_snapshot view)/base") == base ]]
}

@test "the agent mounts nothing for snapshots, and unmounts nothing" {
	local before
	start_agent_with client
	before=$(cat /proc/self/mountinfo)
	call deep 5
	call Prepare key=active parent=deep/5 > /dev/null
	call View key=view parent=deep/5 > /dev/null
	[[ $(cat /proc/self/mountinfo) == "$before" ]]
	run varve ls --json
	assert_json_lines 'all(.mountpoint == null)'
	call Remove key=active
	call Remove key=view
	call Cleanup
	retry 50 has_layers 5
	store_is_sound
}

@test "the size of a snapshot that a client writes to is unknown until it is measured" {
	local dir
	start_agent_with client
	call Prepare key=active > /dev/null
	dir=$(mount_snapshot active)
	head -c 100000 /dev/zero > "$dir/file"
	run varve ls --json
	assert_json '.size == null'
	run varve du --json
	assert_json_lines '.[0].size >= 100000'
	head -c 100000 /dev/zero > "$dir/other"
	run varve du --json
	assert_json_lines '.[0].size >= 200000'
	run varve ls --json
	assert_json '.size == null'
	call Commit key=active name=committed
	run varve ls --json
	assert_json '.size >= 200000'
}

@test "what is read in a snapshot without a parent is unknown until it is committed" {
	local dir id
	start_agent_with client
	call Prepare key=cache > /dev/null
	id=$(record_of cache)
	dir=$(mount_snapshot cache)
	echo data > "$dir/file"
	cat "$dir/file"
	run varve ls --json
	assert_json '.access == {opens: null, reads: null, readBytes: null, lastReadAt: null, lastWrittenAt: null, upkeep: {opens: null, reads: null, readBytes: null, lastReadAt: null}, backend: "none"}'
	run varve stats --json
	assert_json '.opens == null and .filesTouched == null and .lastAccessAt == null and .backend == "none"'
	run varve stats -o "LAST READ"
	[[ ${lines[1]} == *–* ]]
	run varve inspect "$id"
	[[ $output =~ Accesses.*– ]]
	run varve files "$id" --never-read --json
	assert_json '.path == "file" and .opens == null'
	run varve files "$id" --never-read
	assert_output_has "it is unknown whether these files were read"
	call Commit key=cache name=committed
	run varve ls --json
	assert_json '.access.opens == 0 and .access.backend != "none"'
}

@test "what a client writes without a mount is in the commit" {
	local upper
	start_agent_with client
	committed base
	call Prepare key=active parent=base > /dev/null
	upper=$(mount_option active upperdir)
	echo new > "$upper/new"
	mknod "$upper/base" c 0 0
	call Commit key=active name=two
	call View key=view parent=two > /dev/null
	[[ $(ls "$(mount_snapshot view)") == new ]]
	run varve du --json
	assert_json_lines 'map(select(.id) | .size != null) | all'
	store_is_sound
}

@test "a snapshot that was never mounted is committed and removed" {
	start_agent_with client
	call Prepare key=a > /dev/null
	call Commit key=a name=one
	call Prepare key=b parent=one > /dev/null
	call Commit key=b name=two
	run call Usage key=two
	assert_json '.inodes == "1"'
	call Remove key=two
	call Remove key=one
	retry 50 has_layers 0
	store_is_sound
}

@test "a snapshot that a client mounts twice is committed once" {
	local one two
	start_agent_with client
	committed base
	call Prepare key=active parent=base > /dev/null
	one=$(mount_snapshot active one)
	two=$(mount_snapshot active two)
	echo one > "$one/one"
	echo two > "$two/two"
	umount "$one" "$two"
	call Commit key=active name=both
	call View key=view parent=both > /dev/null
	[[ $(ls "$(mount_snapshot view)") == $'base\none\ntwo' ]]
	store_is_sound
}

@test "what a client writes after its commit is in the size of its own snapshot" {
	local dir base
	start_agent_with client
	committed base
	base=$(record_of base)
	call Prepare key=active parent=base > /dev/null
	dir=$(mount_snapshot active)
	echo before > "$dir/before"
	call Commit key=active name=two
	head -c 100000 /dev/zero > "$dir/after"
	umount "$dir"
	run varve ls --json
	assert_json_lines 'map(.size == null) == [false, true]'
	run varve du --json
	assert_json_lines 'any(.id != "'"$base"'" and .size >= 100000)'
	store_is_sound
}

@test "a client that writes to the layers of a view is found by fsck" {
	local dir=$BATS_TEST_TMPDIR/layer layer
	start_agent_with client
	committed base
	call View key=view parent=base > /dev/null
	layer=$(mount_option view lowerdir)
	mkdir "$dir"
	mount --bind -o rw "${layer%%:*}" "$dir"
	head -c 100000 /dev/zero > "$dir/wrong"
	umount "$dir"
	run varve fsck
	assert_status 8
	assert_output_has wrong-size
}

@test "a snapshot is removed while a client has it mounted" {
	local dir
	start_agent_with client
	committed base
	call Prepare key=active parent=base > /dev/null
	dir=$(mount_snapshot active)
	echo data > "$dir/data"
	call Remove key=active
	call Remove key=base
	retry 50 has_layers 0
	# The mount shows nothing that is there, and a snapshot of the same name is another one.
	committed base
	call Prepare key=active parent=base > /dev/null
	[[ ! -e $(mount_snapshot active again)/data ]]
	umount "$dir"
	store_is_sound
}

@test "what a client was given before Remove cannot be mounted after it" {
	local options upper dir=$BATS_TEST_TMPDIR/late
	start_agent_with client
	committed base
	call Prepare key=active parent=base > /dev/null
	options=$(call Mounts key=active | jq -r '.mounts[0].options | join(",")')
	upper=$(mount_option active upperdir)
	call Remove key=active
	mkdir "$dir"
	# The answer does not wait until the files are gone.
	retry 100 test ! -e "$upper"
	run mount -t overlay overlay -o "$options" "$dir"
	((status != 0))
	# A snapshot of the same name has another folder, so that the client cannot get into it.
	call Prepare key=active parent=base > /dev/null
	[[ $(mount_option active upperdir) != "$upper" ]]
	run mount -t overlay overlay -o "$options" "$dir"
	((status != 0))
	store_is_sound
}

mounted_in_a_namespace() { # KEY
	local ready=$BATS_TEST_TMPDIR/ready
	mkdir -p "$snapshots_mounted"
	mkfifo "$ready"
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c \
		'mkdir -p "$3/hidden" && "$0" "$1" "$2" "$3/hidden" && echo > "$4" && exec sleep 1000' \
		"$VARVE_BUILD/tests/tools/containerd_mount" "$agent_socket" "$1" "$snapshots_mounted" "$ready" 3>&- &
	sleeper=$!
	read -r < "$ready"
}

is_kept_while_mounted() { # NAME: a committed snapshot, mounted in another mount namespace
	local id
	id=$(record_of "$1")
	varve pin "$id"
	call Remove "key=view"
	call Remove "key=$1"
	varve unpin "$id"
	run varve rm "$id"
	assert_status 5
	assert_output_has "in use by sleep"
	varve prune --all > /dev/null
	run varve explain "$id"
	assert_output_has mounted
	# An agent that was not there when the layer was handed out keeps it, too.
	stop_agent
	start_agent
	varve prune --all > /dev/null
	varve inspect "$id" > /dev/null
	kill "$sleeper"
	wait "$sleeper" || true
	sleeper=
	varve prune --all > /dev/null
	[[ -z $(varve ls -q --filter "id==$id") ]]
}

@test "Varve evicts no layer that a client has mounted in another mount namespace" {
	start_agent_with client
	committed base
	call View key=view parent=base > /dev/null
	mounted_in_a_namespace view
	is_kept_while_mounted base
}

@test "Varve evicts no layer that is among 130 of a client's mount" {
	start_agent_with client
	call deep 130
	call View key=view parent=deep/130 > /dev/null
	mounted_in_a_namespace view
	is_kept_while_mounted deep/130
}

@test "mounts that the agent made stay when clients begin to mount" {
	local dir id removed
	start_agent_with agent
	committed base
	call Prepare key=active parent=base > /dev/null
	call Prepare key=removed parent=base > /dev/null
	call View key=view parent=base > /dev/null
	id=$(record_of active)
	removed=$(record_of removed)
	dir=$(mount_snapshot active)
	echo before > "$dir/before"
	stop_agent
	start_agent_with client
	run call Mounts key=active
	assert_json ".mounts[0] | .type == \"bind\" and (.source | endswith(\"/mnt/$id\"))"
	echo after > "$dir/after"
	umount "$dir"
	call Commit key=active name=two
	call Prepare key=next parent=two > /dev/null
	run call Mounts key=next
	assert_json '.mounts[0].type == "overlay"'
	[[ $(cat "$(mount_snapshot next)"/{base,before,after}) == $'base\nbefore\nafter' ]]
	call Remove key=removed
	retry 50 test ! -e "$agent_root/mnt/$removed"
	# One that was unmounted is the client's to mount.
	umount "$agent_root/mnt/$(record_of view)"
	run call Mounts key=view
	assert_json '.mounts[0].type == "overlay"'
	store_is_sound
}

@test "a snapshot that clients mounted is mounted by the agent when it begins to mount" {
	local dir
	start_agent_with client
	committed base
	call Prepare key=active parent=base > /dev/null
	dir=$(mount_snapshot active)
	echo before > "$dir/before"
	umount "$dir"
	stop_agent
	start_agent_with agent
	run call Mounts key=active
	assert_json '.mounts[0] | .type == "bind" and (.source | contains("/mnt/"))'
	[[ $(cat "$(mount_snapshot active)"/{base,before}) == $'base\nbefore' ]]
	store_is_sound
}
