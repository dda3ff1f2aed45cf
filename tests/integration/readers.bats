#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# Who has read: by cgroup, with real cgroups of either version.

load ../lib/helpers
load ../lib/snapshots

setup() {
	agent_setup
	snapshots_setup
	cgroups=()
	hierarchy=/sys/fs/cgroup
	[[ ! -e $hierarchy/memory/cgroup.procs ]] || hierarchy=$hierarchy/memory
	container=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
}

teardown() {
	local i
	for ((i = ${#cgroups[@]} - 1; i >= 0; i--)); do
		[[ ! -d ${cgroups[i]} ]] || rmdir "${cgroups[i]}"
	done
	snapshots_teardown
	agent_teardown
}

# in_cgroup NAME COMMAND…: makes the cgroup if it is missing.
in_cgroup() {
	local dir=$hierarchy/$1
	shift
	[[ -d $dir ]] || mkdir "$dir" || skip "no cgroup can be made here"
	cgroups+=("$dir")
	# shellcheck disable=SC2016
	sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$dir" "$@"
}

# A committed snapshot `base` with a file of that name, and a view of it: $dir.
make_view() {
	start_agent
	committed base
	base=$(record_of base)
	call View key=view parent=base > /dev/null
	dir=$(mount_snapshot view)
}

by_who() { # WHO [ID…]: opens, bytes, upkeep of this reader
	local who=$1
	shift
	varve stats "$@" --by who --json | jq -r --arg who "$who" 'select(.who == $who) | "\(.opens) \(.readBytes) \(.upkeep)"'
}

@test "each container and unit is shown with what it has read, also when it is gone" {
	local unit=varve-$$-$BATS_TEST_NUMBER.service
	make_view
	in_cgroup "docker-$container.scope" cat "$dir/base" "$dir/base"
	in_cgroup "$unit" cat "$dir/base"
	in_cgroup "$unit" true
	mkdir "$hierarchy/$unit/inner"
	cgroups+=("$hierarchy/$unit/inner")
	in_cgroup "$unit/inner" cat "$dir/base"
	[[ $(by_who "docker:$container") == "2 10 false" ]]
	[[ $(by_who "unit:$unit" "$base") == "2 10 false" ]]
	rmdir "$hierarchy/docker-$container.scope"
	umount "$dir"
	call Remove key=view
	stop_agent
	start_agent
	[[ $(by_who "docker:$container" "$base") == "2 10 false" ]]
	run varve stats --by who
	assert_output_has "docker:$container"
	run varve stats --by who -q
	[[ $(grep -c varve- <<< "$output") == 1 ]]
}

@test "a reader's container that was gone before its reads were folded is known" {
	make_view
	in_cgroup "docker-$container.scope" cat "$dir/base"
	rmdir "$hierarchy/docker-$container.scope"
	kill_agent
	start_agent
	[[ $(by_who "docker:$container" "$base") == "1 5 false" ]]
}

@test "upkeep is shown apart for a reader, too" {
	make_view
	in_cgroup "docker-$container.scope" "$BATS_TEST_DIRNAME/../tools/snapshots" "$agent_socket" reads "$dir/base"
	in_cgroup "docker-$container.scope" cat "$dir/base"
	[[ $(by_who "docker:$container" | sort) == $'1 5 false\n1 5 true' ]]
}

@test "reads of other layers are not shown for a record" {
	make_view
	call Prepare key=next parent=base > /dev/null
	echo more > "$(mount_snapshot next)/more"
	call Commit key=next name=two
	call View key=above parent=two > /dev/null
	above=$(mount_snapshot above)
	in_cgroup "docker-$container.scope" cat "$above/base"
	[[ $(by_who "docker:$container" "$base") == "1 5 false" ]]
	[[ -z $(by_who "docker:$container" "$(record_of two)") ]]
	in_cgroup "docker-$container.scope" cat "$above/more"
	[[ $(by_who "docker:$container") == "2 10 false" ]]
	run varve stats --by who --json
	assert_json_lines 'any(.who == "docker:'"$container"'" and .layers == 2)'
}

@test "escape sequences in the names of cgroups are shown as text" {
	local name=$'varve-\e[2J\e]0;owned\a-'$$
	make_view
	in_cgroup "$name" cat "$dir/base"
	run varve stats --by who
	assert_output_has 'cgroup:/varve-\x1b[2J\x1b]0;owned\x07-'$$
	[[ $output != *$'\e'* && $output != *$'\a'* ]]
	run varve stats --by who --json
	[[ $output != *$'\e'* && $output != *$'\a'* ]]
}

@test "readers beyond the bound are one, and nothing of them is lost" {
	local i
	make_view
	in_cgroup "varve-$$-most" cat "$dir/base" "$dir/base" > /dev/null
	for ((i = 0; i < 70; i++)); do
		in_cgroup "varve-$$-$i" cat "$dir/base" > /dev/null
	done
	run varve stats "$base" --by who --json
	assert_json_lines '(length == 65) and (map(select(.who == null)) | length == 1) and
		(map(.opens) | add) == 72 and (map(.readBytes) | add) == 360 and
		(.[0].who | endswith("-most")) and .[64].who == null and .[64].opens == 7'
	run varve stats "$base" --by who
	assert_output_has other
}

@test "what was read long ago is forgotten, as the configuration says" {
	printf '[prune]\nautomatic = no\n[accounting]\nkeep_readers = 1s\n' > "$agent_config"
	make_view
	in_cgroup "docker-$container.scope" cat "$dir/base"
	is_forgotten() {
		[[ -z $(by_who "docker:$container") ]]
	}
	retry 60 is_forgotten
	run varve stats "$base" --json
	assert_json '.opens == 1'
}

@test "by whom is asked for in one way" {
	start_agent
	run varve stats --by whom
	assert_status 2
	assert_output_has "invalid value 'whom' of --by"
	run varve stats --by who --mounts
	assert_status 2
}
