#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# What counts as a use: PARITY rows B20 to B23.

load ../lib/helpers

uses() {
	varve stats > /dev/null # this folds the counters
	varve inspect "$1" --json | jq -r '"\(.usageCount) \(.refUsageCount)"'
}

layer() { # PARENT: makes a finalized record, without a parent for ""; prints its id
	local id
	id=$(varve new --retain ${1:+--parent "$1"})
	varve umount "$id"
	id=$(varve commit "$id")
	varve finalize "$id"
	echo "$id"
}

@test "B20 the release of the last ref counts as one use, and earlier releases do not" {
	start_agent
	id=$(layer "")
	varve release "$id"
	read -r before refs <<< "$(uses "$id")"
	varve get "$id"
	varve get "$id"
	varve release "$id"
	[[ $(uses "$id") == "$before $refs" ]]
	varve release "$id"
	[[ $(uses "$id") == "$((before + 1)) $((refs + 1))" ]]
	[[ $(varve inspect "$id" --json | jq -r .lastUsedAt) != null ]]
}

@test "B20 a ref taken with --no-use does not count as a use" {
	start_agent
	id=$(layer "")
	varve release "$id"
	before=$(uses "$id")
	varve get "$id" --no-use
	varve release "$id"
	[[ $(uses "$id") == "$before" ]]
}

@test "B21 a record that was never used has no time of last use" {
	start_agent
	id=$(varve new --retain)
	run varve inspect "$id" --json
	assert_json '.usageCount == 0 and .lastUsedAt == null'
}

@test "B22 the counts of uses survive a kill of the agent" {
	start_agent
	id=$(layer "")
	varve release "$id"
	varve get "$id"
	varve release "$id"
	before=$(uses "$id")
	kill_agent
	start_agent
	[[ $(uses "$id") == "$before" ]]
}

@test "B23 reading a parent's files through a child counts as a use of the parent, mounting alone does not" {
	start_agent
	id=$(varve new --retain)
	echo data > "$(varve mount "$id")/f"
	parent=$(varve commit "$id")
	varve finalize "$parent"
	child=$(layer "$parent")
	read -r before refs <<< "$(uses "$parent")"

	dir=$(varve mount "$child")
	varve umount "$child"
	[[ $(uses "$parent") == "$before $refs" ]]

	dir=$(varve mount "$child")
	cat "$dir/f" "$dir/f" > /dev/null
	[[ $(uses "$parent") == "$((before + 1)) $refs" ]]
	[[ $(uses "$child") == "0 "* ]]
	cat "$dir/f" > /dev/null
	[[ $(uses "$parent") == "$((before + 1)) $refs" ]] # once a mount
}
