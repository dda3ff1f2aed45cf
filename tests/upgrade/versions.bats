#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 git getfattr history
# SPDX-License-Identifier: Apache-2.0
#
# The store and the pinned BPF objects of each released version (scripts/build-version builds them from this clone's
# history) are taken over by this version while a program reads: each access is counted, and once. A store of this
# version is refused by an older agent.

load ../lib/helpers
load ../lib/images
load ../lib/kinds

setup_file() {
	require
	versions=$("$BATS_TEST_DIRNAME/../../scripts/build-version")
	for version in $versions; do
		"$BATS_TEST_DIRNAME/../../scripts/build-version" "$version" > /dev/null
	done
	export versions
}

setup() {
	agent_setup
	present=$VARVE_BUILD kinds_build=$VARVE_BUILD
	readers=()
}

teardown() {
	touch "$BATS_TEST_TMPDIR/stop"
	((${#readers[@]} == 0)) || wait "${readers[@]}"
	agent_teardown
}

# use_version VERSION: the programs are those of this version; "present" is the one under test.
use_version() {
	VARVE_BUILD=$present
	[[ $1 == present ]] || VARVE_BUILD=$("$BATS_TEST_DIRNAME/../../scripts/build-version" "$1")
}

# read_along FILE: opens the file again and again, on one processor, and writes how often to a file of its own.
read_along() {
	/usr/bin/python3 - "$1" "$BATS_TEST_TMPDIR/stop" > "$BATS_TEST_TMPDIR/tally.${#readers[@]}" 3>&- <<- 'END' &
		import os, sys
		opens = size = 0
		while not os.path.exists(sys.argv[2]):
		    fd = os.open(sys.argv[1], os.O_RDONLY)
		    size += len(os.read(fd, 100))
		    os.close(fd)
		    opens += 1
		print(opens, size)
	END
	readers+=($!)
}

counted() { # ID
	varve stats "$1" --json | jq -r '"\(.opens) \(.readBytes)"'
}

# read_along_made PARENT: makes a record with a file; prints its id.
read_along_made() {
	local id
	id=$(varve new --retain --description "read along" ${1:+--parent "$1"})
	echo "$id" > "$(varve mount "$id")/read-${1:-below}"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

# start_reading: makes the records `base` and `child`, in whose layers two programs read through one mount.
start_reading() {
	local dir
	base=$(read_along_made)
	child=$(read_along_made "$base")
	dir=$(varve mount "$child" --read-only)
	read -r base_opens base_bytes < <(counted "$base")
	read -r child_opens child_bytes < <(counted "$child")
	rm -f "$BATS_TEST_TMPDIR/stop"
	readers=()
	read_along "$dir/read-below"
	read_along "$dir/read-$base"
}

# all_counted: ends the readers; what the agent has counted is what they have read.
all_counted() {
	local opens bytes
	touch "$BATS_TEST_TMPDIR/stop"
	wait "${readers[@]}"
	read -r opens bytes < "$BATS_TEST_TMPDIR/tally.0"
	((opens > 100))
	[[ $(counted "$base") == "$((base_opens + opens)) $((base_bytes + bytes))" ]] || tell "$base" "$base_opens" "$opens"
	read -r opens bytes < "$BATS_TEST_TMPDIR/tally.1"
	[[ $(counted "$child") == "$((child_opens + opens)) $((child_bytes + bytes))" ]] || tell "$child" "$child_opens" "$opens"
}

tell() {
	echo "record $1: $(counted "$1") opens and bytes; it had $2 opens, and $3 were made"
	return 1
}

# While no agent runs: the present version locks the database.
schema() {
	sqlite3 "$agent_root/varve.db" 'PRAGMA user_version'
}

is_well() {
	run -0 varve fsck
	assert_output_has " 0 problems found"
}

@test "a store and its counters pass from each released version to this one, and not back" {
	local version old_schema
	for version in $versions; do
		use_version "$version"
		start_agent
		kinds_fill
		mkdir "$BATS_TEST_TMPDIR/$version"
		kinds_expect "$BATS_TEST_TMPDIR/$version"
		start_reading
		stop_agent
		old_schema=$(schema)

		use_version present
		start_agent
		kinds_agree "$BATS_TEST_TMPDIR/$version"
		is_well
		stop_agent
		(($(schema) > old_schema))

		use_version "$version"
		run ! "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config"
		assert_output_has "it was made by a newer varved (its schema is "
		use_version present
		start_agent
		all_counted
		is_well
		stop_agent
		"$VARVE_BUILD/varved" --root "$agent_root" --teardown
		agent_pins=
		rm -rf "$agent_root"
	done
}

@test "each access is counted once when agents of a released version and of this one are killed" {
	local version
	for version in $versions; do
		use_version "$version"
		start_agent
		start_reading
		kill_agent
		use_version present
		start_agent
		[[ -d $agent_pins/links_2 && ! -e $agent_pins/links_1 ]] # other programs
		kill_agent
		start_agent
		all_counted
		is_well
		stop_agent
		"$VARVE_BUILD/varved" --root "$agent_root" --teardown
		agent_pins=
		rm -rf "$agent_root"
	done
}
