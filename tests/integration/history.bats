#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# What the agent remembers of layers, and learns from it.

load ../lib/helpers

# Reads a record through a mount of its own.
read_record() {
	cat "$(varve mount --read-only "$1")/data" > /dev/null
	varve umount "$1"
}

events() { # [OPTION…]
	varve history --json "$@" | jq -r .event | xargs
}

@test "the history tells when a layer was made, needed and evicted, oldest first" {
	start_agent
	id=$(result base)
	read_record "$id"
	[[ $(events "$id") == "made needed" || $(events "$id") == made ]]
	varve prune --all > /dev/null
	run -0 varve history --json
	jq -e -s '.[0].event == "made" and .[-1].event == "evicted" and .[-1].by == "prune/forecast" and
		.[-1].size >= 1048576 and .[0].layer == .[-1].layer' <<< "$output"
	run -0 varve history
	assert_output_has "evicted"
}

@test "a layer that is made again after its eviction is a regret of that policy and scorer" {
	start_agent
	result "compile the kernel" > /dev/null
	varve prune --all --scorer lru > /dev/null
	again=$(result "compile the kernel")
	run -0 varve regret --json
	assert_json '.by == "prune/lru" and .evicted == 1 and .day.layers == 1 and .week.layers == 1'
	run -0 varve history "$again" --json
	assert_json_lines '.[0].event == "made" and .[0].by == "prune/lru" and .[0].regretAfter > 0'
	run -0 varve regret
	assert_output_has "prune/lru"
}

@test "what the owner of a layer removed is not a regret when it is made again" {
	start_agent
	varve rm "$(result "compile the kernel")"
	result "compile the kernel" > /dev/null
	[[ $(varve history --json | jq -r .event | xargs) == "made removed made" ]]
	[[ -z $(varve regret --json) ]]
}

@test "the same description on another parent, or of another type, is another layer" {
	start_agent
	a=$(result a)
	b=$(result b)
	result step --parent "$a" > /dev/null
	varve rm "$(varve ls --json | jq -r 'select(.description == "step") | .id')"
	result step --parent "$b" > /dev/null
	varve history --json | jq -e -s '[.[] | select(.event == "made") | .identity] | length == 4 and (unique | length == 4)'
}

@test "the history survives kill -9 and a restart" {
	start_agent
	result kept > /dev/null
	varve prune --all > /dev/null
	varve history > /dev/null # which folds
	kill_agent
	start_agent
	[[ $(events) == "made evicted" ]]
	result kept > /dev/null
	[[ $(varve regret --json | jq .day.layers) == 1 ]]
	stop_agent
	start_agent
	[[ $(events) == "made evicted made" ]]
	[[ $(varve regret --json | jq .day.layers) == 1 ]]
}

@test "a store from before the history begins one with what its records tell" {
	start_agent
	a=$(result a)
	result b --parent "$a" > /dev/null
	stop_agent
	sqlite3 "$agent_root/varve.db" "DELETE FROM history; DELETE FROM pasts; DELETE FROM departed"
	start_agent
	[[ $(events) == "made made" ]]
	[[ $(varve history --json | jq -r .record | head -n 1) == "$a" ]]
	[[ $(varve prune --all --scorer forecast --dry-run --json | jq -r '.id // empty' | tail -n 1) == "$a" ]]
}

@test "the time that work in a record took is its cost" {
	start_agent
	id=$(varve new --retain --description slow)
	mount=$(varve mount "$id")
	for i in 1 2 3; do
		echo "$i" > "$mount/file"
		sleep 0.5 # the work
	done
	varve commit "$id" > /dev/null
	varve history --json | jq -e -s '.[0].cost >= 1.4 and .[0].cost < 600'
}

@test "the history can be replayed, and shared without names" {
	start_agent
	a=$(result "a secret name")
	b=$(result another --parent "$a")
	read_record "$b"
	varve prune --all > /dev/null
	result "a secret name" > /dev/null
	run -0 varve history --export
	[[ $output != *secret* && $output != *sha256* && $output != *"$a"* ]]
	varve history --export | jq -e -s '.[0].op == "create" and .[0].size >= 1048576 and .[1].parent == .[0].id and .[-1].op == "use"'
	varve history --export | varve simulate --trace - --keep-storage 10M --json > "$BATS_TEST_TMPDIR/exported"
	varve simulate --history --keep-storage 10M --json | diff "$BATS_TEST_TMPDIR/exported" -
	varve history --export --names | jq -e -s '.[0].id | startswith("sha256:")'
}

@test "prune by forecast says when a layer would be needed again" {
	start_agent
	result unread > /dev/null
	run -0 varve prune --dry-run --scorer forecast
	assert_output_has "needed again in about"
}

@test "history and regret refuse what they cannot mean" {
	start_agent
	run -2 varve history --since noon
	assert_output_has "invalid time 'noon'"
	run -2 varve history --names
	run -4 varve history zzzz
	run -2 varve simulate --history
	assert_output_has "--history needs a limit"
	[[ -z $(varve history --since 1h -q) ]]
}
