#!/usr/bin/env bats
# requires root overlay jq sqlite3 mkfs.ext4 mkfs.btrfs
# SPDX-License-Identifier: Apache-2.0
#
# Full and broken disks during each operation: a clear error, nothing is lost, nothing is left over, and the agent goes
# on when there is space, or a disk that works, again. `make check-power` sets VARVE_POWER_ALL, which tries more.

load ../crash/crash
load ../crash/operations
load ../lib/snapshots

# Those that write, those that give space back, and those whose disk breaks; fewer in a run of all tests.
writing=(new new_on_twin commit mount_twin label)
deleting=(release_deletes prune)
breaking=(commit get_mutable prune)
if [[ ${VARVE_POWER_ALL-} ]]; then
	writing+=(finalize get get_commits get_mutable mount lease_create lease_need pin)
	deleting+=(lease_rm rm)
	breaking+=(new finalize get_commits lease_create label pin rm)
fi

teardown() {
	agent_teardown
	! mountpoint -q "$agent_root" || umount "$agent_root"
	[[ -z ${loop-} ]] || losetup -d "$loop"
	[[ -z ${disk_pid-} ]] || {
		umount "$BATS_TEST_TMPDIR/fuse"
		wait "$disk_pid"
	}
}

database_row() {
	varve doctor --json | jq -r 'select(.name == "database") | "\(.state) \(.found): \(.advice)"'
}

# ---- full ----

small_disk() {
	truncate -s 48M "$BATS_TEST_TMPDIR/image"
	mkfs.ext4 -q -m 0 -N 512 -O ^resize_inode "$BATS_TEST_TMPDIR/image"
	mkdir "$agent_root"
	mount -o loop "$BATS_TEST_TMPDIR/image" "$agent_root"
	mkdir "$agent_root/filler"
}

# failed_at calls these two: the disk has no space or no inodes, and then has some again.
arm() { # space|inodes
	if [[ $1 == space ]]; then
		# What was reserved for metadata is free again once the data are on the disk.
		while cat /dev/zero >> "$agent_root/filler/file" 2> /dev/null ||
			head -c 4096 /dev/zero >> "$agent_root/filler/more" 2> /dev/null; do
			sync -f "$agent_root"
		done
	else
		run ! touch "$agent_root/filler/"{1..600}
	fi
}

disarm() {
	[[ ! -d $agent_root/filler ]] || find "$agent_root/filler" -mindepth 1 -delete
}

full() { # space|inodes
	local refused=0
	trap - DEBUG
	small_disk
	start
	for operation in "${writing[@]}"; do
		learn
		failed_at "$1" 1
		# What failed can be repeated.
		((ended == 0)) || "operate_$operation" > /dev/null || complain "does not work when there is space again"
		refused=$((refused + (ended != 0)))
	done
	((refused > 1)) || complain "the disk was never full"
	for operation in "${deleting[@]}"; do
		learn
		failed_at "$1" 1
		((ended == 0)) || complain "does not delete on a full disk: $said"
	done
	restarts_the_same
	stop_agent
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount "$agent_root"
}

@test "no operation loses anything on a disk without space, and each works when there is some again" {
	full space
}

@test "no operation loses anything on a disk without inodes, and each works when there are some again" {
	full inodes
}

@test "a database without space says so, loses nothing, and goes on when there is space again" {
	local round labels=()
	small_disk
	start
	id=$(varve new --retain)
	arm space
	# Until the space that the agent has reserved for its log is used up.
	for ((round = 0; round < 400; round++)); do
		labels=()
		for n in {1..40}; do
			labels+=("key$n=$(printf '%01000d' $round)")
		done
		run varve label "$id" "${labels[@]}"
		[[ $status == 0 ]] || break
	done
	[[ $status != 0 ]]
	assert_output_has "no space for the database $agent_root/varve.db (database or disk is full): free some"
	before=$(varve inspect "$id" --json | jq .labels)
	[[ $before == *"$(printf '%01000d' $((round - 1)))"* && $before != *"$(printf '%01000d' $round)"* ]]
	row=$(database_row) # a shorter write may have found space meanwhile
	[[ $row == @(failed|warning)" a write failed "*"no space for the database"*"free some space"* ]] || complain "doctor says $row"
	disarm
	varve label "$id" key=value
	[[ $(database_row) == "warning "*"later ones succeeded"* ]]
	run -0 varve fsck
	kill_agent
	start
	[[ $(varve inspect "$id" --json | jq -r .labels.key2) == "$(printf '%01000d' $((round - 1)))" ]]
	[[ $(database_row) == "ok "* ]]
}

