#!/usr/bin/env bats
# requires root overlay jq sqlite3 mkfs.ext4 setfattr getfattr
# SPDX-License-Identifier: Apache-2.0
#
# containerd's Snapshots service, called by a client of Python's gRPC, and compared with containerd's own
# overlay snapshotter.

load ../lib/helpers
load ../lib/snapshots

setup() {
	agent_setup
	snapshots_setup
	peer_pid=
}

teardown() {
	[[ -z $peer_pid ]] || kill "$peer_pid"
	snapshots_teardown
	agent_teardown
}

has_records() {
	[[ -n $(varve ls -q 2> /dev/null) ]]
}

has_no_layers() {
	(($(count_layers) == 0))
}

answers_as_peer() { # client|agent
	local seed
	start_agent_with "$1"
	"$VARVE_BUILD/tests/bench/peer_snapshotter" "$BATS_TEST_TMPDIR/peer" "$agent_socket_dir/peer" 3>&- &
	peer_pid=$!
	retry 50 test -S "$agent_socket_dir/peer"
	seed=${VARVE_SEED:-$RANDOM}
	echo "VARVE_SEED=$seed"
	call differ "$agent_socket_dir/peer" "$seed" 1500
	run varve fsck
	assert_status 0
}

@test "the agent answers random calls as containerd's overlay snapshotter does, when clients mount" {
	answers_as_peer client
}

@test "the agent answers random calls as containerd's overlay snapshotter does, when it mounts" {
	answers_as_peer agent
}

@test "the agent refuses wrong snapshot calls with the right status and changes nothing" {
	start_agent_with client
	call refusals
	run varve fsck
	assert_status 0
}

serves_a_crowd() { # client|agent
	start_agent_with "$1"
	call crowd
	run varve ls -q
	[[ -z $output ]]
	run varve lease ls --json
	assert_json_lines 'map(.name) == ["cli"]'
	retry 50 has_no_layers
	run varve fsck
	assert_status 0
}

@test "the agent serves hundreds of snapshot calls at once, when clients mount" {
	serves_a_crowd client
}

@test "the agent serves hundreds of snapshot calls at once, when it mounts" {
	serves_a_crowd agent
}

mounts_130_layers() { # client|agent
	local dir
	start_agent_with "$1"
	call deep 130
	call Prepare key=top parent=deep/130
	dir=$(mount_snapshot top)
	[[ $(find "$dir" -type f | wc -l) == 130 ]]
	[[ $(cat "$dir/deep-1" "$dir/deep-130") == $'deep/1\ndeep/130' ]]
}

@test "a client mounts 130 layers at once" {
	mounts_130_layers client
}

@test "the agent mounts 130 layers at once, and counts what is read in the lowest" {
	count_accesses
	mounts_130_layers agent
	run varve stats "$(record_of deep/1)" --json
	assert_json '.readBytes == 7'
}

@test "a snapshot is a record with its key, its kind and its labels" {
	local id
	start_agent_with client
	call Prepare 'key=ns/1/a "b" c' labels.a=1 labels.empty=
	id=$(record_of 'ns/1/a "b" c')
	run varve inspect "$id"
	assert_output_has 'ns/1/a "b" c (active)'
	assert_output_has 'containerd/ns (1 refs)'
	run varve ls
	assert_output_has active
	run varve du --json
	assert_json '.labels == {"a": "1"} and .snapshot.kind == "active" and .mutable and .inUse'
	call Commit 'key=ns/1/a "b" c' name=ns/2/base labels.b=2
	run varve tree
	assert_output_has committed
	run varve stats --json
	assert_json '.snapshot == {"key": "ns/2/base", "kind": "committed"}'
	run varve inspect "$id" --json
	assert_json '.labels == {"b": "2"} and (.mutable | not) and .description == "ns/2/base" and .mountpoint == null'
	call View key=ns/3/view parent=ns/2/base
	run varve inspect "$(record_of ns/3/view)" --json
	assert_json '.snapshot.kind == "view" and .mountpoint == null'
	[[ $(stat -f -c %T "$(mount_snapshot ns/3/view)") == overlayfs ]]
}

@test "varve inspect shows where the agent has mounted a snapshot" {
	start_agent_with agent
	committed base
	call View key=view parent=base
	run varve inspect "$(record_of view)" --json
	assert_json '.snapshot.kind == "view" and .readOnly and (.mountpoint | length > 0)'
	[[ $(stat -f -c %T "$(mount_snapshot view)") == overlayfs ]]
}

