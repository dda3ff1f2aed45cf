#!/usr/bin/env bats
# requires root overlay bpf jq busybox
# SPDX-License-Identifier: Apache-2.0
#
# Upkeep: what containerd and the agent read in layers is counted apart, and is not a use.

load ../lib/helpers
load ../lib/snapshots

setup() {
	agent_setup
	snapshots_setup
}

teardown() {
	[[ -z ${cgroup-} ]] || rmdir "$cgroup/inner" "$cgroup"
	snapshots_teardown
	agent_teardown
}

# A committed snapshot `base` with a file of that name, and a view of it: $dir.
make_view() {
	start_agent_with "$@"
	committed base
	base=$(record_of base)
	call View key=view parent=base > /dev/null
	dir=$(mount_snapshot view)
}

# counts ID: opens, reads and bytes of workloads, then those of upkeep
counts() {
	varve stats "$1" --json | jq -r '"\(.opens) \(.reads) \(.readBytes) | \(.upkeep.opens) \(.upkeep.reads) \(.upkeep.readBytes)"'
}

is_unused() { # ID
	varve inspect "$1" --json | jq -e '.usageCount == 0 and .lastUsedAt == null and .access.lastReadAt == null' > /dev/null
}

reads_by_a_client_are_upkeep() { # client|agent: who mounts
	make_view "$1"
	before=$(counts "$base")
	[[ $before == [01]" 0 0 | 0 0 0" ]]
	call reads "$dir/base"
	[[ $(counts "$base") == "${before% | *} | 1 "[12]" 5" ]]
	is_unused "$base"
	run varve inspect "$base" --json
	assert_json '.access.upkeep.readBytes == 5 and .access.upkeep.lastReadAt != null'
	run varve inspect "$base"
	[[ $output =~ Upkeep.*5\ B ]]
	run varve stats "$base" -o UPKEEP
	assert_output_has "5 B"
	# A file that only upkeep has read was never read.
	run varve files "$base" --never-read -q
	[[ $output == base ]]
}

@test "what a client of the snapshotter reads is upkeep, and not a use" {
	reads_by_a_client_are_upkeep client
}

@test "what a client of the snapshotter reads in a mount of the agent is upkeep, and not a use" {
	reads_by_a_client_are_upkeep agent
}

@test "what a child of such a client reads is a use" {
	make_view client
	call starts cat "$dir/base"
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 0 0 0" ]]
	run varve inspect "$base" --json
	assert_json '.usageCount == 1 and .access.lastReadAt != null and .access.upkeep.lastReadAt == null'
}

@test "such a client that executes another program is a client no more" {
	make_view client
	call becomes cat "$dir/base"
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 0 0 0" ]]
}

@test "a user of the read-only socket cannot hide what it reads" {
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	start_agent --read-only-socket "$agent_socket_dir/reader"
	committed base
	base=$(record_of base)
	call View key=view parent=base > /dev/null
	dir=$(mount_snapshot view)
	"$BATS_TEST_DIRNAME/../tools/snapshots" "$agent_socket_dir/reader" reads "$dir/base"
	[[ $(counts "$base") == "1 "[12]" 5 | 0 0 0" ]]
}

@test "upkeep is counted exactly when the agent is killed, and while none runs" {
	make_view client
	call reads "$dir/base"
	[[ $(counts "$base") == *"| 1 "[12]" 5" ]]
	kill_agent
	cat "$dir/base" > /dev/null
	start_agent
	call reads "$dir/base"
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 2 "[0-9]*" 10" ]]
	stop_agent
	start_agent
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 2 "[0-9]*" 10" ]]
}

@test "upkeep of a mount is shown for the mount" {
	make_view agent
	call reads "$dir/base"
	run varve stats --mounts --json
	assert_json_lines 'any(.upkeep.readBytes == 5 and .readBytes == 0)'
}

