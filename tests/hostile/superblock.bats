#!/usr/bin/env bats
# requires root overlay jq unshare nsenter
# SPDX-License-Identifier: Apache-2.0
#
# A process in a mount namespace of its own, like a container, keeps clones of the agent's mounts. So the
# superblock decides whether a record is immutable and may be deleted.

load ../lib/helpers

setup() {
	agent_setup
	cloner=
}

teardown() {
	end_cloner
	agent_teardown
}

# start_cloner [COMMAND]: starts a process that has a clone of $mount at $clone in a mount namespace of its
# own, and no file open unless COMMAND opens one; its pid is $cloner. The clone has another path, as in a
# container, because a clone at the same path ends when the agent removes the mount point.
start_cloner() {
	clone=$BATS_TEST_TMPDIR/clone
	rm -f "$BATS_TEST_TMPDIR/cloned"
	mkdir -p "$clone"
	unshare -m --propagation private bash -c "cd /; mount --bind '$mount' '$clone'; ${1:-true}; touch '$BATS_TEST_TMPDIR/cloned'; exec sleep 1000" 3>&- &
	cloner=$!
	retry 10 test -e "$BATS_TEST_TMPDIR/cloned"
}

in_cloner() {
	nsenter -t "$cloner" -m bash -c "$1"
}

end_cloner() {
	[[ -z $cloner ]] && return
	kill "$cloner" 2> /dev/null || true
	wait "$cloner" 2> /dev/null || true
	cloner=
	return 0
}

# new_record [OPTION…]
new_record() {
	id=$(varve new "$@")
	mount=$(varve mount "$id")
	echo first > "$mount/file"
}

is_gone() {
	! varve inspect "$1" > /dev/null 2>&1
}

@test "after a commit a clone of the mount cannot write to the immutable record" {
	start_agent
	new_record
	start_cloner
	in_cloner "echo before > $clone/before"
	fixed=$(varve commit "$id")
	run ! in_cloner "echo after > $clone/after"
	run ! in_cloner "echo after > $clone/file"
	[[ $(in_cloner "cat $clone/file") == first ]]
	view=$(varve mount --read-only "$fixed")
	[[ $(cat "$view/file" "$view/before") == $'first\nbefore' && ! -e $view/after ]]
}

@test "commit is refused while a clone has a file open for writing, and names the process" {
	start_agent
	new_record
	start_cloner "exec 5> '$BATS_TEST_TMPDIR/clone/open'"
	run ! varve commit "$id"
	assert_output_has "sleep ($cloner)"
	echo still > "$mount/writable"
	end_cloner
	fixed=$(varve commit "$id")
	[[ -n $fixed ]]
}

@test "commit is refused while a clone of an unmounted mount can write" {
	start_agent
	new_record
	start_cloner
	varve umount "$id"
	in_cloner "echo more > $clone/more"
	run ! varve commit "$id"
	assert_output_has "sleep ($cloner)"
	stop_agent
	start_agent
	run ! varve commit "$id"
	assert_output_has "sleep ($cloner)"
	end_cloner
	retry 10 varve commit "$id"
}

@test "finalize makes every clone of the mutable half read-only" {
	start_agent
	new_record --retain
	fixed=$(varve commit "$id")
	varve release "$fixed"
	mount=$(varve mount "$id")
	start_cloner
	in_cloner "echo more > $clone/more"
	varve finalize "$fixed"
	run ! in_cloner "echo late > $clone/late"
	run varve get "$fixed"
	assert_status 0
}

@test "a record released while a clone uses it is deleted when the clone ends, and not before" {
	start_agent
	new_record
	start_cloner
	varve release "$id"
	[[ $(in_cloner "cat $clone/file") == first ]]
	run ! varve rm "$id"
	assert_output_has "sleep ($cloner)"
	[[ $(in_cloner "cat $clone/file") == first ]]
	end_cloner
	retry 30 is_gone "$id"
}

@test "after a restart the agent still knows which record a clone uses" {
	start_agent
	new_record
	start_cloner
	varve release "$id"
	stop_agent
	start_agent
	[[ $(in_cloner "cat $clone/file") == first ]]
	run ! varve rm "$id"
	assert_output_has "sleep ($cloner)"
	end_cloner
	retry 30 is_gone "$id"
}

@test "prune and rm keep an immutable record that a clone uses, also after a restart" {
	start_agent
	new_record --retain
	fixed=$(varve commit "$id")
	varve finalize "$fixed"
	mount=$(varve mount --read-only "$fixed")
	start_cloner
	varve umount "$fixed"
	varve release "$fixed"
	for _ in before after; do
		varve prune --all
		run ! varve rm "$fixed"
		assert_output_has "sleep ($cloner)"
		[[ $(in_cloner "cat $clone/file") == first ]]
		stop_agent
		start_agent
	done
	end_cloner
	# While other mounts come and go, the number of the superblock can belong to one of them for a moment.
	retry 60 varve rm "$fixed"
}

@test "a record is not mounted writable while a clone of its mount is left" {
	start_agent
	new_record
	start_cloner
	varve umount "$id"
	run ! varve mount "$id"
	assert_output_has "sleep ($cloner)"
	end_cloner
	mount=$(retry 10 varve mount "$id")
	[[ $(cat "$mount/file") == first ]]
}

# Here neither the accounting nor the mount table can tell the agent the record of a superblock.
@test "after a restart the agent knows clones without accounting and with mounts by relative names" {
	export VARVE_OVERLAY_METHOD=mount
	start_agent --backend none
	new_record --retain
	fixed=$(varve commit "$id")
	varve finalize "$fixed"
	mount=$(varve mount --read-only "$fixed")
	start_cloner
	varve umount "$fixed"
	varve release "$fixed"
	stop_agent
	start_agent --backend none
	varve prune --all
	run ! varve rm "$fixed"
	assert_output_has "sleep ($cloner)"
	[[ $(in_cloner "cat $clone/file") == first ]]
	end_cloner
	retry 60 varve rm "$fixed"
}

@test "commit is refused while a clone can write, without accounting and with mounts by relative names" {
	export VARVE_OVERLAY_METHOD=mount
	start_agent --backend none
	new_record
	start_cloner
	varve umount "$id"
	stop_agent
	start_agent --backend none
	run ! varve commit "$id"
	assert_output_has "sleep ($cloner)"
	in_cloner "echo more > $clone/more"
	end_cloner
	retry 10 varve commit "$id"
}