# The store is a subvolume of its own, with a quota.
limited_disk() {
	grep -qw btrfs /proc/filesystems || modprobe -q btrfs || skip "this kernel has no btrfs"
	truncate -s 128M "$BATS_TEST_TMPDIR/image"
	mkfs.btrfs -q --mixed "$BATS_TEST_TMPDIR/image"
	mkdir "$agent_root"
	mount -o loop "$BATS_TEST_TMPDIR/image" "$agent_root"
	btrfs -q quota enable "$agent_root"
	btrfs -q subvolume create "$agent_root/store"
	umount "$agent_root"
	mount -o loop,subvol=store "$BATS_TEST_TMPDIR/image" "$agent_root"
	btrfs qgroup limit 24M "$agent_root"
}

@test "a used-up quota neither ends the agent nor loses anything, and the agent goes on when there is space again" {
	local round n said labels
	limited_disk
	start
	id=$(varve new --retain)
	varve label "$id" kept=yes
	sync -f "$agent_root"
	run ! dd if=/dev/zero of="$agent_root/filler" bs=4k count=20000 conv=fsync
	[[ $output == *"quota exceeded"* ]]
	for ((round = 0; round < 60; round++)); do
		labels=()
		for n in {1..40}; do
			labels+=("key$n=$(printf '%04000d' "$round")")
		done
		run varve label "$id" "${labels[@]}"
		((status == 0)) || said=$output
		sync -f "$agent_root" || true # a page that is mapped needs space again for its next change
	done
	kill -0 "$agent_pid"
	echo "$said"
	[[ $said == *"no space for the database $agent_root/varve.db"* ]]
	[[ $(database_row) == *"no space for the database"* ]]
	btrfs qgroup limit none "$agent_root"
	rm "$agent_root/filler"
	varve label "$id" again=yes
	[[ $(varve inspect "$id" --json | jq -c '.labels | [.kept, .again]') == '["yes","yes"]' ]]
	run -0 varve fsck
	stop_agent
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount "$agent_root"
}

# ---- broken ----

breaking_disk() {
	mkdir "$agent_root" "$BATS_TEST_TMPDIR/fuse"
	"$VARVE_BUILD/tests/tools/power_disk" "$BATS_TEST_TMPDIR/fuse" 64 /dev/null 3>&- &
	disk_pid=$!
	retry 50 test -e "$BATS_TEST_TMPDIR/fuse/disk"
	loop=$(losetup --find --show "$BATS_TEST_TMPDIR/fuse/disk")
	mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 -J size=4 -O ^resize_inode "$loop"
	mount -o errors=remount-ro "$loop" "$agent_root"
}

# The host is switched off, and has another disk with the same content when it is on again.
mend_disk() {
	kill_agent
	awk -v root="$agent_root/" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | tac | xargs -r umount -l
	umount "$agent_root"
	echo '!mend' > "$BATS_TEST_TMPDIR/fuse/mark"
	mount -o errors=remount-ro "$loop" "$agent_root"
	start
}

broken_after() { # WRITES: the disk fails all others
	local now again row
	spot="the disk breaks after $1 writes"
	case=$((case + 1))
	"prepare_$operation" > /dev/null
	look_before
	sync -f "$agent_root"
	echo "!writes $1" > "$BATS_TEST_TMPDIR/fuse/mark"
	operate
	((ended == 0)) || [[ $said == "varve: "* && $said != *$'\n'* ]] || complain "says: $said"
	((ended == 0)) || [[ ${said,,} == *"disk failed"* || ${said,,} == *"input/output error"* || ${said,,} == *"read-only"* ]] ||
		complain "does not say that the disk failed: $said"
	if [[ $said == *"the disk failed under the database"* ]]; then
		# The last failure: ext4 may have become read-only meanwhile.
		row=$(database_row)
		[[ $row == "failed "*"disk I/O error"*"kernel's log"* || $row == "failed "*"Read-only file system"*"kernel's log"* ]] ||
			complain "doctor says $row"
	fi
	mend_disk
	now=$(facts)
	in_between "$now" || complain "$(differ "$now")"
	((ended != 0)) || [[ $now == "$after" ]] || complain "what was acknowledged is lost: $(differ "$now")"
	whole
	again=$(facts)
	[[ $again == "$now" ]] || complain "changes afterwards: $(diff <(echo "$now") <(echo "$again"))"
}