# make_view_with NAME…: a view as above, whose agent is configured so that this is upkeep.
make_view_with() {
	printf '[prune]\nautomatic = no\n' > "$agent_config"
	printf '[accounting]\n' >> "$agent_config"
	printf 'upkeep = %s\n' "$@" >> "$agent_config"
	start_agent
	committed base
	base=$(record_of base)
	call View key=view parent=base > /dev/null
	dir=$(mount_snapshot view)
}

@test "what a program reads that the configuration names is upkeep, and what the same program reads in a container is a use" {
	local scanner=$BATS_TEST_TMPDIR/bin/busybox-scanner other=$BATS_TEST_TMPDIR/other
	mkdir -p "${scanner%/*}" "$other/mnt"
	cp "$(command -v busybox)" "$scanner"
	make_view_with "/does/not/exist, $scanner"
	"$scanner" cat "$dir/base"
	[[ $(counts "$base") == "0 0 0 | 1 "[0-9]*" 5" ]]
	busybox cat "$dir/base"
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 1 "[0-9]*" 5" ]]
	ln "$scanner" "$other/busybox-scanner"
	mount --rbind "$dir" "$other/mnt"
	chroot "$other" /busybox-scanner cat /mnt/base
	umount "$other/mnt"
	[[ $(counts "$base") == "2 "[0-9]*" 10 | 1 "[0-9]*" 5" ]]
}

counts_upkeep() { # COMMAND…: whether its reads of the file are upkeep
	local before after
	before=$(varve stats "$base" --json | jq .upkeep.readBytes)
	"$@" cat "$dir/base" > /dev/null
	after=$(varve stats "$base" --json | jq .upkeep.readBytes)
	((after > before))
}

@test "a program that is installed after the agent has started is found" {
	local scanner=$BATS_TEST_TMPDIR/busybox-scanner
	make_view_with "$scanner"
	cp "$(command -v busybox)" "$scanner"
	retry 60 counts_upkeep "$scanner"
}

# in_cgroup FOLDER COMMAND…
in_cgroup() {
	# shellcheck disable=SC2016
	sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$@"
}

@test "what is read in a cgroup that the configuration names is upkeep, and in one below it" {
	local top=/sys/fs/cgroup name=varve-$$-$BATS_TEST_NUMBER
	[[ ! -e $top/memory/cgroup.procs ]] || top=$top/memory
	mkdir "$top/$name" || skip "no cgroup can be made here"
	cgroup=$top/$name
	mkdir "$cgroup/inner"
	make_view_with "cgroup:/$name"
	in_cgroup "$cgroup" cat "$dir/base"
	[[ $(counts "$base") == "0 0 0 | 1 "[0-9]*" 5" ]]
	in_cgroup "$cgroup/inner" cat "$dir/base"
	[[ $(counts "$base") == "0 0 0 | 2 "[0-9]*" 10" ]]
	cat "$dir/base"
	[[ $(counts "$base") == "1 "[0-9]*" 5 | 2 "[0-9]*" 10" ]]
	# A task that goes elsewhere takes nothing with it.
	# shellcheck disable=SC2016
	in_cgroup "$cgroup" sh -c 'read -r line < "$0/base"; echo $$ > "$1/cgroup.procs"; read -r line < "$0/base"' "$dir" "$top"
	[[ $(counts "$base") == "2 "*" | 3 "* ]]
}

@test "another configuration takes the place of the former one" {
	make_view_with "$(command -v busybox)"
	counts_upkeep busybox
	stop_agent
	printf '[prune]\nautomatic = no\n[accounting]\nupkeep =\n' > "$agent_config"
	start_agent
	run counts_upkeep busybox
	assert_status 1
}

@test "a name of upkeep that is neither a program's path nor a cgroup's is refused" {
	local name
	for name in buildkitd cgroup:backup cgroup:/ "/$(printf 'a/%.0s' {1..17}).slice"; do
		printf '[accounting]\nupkeep = /usr/bin/true, %s\n' "$name" > "$agent_config"
		run "$VARVE_BUILD/varved" --config "$agent_config" --check-config
		assert_status 2
		assert_output_has "upkeep: '$name'"
	done
}
