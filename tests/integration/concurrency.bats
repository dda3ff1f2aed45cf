#!/usr/bin/env bats
# requires root overlay bpf jq python3 sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Many clients at once, and calls while a prune of thousands of records runs.

load ../lib/helpers

# big_store COUNT: starts an agent with that many records, which are not held. Each has a file, and a
# description so long that an answer about all records does not fit into the buffers between the agent and
# its client.
big_store() {
	start_agent
	stop_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" "$1" 1
	sqlite3 "$agent_root/varve.db" "UPDATE records SET description = description || hex(zeroblob(1000))"
	start_agent
}

# Starts a prune that cannot end before the test reads from descriptor 8, because its answers fill the
# buffers between the agent and the test.
start_stuck_prune() {
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec 8<> "$BATS_TEST_TMPDIR/pipe"
	varve prune --json > "$BATS_TEST_TMPDIR/pipe" 2> "$BATS_TEST_TMPDIR/prune.err" 3>&- 8>&- &
	prune=$!
	retry 100 has_begun
}

has_begun() {
	[[ $(varve ls -q | wc -l) -lt $records ]]
}

# The agent releases the holds of closed connections in the background. Succeeds when no such hold and no
# record that only they kept is left.
connections_are_released() {
	local ids
	mapfile -t ids < <(varve ls --json | jq -r .id)
	# The call fails when one of the records was deleted meanwhile: then the agent is not done.
	varve inspect --json "${ids[@]}" > "$BATS_TEST_TMPDIR/records" 2> /dev/null || return
	jq -se 'all((.holds | all(.lease | startswith("connection/") | not)) and
		(.mutable and .holds == [] and .twin == null and .children == [] and (.retain or .pinned | not) | not))' \
		"$BATS_TEST_TMPDIR/records" > /dev/null
}

listing() {
	varve ls --json | jq -c '[.id, .mutable, .inUse, .pinned, .labels, .usageCount]' | sort
}

@test "after 16 clients mixed every operation the store has no problems and can be emptied" {
	start_agent
	run -0 "$VARVE_BUILD/tests/tools/many_clients" "$agent_socket" 16 4
	echo "$output"
	run -0 varve fsck
	retry 100 connections_are_released
	listing > "$BATS_TEST_TMPDIR/before"
	stop_agent
	start_agent
	diff "$BATS_TEST_TMPDIR/before" <(listing)
	run -0 varve fsck

	# Everything can be released and pruned, and then the store is empty.
	for lease in $(varve lease ls -q); do
		[[ $lease == cli ]] || varve lease rm "$lease"
	done
	for id in $(varve ls -q); do
		varve unpin "$id" || true # it may have been deleted with its twin
	done
	varve lease ls --json | jq -r 'select(.name == "cli") | .holds[] | .id as $id | range(.refs) | $id' |
		while read -r id; do varve release "$id"; done
	for id in $(varve ls --json | jq -r .id); do
		varve umount "$id" || true # most are not mounted
	done
	varve prune --all
	[[ $(varve info --json | jq -c '[.records, .layers, .mounts]') == "[0,0,0]" ]]
	[[ -z $(find "$agent_root"/{layers,l,mnt,trash} -mindepth 1) ]]
}

@test "B56 B60 du, ls, new, commit and mount do not wait for a running prune, and a second prune does" {
	records=3000
	big_store $records
	start_stuck_prune
	kept=$(varve new --description kept)
	child=$(varve new --parent "$(varve commit "$kept")")
	[[ -d $(varve mount "$child") ]]
	for _ in 1 2 3; do
		varve du --json > "$BATS_TEST_TMPDIR/du"
		jq -e .id "$BATS_TEST_TMPDIR/du" > /dev/null
		varve ls > /dev/null
	done
	kill -0 "$prune"
	varve prune --json > "$BATS_TEST_TMPDIR/second" 3>&- 8>&- &
	second=$!
	varve info > /dev/null
	kill -0 "$prune" "$second"

	jq -r '.id // "end"' < "$BATS_TEST_TMPDIR/pipe" > "$BATS_TEST_TMPDIR/first" 3>&- 8>&- &
	reader=$!
	wait "$prune"
	wait "$second"
	exec 8>&-
	wait "$reader"
	# Each record was evicted once, and the records made meanwhile stay.
	[[ $(sort -u "$BATS_TEST_TMPDIR/first" | grep -cvx end) == "$records" ]]
	[[ $(jq -r '.id // empty' "$BATS_TEST_TMPDIR/second" | wc -l) == 0 ]]
	[[ $(varve ls -q | wc -l) == 2 ]]
	run -0 varve fsck
}

@test "B69 a cancelled prune stops between records: the reported ones are gone, the others are intact" {
	records=3000
	big_store $records
	varve ls -q | sort > "$BATS_TEST_TMPDIR/before"
	start_stuck_prune
	kill "$prune"
	wait "$prune" || true
	timeout 60 head -n 20 <&8 | jq -r .id > "$BATS_TEST_TMPDIR/told"
	exec 8>&-
	run -0 varve fsck # fsck waits for the prune to end
	varve ls -q | sort > "$BATS_TEST_TMPDIR/after"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/told") == 20 && $(wc -l < "$BATS_TEST_TMPDIR/after") -gt 0 ]]
	[[ -z $(comm -12 "$BATS_TEST_TMPDIR/after" <(sort "$BATS_TEST_TMPDIR/told")) ]]
	[[ -z $(comm -13 "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after") ]]
	[[ $(count_layers) == $(wc -l < "$BATS_TEST_TMPDIR/after") ]]
	stop_agent
	start_agent
	[[ $(varve ls -q | sort) == $(< "$BATS_TEST_TMPDIR/after") ]]
	varve prune > /dev/null
	[[ $(varve ls -q) == "" ]]
}