@test "no operation loses anything when the disk fails at any of its writes" {
	local number=0 writes
	trap - DEBUG
	breaking_disk
	start
	for operation in "${breaking[@]}"; do
		learn
		number=$((number + 1))
		for writes in 0 1 2 3 4 6 8 12 16 24; do
			[[ ${VARVE_POWER_ALL-} || $((writes % 10)) == "$((number % 5))" ]] || continue
			broken_after "$writes"
		done
	done
	restarts_the_same
	stop_agent
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount "$agent_root"
}

# The kernel takes pages that it could not write for written ones: the next sync says nothing of them.
@test "what is acknowledged after a sync of the log that failed survives a power cut" {
	local id last place
	trap - DEBUG
	breaking_disk
	start
	id=$(varve new --retain)
	varve mount "$id" > /dev/null # which waits in the log for a sync
	# Where the end of the log is.
	last=$((($(stat -c %s "$agent_root/varve.db-wal") - 1) / 1024))
	place=$(filefrag -b1024 -v "$agent_root/varve.db-wal" |
		awk -v last="$last" '$1 ~ /^[0-9]+:$/ && $2 + 0 <= last && $3 + 0 >= last { print $4 * 1024, ($5 + 1) * 1024 }')
	[[ $place ]]
	echo "!fail $place" > "$BATS_TEST_TMPDIR/fuse/mark"
	run -1 --separate-stderr varve label "$id" failed=yes
	[[ $stderr == *"the disk failed under the database"* ]]
	run -1 --separate-stderr varve label "$id" failed=again
	[[ $stderr == *"the disk failed under the database"* ]]
	echo '!mend' > "$BATS_TEST_TMPDIR/fuse/mark"
	varve label "$id" kept=yes
	mend_disk
	[[ $(varve inspect "$id" --json | jq -c .labels) == '{"kept":"yes"}' ]]
	run -0 varve fsck
	stop_agent
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount "$agent_root"
}

# Makes a file in the directory whose data the disk will not write: its blocks are known before.
lost_file() { # DIRECTORY
	local place
	fallocate -l 64K "$1/file"
	sync -f "$agent_root"
	place=$(filefrag -b1024 -v "$1/file" | awk '$1 == "0:" { print $4 * 1024, ($5 + 1) * 1024 }')
	[[ $place ]]
	echo "!fail $place" > "$BATS_TEST_TMPDIR/fuse/mark"
	head -c 64K /dev/urandom | dd of="$1/file" conv=notrunc status=none
}

give_disk_back() {
	stop_agent
	run -0 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	umount "$agent_root"
}

# The kernel reports only once that it could not write a page.
@test "a snapshot whose files the disk did not write cannot be committed, now or later" {
	trap - DEBUG
	breaking_disk
	start
	call Prepare key=work > /dev/null
	lost_file "$agent_root/layers/"*/fs
	run -1 call Commit key=work name=first
	assert_output_has "nput/output error"
	echo '!mend' > "$BATS_TEST_TMPDIR/fuse/mark"
	run -1 call Commit key=work name=first
	assert_output_has "may lack data"
	call Remove key=work > /dev/null
	call Prepare key=work > /dev/null
	call Commit key=work name=first > /dev/null
	give_disk_back
}

@test "a record whose files the disk did not write cannot be committed, now or later" {
	trap - DEBUG
	breaking_disk
	start
	id=$(varve new --retain)
	lost_file "$(varve mount "$id")"
	run -1 varve commit "$id"
	assert_output_has "nput/output error"
	echo '!mend' > "$BATS_TEST_TMPDIR/fuse/mark"
	run -1 varve commit "$id"
	assert_output_has "may lack data"
	varve commit "$(varve new --retain)" > /dev/null
	give_disk_back
}
