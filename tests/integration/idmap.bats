#!/usr/bin/env bats
# requires root overlay jq unshare nsenter getfattr mkfs.ext3
# SPDX-License-Identifier: Apache-2.0
#
# Id maps: mounts show other owners than the layers have on disk. PARITY row B48.
#
# Variables in single quotes are those of jq and of the container's shell:
# shellcheck disable=SC2016

load ../lib/helpers

users=0:100000:65536

setup() {
	agent_setup
	container=
	loop_dir=
}

teardown() {
	local status=0
	[[ -z $container ]] || kill "$container"
	agent_teardown || status=1
	[[ -z $loop_dir ]] || umount "$loop_dir" || status=1
	return "$status"
}

is_apart() {
	[[ $(readlink "/proc/$1/ns/user") != "$(readlink /proc/self/ns/user)" ]]
}

# Starts a process in a user namespace with this map, which has the format of uid_map.
start_container() { # MAP
	(cd / && exec unshare --user sleep infinity) 3>&- &
	container=$!
	retry 50 is_apart "$container"
	echo "$1" > "/proc/$container/uid_map"
	echo "$1" > "/proc/$container/gid_map"
}

# inside DIRECTORY SCRIPT: runs the script as root of the container's user namespace.
inside() {
	(cd "$1" && nsenter --user --target "$container" --setuid 0 --setgid 0 sh -ec "$2" 3>&-)
}

owners() { # DIRECTORY NAME…
	(cd "$1" && shift && stat -c %u:%g "$@" | paste -sd ' ')
}

on_disk() { # ID: prints the directory of its layer's files
	echo "$agent_root/layers/$(varve inspect "$1" --json | jq -r .layer)/fs"
}

# Makes a finalized record with files of root, of user 1000, and of a user that no map here has.
image() {
	local id dir
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	for name in of-root of-user of-other gone; do
		echo "$name" > "$dir/$name"
	done
	chown 1000:1000 "$dir/of-user"
	chown 70000:70000 "$dir/of-other"
	id=$(varve commit "$id")
	varve finalize "$id"
	echo "$id"
}

new_mapped() { # MAP [OPTION…]
	varve new --uid-map "$1" --gid-map "$1" "${@:2}"
}

@test "B48 a mount shows owners by its id map, and no file's owner changes on disk" {
	start_agent
	image=$(image)
	id=$(new_mapped "$users" --parent "$image")
	dir=$(varve mount "$id")
	[[ $(owners "$dir" . of-root of-user of-other) == "100000:100000 100000:100000 101000:101000 65534:65534" ]]
	[[ $(owners "$(on_disk "$image")" of-root of-user of-other) == "0:0 1000:1000 70000:70000" ]]
	[[ -z $(ls -A "$(on_disk "$id")") ]]
	run -0 varve inspect "$id" --json
	assert_json '.idMap == {uids: $map, gids: $map} and .mountIdMap == .idMap' --arg map "$users"
	run -0 varve inspect "$image" --json
	assert_json '.idMap == null and .mountIdMap == null'
}

works_in_a_container() {
	local image id dir layer
	start_container "0 100000 65536"
	image=$(image)
	id=$(new_mapped "$users" --parent "$image" --retain)
	dir=$(varve mount "$id")
	inside "$dir" '
		[ "$(stat -c %u:%g of-root of-user of-other | paste -sd " ")" = "0:0 1000:1000 65534:65534" ]
		echo new > new
		mkdir directory
		chown 1000:1000 directory
		echo more >> of-user
		ln of-root link
		rm gone
		mkdir gone
		if { echo more >> of-other; } 2> /dev/null; then exit 1; fi
		[ "$(stat -c %u:%g new directory of-user | paste -sd " ")" = "0:0 1000:1000 1000:1000" ]'
	[[ $(owners "$dir" new directory of-user) == "100000:100000 101000:101000 101000:101000" ]]
	layer=$(on_disk "$id")
	[[ $(owners "$layer" new directory of-user link gone) == "0:0 1000:1000 1000:1000 0:0 0:0" ]]
	[[ $(getfattr --absolute-names --only-values -n trusted.overlay.opaque "$layer/gone") == y ]]
	# A user outside the map can change files, and cannot make any.
	run touch "$dir/by-the-host"
	[[ $status -ne 0 && $output == *"too large"* ]]
	echo more >> "$dir/new"

	id=$(varve commit "$id")
	dir=$(varve mount "$id" --read-only)
	[[ $(owners "$dir" new of-user) == "100000:100000 101000:101000" ]]
	inside "$dir" '[ "$(cat new)" = "new
more" ] && ! touch more 2> /dev/null'
	varve finalize "$id"
	# A child gets the owners on disk, and does not inherit its parent's map.
	dir=$(varve mount "$(varve new --parent "$id")")
	[[ $(owners "$dir" new of-user) == "0:0 1000:1000" ]]
}