@test "Varve's own commands cannot take a snapshot from containerd" {
	local active base
	start_agent_with client
	committed ns/1/base
	call Prepare key=ns/2/active parent=ns/1/base > /dev/null
	active=$(record_of ns/2/active)
	base=$(record_of ns/1/base)
	refused() { # TEXT COMMAND…
		local text=$1
		shift
		run varve "$@"
		assert_status 5
		assert_output_has "$text"
	}
	refused 'containerd removes it' rm "$active"
	refused 'containerd removes it' rm "$base"
	refused 'containerd commits it' commit "$active"
	refused 'another client cannot have it' get "$active" --mutable
	refused 'another client cannot have it' get "$active"
	refused 'its owner mounts it' mount "$active"
	refused "its labels are containerd's" label "$base" a=b
	refused "is containerd's" release "$base" --lease containerd/ns
	refused "is containerd's" lease rm containerd/ns
	run varve prune -a
	run varve ls -q
	((${#lines[@]} == 2))
	[[ $(cat "$(mount_snapshot ns/2/active)/ns-1-base") == ns/1/base ]]
}

@test "a record that is pinned or has children stays when containerd removes its snapshot" {
	local base child pinned
	start_agent
	committed ns/1/base
	committed ns/2/pinned
	base=$(record_of ns/1/base)
	pinned=$(record_of ns/2/pinned)
	child=$(varve new --parent "$base" --retain)
	varve pin "$pinned"
	call Remove key=ns/1/base
	call Remove key=ns/2/pinned
	run call Stat key=ns/1/base
	assert_output_has 'NOT_FOUND'
	[[ $(cat "$(varve mount "$child")/ns-1-base") == ns/1/base ]]
	run varve ls --json
	assert_json_lines 'length == 3 and all(.snapshot == null)'
	# Varve may evict them now.
	varve unpin "$pinned"
	varve rm "$pinned"
	varve umount "$child"
	varve release "$child"
	varve rm "$child"
	varve rm "$base"
	# The name can be used again.
	committed ns/1/base
}

@test "varve umount refuses to unmount a snapshot that the agent has mounted" {
	start_agent_with agent
	call Prepare key=active > /dev/null
	run varve umount "$(record_of active)"
	assert_status 5
	assert_output_has "its mount is containerd's"
}

@test "a commit of what the agent mounted fails at once while a process writes, and names it" {
	local dir holder
	start_agent_with agent
	call Prepare key=ns/1/active > /dev/null
	dir=$agent_root/mnt/$(record_of ns/1/active)
	exec 5> "$dir/file"
	run call Commit key=ns/1/active name=ns/2/base
	assert_output_has FAILED_PRECONDITION
	assert_output_has "$$"
	echo still >&5
	exec 5>&-
	echo writable > "$dir/other"
	tail -f "$dir/file" > /dev/null 3>&- &
	holder=$!
	call Commit key=ns/1/active name=ns/2/base # readers do not prevent a commit
	kill "$holder"
	wait "$holder" || true
	call View key=ns/3/view parent=ns/2/base
	dir=$(mount_snapshot ns/3/view)
	[[ $(cat "$dir/file" "$dir/other") == $'still\nwritable' ]]
}

@test "Usage reports an active snapshot as it is now, and a committed one as it was at commit" {
	local dir
	start_agent_with client
	call Prepare key=a > /dev/null
	dir=$(mount_snapshot a)
	run call Usage key=a
	assert_json '.inodes == "1"'
	head -c 100000 /dev/zero > "$dir/file"
	ln "$dir/file" "$dir/link"
	run call Usage key=a
	assert_json '.inodes == "2" and (.size | tonumber) >= 100000 and (.size | tonumber) < 130000'
	call Commit key=a name=b
	run call Usage key=b
	assert_json '.inodes == "2"'
	stop_agent
	start_agent
	run call Usage key=b
	assert_json '.inodes == "2"'
	run call Stat key=b
	assert_json '.info.kind == "COMMITTED" and .info.createdAt == .info.updatedAt'
}

@test "after a crash each snapshot is complete or absent" {
	local mode crowd
	for mode in client agent; do
		start_agent_with "$mode"
		call crowd > /dev/null 2>&1 3>&- &
		crowd=$!
		retry 100 has_records
		kill_agent
		wait "$crowd" || true
		start_agent
		run varve fsck
		assert_status 0
		call clear
		retry 50 has_no_layers
		stop_agent
	done
}

@test "reads in a snapshot that was removed or committed are counted, also after a crash" {
	count_accesses
	local base dir
	start_agent_with agent
	committed ns/1/base
	base=$(record_of ns/1/base)
	call Prepare key=ns/2/removed parent=ns/1/base > /dev/null
	call Prepare key=ns/3/kept parent=ns/1/base > /dev/null
	dir=$(mount_snapshot ns/2/removed)
	cat "$dir/ns-1-base" "$dir/ns-1-base" > /dev/null
	dir=$(mount_snapshot ns/3/kept)
	cat "$dir/ns-1-base" > /dev/null
	call Remove key=ns/2/removed
	call Commit key=ns/3/kept name=ns/4/kept
	kill_agent
	start_agent
	run varve stats "$base" --json
	assert_json '.readBytes == 30'
	run varve fsck
	assert_status 0
}

# The copy of a disk has what was written to it, and not what the kernel still has in memory.
@test "a committed snapshot is on the disk when its commit is answered, with all that it has" {
	local disk=$BATS_TEST_TMPDIR/disk cut=$BATS_TEST_TMPDIR/cut layer point
	truncate -s 128M "$disk"
	mkfs.ext4 -q "$disk"
	mkdir "$agent_root" "$cut"
	mount -o loop "$disk" "$agent_root"
	start_agent_with client
	call Prepare key=work > /dev/null
	point=$(mount_snapshot work)
	mkdir -p "$point/a/b"
	seq 100000 > "$point/a/b/large"
	for name in {1..200}; do
		echo "$name" > "$point/a/$name"
	done
	ln "$point/a/1" "$point/linked"
	ln -s a "$point/link"
	mknod "$point/device" c 1 3
	truncate -s 1M "$point/sparse"
	setfattr -n user.x -v y "$point/a"
	umount "$point"
	call Commit key=work name=done > /dev/null
	cp --sparse=always "$disk" "$disk.cut"

	kill_agent
	mount -o loop "$disk.cut" "$cut"
	layer=$(find "$agent_root/layers" -name large)
	layer=${layer#"$agent_root/"}
	layer=${layer%/a/b/large}
	diff -r --no-dereference "$agent_root/$layer" "$cut/$layer"
	[[ $(getfattr --only-values -n user.x "$cut/$layer/a") == y ]]
	[[ $cut/$layer/a/1 -ef $cut/$layer/linked ]]
	umount "$agent_root"
	umount "$cut"

	# What the agent of before the power cut has left in the kernel is of no use after it.
	mount -o loop "$disk.cut" "$agent_root"
	start_agent_with client
	call Stat key=done
	run varve fsck
	assert_status 0
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

spares_are_used() {
	local before
	before=$(find "$agent_root/spare" -mindepth 1 -maxdepth 1 | wc -l)
	call Prepare key=probe > /dev/null
	call Remove key=probe > /dev/null
	(($(find "$agent_root/spare" -mindepth 1 -maxdepth 1 | wc -l) < before))
}

# From here on the log of the database is written where it has been written before, which commits no journal.
restart_log() {
	local salts n
	salts=$(log_salts)
	while [[ $(log_salts) == "$salts" ]]; do
		labels=()
		for n in {1..40}; do
			labels+=("key$n=$(printf '%04000d' "$((++log_writes))")")
		done
		varve label "$filling" "${labels[@]}"
	done
}

# SQLite changes them when it begins the log again.
log_salts() {
	od -An -tx1 -j16 -N8 "$agent_root/varve.db-wal"
}

# The first has directories of its own, the others have those that were made ahead.
@test "a snapshot in which nothing was written survives a power cut once it is committed, any once it is a second old" {
	local disk=$BATS_TEST_TMPDIR/disk modes
	truncate -s 32M "$disk"
	mkfs.ext4 -q "$disk"
	mkdir "$agent_root"
	mount -o loop "$disk" "$agent_root"
	start_agent_with client
	call Prepare key=before > /dev/null
	filling=$(varve new --retain)
	varve umount "$filling"
	restart_log
	call Prepare key=work > /dev/null
	call Commit key=work name=first > /dev/null
	retry 20 spares_are_used
	call Prepare key=prepared > /dev/null
	retry 10 grep -qa prepared "$disk"
	restart_log
	call Prepare key=work parent=first > /dev/null
	call Commit key=work name=second > /dev/null
	cp --sparse=always "$disk" "$disk.cut"
	modes=$(stat -c %a "$agent_root"/layers/*/fs "$agent_root"/layers/*/work)

	kill_agent
	umount "$agent_root"
	mount -o loop "$disk.cut" "$agent_root"
	start_agent_with client
	call Stat key=first
	call Stat key=second
	call Stat key=prepared
	[[ $(stat -c %a "$agent_root"/layers/*/fs "$agent_root"/layers/*/work) == "$modes" ]]
	run varve fsck
	assert_status 0
	[[ -z $(ls "$agent_root/spare") ]]
	call Prepare key=work parent=second > /dev/null
	call Commit key=work name=third > /dev/null
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --teardown
	umount "$agent_root"
}

# As for a layers/ with a quota of its own; here by a mount, between which nothing can be moved, either.
@test "a snapshot is made although what was made ahead cannot be moved" {
	start_agent_with client
	retry 20 spares_are_used
	mount --bind "$agent_root/spare" "$agent_root/spare"
	call Prepare key=work > /dev/null
	call Prepare key=other > /dev/null
	umount "$agent_root/spare"
	call Commit key=work name=done > /dev/null
	call Remove key=done > /dev/null
	call Remove key=other > /dev/null
	run varve fsck
	assert_status 0
}
