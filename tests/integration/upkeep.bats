#!/usr/bin/env bats
# requires root overlay bpf jq
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
	snapshots_teardown
	agent_teardown
}

# A committed snapshot `base` with a file of that name, and a view of it: $dir.
make_view() {
	start_agent_with "$1"
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