@test "B48 a container with the mount's id map can work in it, and its layer has the container's ids" {
	start_agent
	works_in_a_container
}

@test "B48 a container with the mount's id map can work in a mount by mount(2)" {
	VARVE_OVERLAY_METHOD=mount start_agent
	works_in_a_container
}

@test "B48 workspaces of one image can be mounted with different id maps at once" {
	start_agent
	image=$(image)
	a=$(varve mount "$(new_mapped "$users" --parent "$image")")
	b=$(varve mount "$(varve new --parent "$image" --uid-map 1:600000:2000,0:500000:1 --gid-map 0:700000:1 --gid-map 1:800000:999)")
	c=$(varve mount "$(varve new --parent "$image")")
	[[ $(owners "$a" of-root of-user) == "100000:100000 101000:101000" ]]
	[[ $(owners "$b" of-root of-user) == "500000:700000 600999:65534" ]]
	[[ $(owners "$c" of-root of-user) == "0:0 1000:1000" ]]
}

@test "B48 a lease's id map applies to records made and mounted through the lease, also after a restart" {
	start_agent
	image=$(image)
	varve lease create box --uid-map "$users" --gid-map "$users"
	start_container "0 100000 65536"
	run -4 --separate-stderr varve mount "$image" --lease box
	[[ $stderr == *"lease 'box' does not hold record $image"* ]]
	varve get "$image" --lease box
	stop_agent
	start_agent
	run -0 varve lease ls --json
	assert_json_lines '[.[] | select(.name == "box")][0].idMap.uids == $map' --arg map "$users"
	dir=$(varve mount "$image" --lease box)
	inside "$dir" '[ "$(stat -c %u of-root)" = 0 ]'
	id=$(varve new --parent "$image" --lease box)
	inside "$(varve mount "$id")" 'echo new > new'
	[[ $(owners "$(on_disk "$id")" new) == 0:0 ]]
	# The record keeps its own map, whichever lease mounts it.
	varve umount "$id"
	[[ $(owners "$(varve mount "$id")" new) == 100000:100000 ]]
	varve lease create other --uid-map 0:1:1 --gid-map 0:1:1
	varve get "$image" --lease other
	run -5 --separate-stderr varve mount "$image" --lease other
	[[ $stderr == *"is mounted with the map of ids $users"*"unmount it first"* ]]
	id=$(varve commit "$id" --lease box)
	varve get "$id" --lease other
	run -1 --separate-stderr varve mount "$id" --lease other
	[[ $stderr == *"was made with the map of ids $users"*"lease 'other' has another one"* ]]
}

@test "B48 a record is mounted with one id map at a time" {
	start_agent
	image=$(image)
	varve lease create box --uid-map "$users" --gid-map "$users"
	varve get "$image" --lease box
	plain=$(varve mount "$image")
	run -5 --separate-stderr varve mount "$image" --lease box
	[[ $stderr == *"is mounted without a map of ids"*"varve umount"* ]]
	[[ $(owners "$plain" of-root) == 0:0 ]]
	varve umount "$image"
	mapped=$(varve mount "$image" --lease box)
	[[ $(varve mount "$image" --lease box) == "$mapped" ]]
	run -5 --separate-stderr varve mount "$image"
	[[ $stderr == *"is mounted with the map of ids $users"* ]]
	[[ $(owners "$mapped" of-root) == 100000:100000 ]]

	cache=$(varve new --retain --type exec.cachemount)
	varve umount "$cache"
	varve release "$cache"
	varve get "$cache" --mutable --lease box
	[[ $(owners "$(varve mount "$cache" --lease box)" .) == 100000:100000 ]]
	[[ $(owners "$(varve mount "$cache" --lease box --read-only)" .) == 100000:100000 ]]
}

@test "B48 mounts with id maps and their counters survive the agent's death" {
	count_accesses
	start_agent
	image=$(image)
	id=$(new_mapped "$users" --parent "$image")
	dir=$(varve mount "$id")
	start_container "0 100000 65536"
	before=$(varve stats "$image" --json | jq -c '[.opens, .readBytes]')
	inside "$dir" 'cat of-user of-root > /dev/null'
	kill_agent
	inside "$dir" 'cat of-user > /dev/null; echo 12345 > new'
	start_agent
	[[ $(varve mount "$id") == "$dir" ]]
	after=$(varve stats "$image" --json | jq -c --argjson before "$before" '[.opens - $before[0], .readBytes - $before[1]]')
	[[ $after == "[3,24]" ]]
	run -0 varve stats "$id" --json
	assert_json '.writes == 1 and .writtenBytes == 6'
	run -0 varve inspect "$id" --json
	assert_json '.mountIdMap.uids == $map' --arg map "$users"
	run -0 varve files "$image" --json
	assert_json_lines 'map(.path) | contains(["of-root", "of-user"])'
}

@test "B48 accesses in a mount with an id map are counted exactly, each in its layer" {
	count_accesses
	start_agent
	image=$(image)
	upper=$(new_mapped "$users" --parent "$image")
	unread=$(new_mapped "$users" --parent "$image")
	dir=$(varve mount "$upper")
	before=$(varve stats "$image" "$upper" "$unread" --json | jq -sc 'map([.opens, .reads, .readBytes, .writes, .writtenBytes])')
	start_container "0 100000 65536"
	inside "$dir" 'for i in 1 2 3 4 5; do head -c 4 of-root; done > /dev/null; printf 0123456789 > written; head -c 3 written > /dev/null'
	head -c 7 "$dir/of-user" > /dev/null
	after=$(varve stats "$image" "$upper" "$unread" --json | jq -sc 'map([.opens, .reads, .readBytes, .writes, .writtenBytes])')
	jq -en --argjson a "$after" --argjson b "$before" '
		[range(3) | . as $i | [range(5) | $a[$i][.] - $b[$i][.]]]
		== [[6, 6, 27, 0, 0], [2, 1, 3, 1, 10], [0, 0, 0, 0, 0]]' || {
		echo "$before $after"
		false
	}
	run -0 varve stats --mounts "$upper" --json
	assert_json_lines 'any(.layer == 0 and .writtenBytes == 10)'
}

many_ranges() { # COUNT: prints a map of that many ranges that shows id N as 2000 + 2 N
	seq "$1" -1 1 | while read -r i; do echo "$((i - 1)):$((1998 + 2 * i)):1"; done | paste -sd ,
}

@test "B48 an invalid id map is refused and changes nothing" {
	start_agent
	local layers
	layers=$(count_layers)
	refuse() { # SENTENCE OPTION…
		run -2 --separate-stderr varve new "${@:2}"
		[[ $stderr == *"$1"* ]]
		run -2 --separate-stderr varve lease create box "${@:2}"
		[[ $stderr == *"$1"* ]]
	}
	refuse "needs one of group ids" --uid-map "$users"
	refuse "needs one of user ids" --gid-map "$users"
	refuse "CONTAINER:HOST:LENGTH" --uid-map 0:1 --gid-map "$users"
	refuse "--gid-map' is empty" --uid-map "$users" --gid-map ""
	refuse "CONTAINER:HOST:LENGTH" --uid-map "0 100000 65536" --gid-map "$users"
	refuse "at least one id" --uid-map 0:1:0 --gid-map "$users"
	refuse "none above 4294967294" --uid-map 0:1:4294967295 --gid-map "$users"
	refuse "which overlap" --uid-map 0:0:10 --uid-map 9:100:1 --gid-map "$users"
	refuse "which overlap" --uid-map 0:0:10,10:9:1 --gid-map "$users"
	refuse "what 0 is shown as" --uid-map "$users" --gid-map 1:1:1
	refuse "340 ranges" --uid-map "$(many_ranges 341)" --gid-map "$users"
	[[ $(count_layers) == "$layers" && $(varve ls -q | wc -l) == 0 ]]
	run -0 varve lease ls --json
	assert_json_lines 'map(.name) == ["cli"]'
}

@test "B48 an id map can have 340 ranges, which is the kernel's limit" {
	start_agent
	id=$(new_mapped "$(many_ranges 340)")
	dir=$(varve mount "$id")
	[[ $(owners "$dir" .) == 2000:2000 ]]
	touch "$(on_disk "$id")/last"
	chown 339:339 "$(on_disk "$id")/last"
	[[ $(owners "$dir" last) == 2678:2678 ]]
}

@test "B48 on a file system without id maps such a mount is refused in a sentence, and other mounts work" {
	loop_dir=$BATS_TEST_TMPDIR/loop
	mkdir "$loop_dir"
	truncate -s 64M "$BATS_TEST_TMPDIR/disk"
	mkfs.ext3 -q "$BATS_TEST_TMPDIR/disk"
	mount -t ext3 -o loop "$BATS_TEST_TMPDIR/disk" "$loop_dir" || {
		loop_dir=
		skip "no loop device"
	}
	agent_root=$loop_dir/store
	start_agent
	run -1 --separate-stderr new_mapped "$users"
	[[ $stderr == *"no mounts with a map of ids here: on this kernel, ext3 takes no map of ids: put --root on ext4"* ]]
	run -1 --separate-stderr varve lease create box --uid-map "$users" --gid-map "$users"
	[[ $stderr == *"ext3 takes no map of ids"* ]]
	[[ $(varve ls -q | wc -l) == 0 && $(count_layers) == 0 ]]
	run -0 varve lease ls --json
	assert_json_lines 'map(.name) == ["cli"]'
	run varve doctor --json
	assert_json_lines 'any(.name == "maps of ids" and .state == "warning" and (.found | contains("ext3")))'
	echo text > "$(varve mount "$(varve new)")/file"
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown
	agent_root=$BATS_TEST_TMPDIR/store
}
