#!/usr/bin/env bats
# requires root overlay jq faketime
# SPDX-License-Identifier: Apache-2.0
#
# PARITY rows B60 to B69.

load ../lib/helpers

read_it() { # ID: mounts the record, reads its file, and unmounts it
	cat "$(varve mount "$1" --read-only)/data" > /dev/null
	varve umount "$1"
}

mib() {
	echo $(($1 << 20))
}

@test "B61 prune keeps records that are held or mounted and the parents of kept records" {
	start_agent
	held=$(result held)
	mounted=$(result mounted)
	parent=$(result parent)
	child=$(result child --parent "$parent")
	varve get "$held"
	varve get "$child"
	varve mount "$mounted"
	run varve prune -q
	[[ $output == "" ]]
	varve release "$held"
	varve umount "$mounted"
	varve release "$child"
	[[ $(varve prune -q | sort) == $(printf '%s\n' "$held" "$mounted" "$parent" "$child" | sort) ]]
}

@test "B61 prune evicts twins together" {
	start_agent
	id=$(varve new --retain)
	twin=$(varve commit "$id")
	varve release "$twin"
	[[ $(varve prune -q) == "$id" ]]
	run -4 varve inspect "$twin"
	run -4 varve inspect "$id"
}

@test "B61 one prune evicts twins and the record below them" {
	start_agent
	base=$(result base)
	mutable=$(varve new --retain --parent "$base")
	twin=$(varve commit "$mutable")
	varve release "$twin"
	[[ $(varve prune -q | wc -l) -eq 2 ]]
	[[ $(varve ls -q) == "" ]]
}

@test "B62 prune evicts internal and frontend records only with --all" {
	start_agent
	internal=$(result internal --type internal)
	frontend=$(result frontend --type frontend)
	regular=$(result regular)
	[[ $(varve prune -q) == "$regular" ]]
	[[ $(varve prune -q --all | sort) == $(printf '%s\n' "$internal" "$frontend" | sort) ]]
}

@test "B63 prune keeps records that were used within --keep-duration" {
	start_agent
	id=$(result young)
	read_it "$id"
	varve stats > /dev/null
	[[ $(varve prune -q --keep-duration 1h) == "" ]]
	kill_agent
	agent_launcher="env FAKETIME=+2h LD_PRELOAD=$(preload /usr/lib/*/faketime/libfaketimeMT.so.1)" start_agent
	[[ $(varve prune -q --keep-duration 1h) == "$id" ]]
}

@test "B63 the agent warns about a clock that went back, and evicts nothing because of it" {
	start_agent
	id=$(result used)
	read_it "$id"
	varve lease create short --expires 1h
	before=$(varve du --json | jq -c "del(.neededAgain)") # it changes with time
	stop_agent
	agent_launcher="env FAKETIME=-2d LD_PRELOAD=$(preload /usr/lib/*/faketime/libfaketimeMT.so.1)" start_agent
	grep -q '^<4>warning the clock is .* behind the newest use of a record' "$agent_log"
	[[ $(varve doctor --json | jq -r 'select(.name == "clock") | .state') == warning ]]
	[[ $(varve du --json | jq -c "del(.neededAgain)") == "$before" ]]
	[[ $(varve prune -q --keep-duration 1h) == "" ]]
	[[ $(varve prune -q --filter 'age>1h') == "" ]]
	[[ $(varve explain "$id") == *"last used in "* ]]
	mountpoint "$(varve mount "$(varve new)")"
	varve lease create another --expires 1h
	stop_agent
	start_agent # with the right clock
	run ! grep -q "clock is" <(tail -n 2 "$agent_log")
	[[ $(varve du --json --filter "id==$id" | jq -c "del(.neededAgain)") == "$before" ]]
	[[ $(varve lease ls -q | xargs) == "cli short" ]] || [[ $(varve lease ls -q | xargs) == "another cli short" ]]
	[[ $(varve prune -q) == "$id" ]]
}

@test "B64 without a limit prune evicts every unused record, children before their parents" {
	start_agent
	a=$(result a)
	b=$(result b --parent "$a")
	c=$(result c --parent "$b")
	[[ $(varve prune -q) == $(printf '%s\n' "$c" "$b" "$a") ]]
	[[ -z $(ls "$agent_root/layers") ]]
}

@test "B65 prune evicts until the limit is reached, and nothing when the store is below it" {
	start_agent
	for i in 1 2 3 4; do
		result "$i"
	done
	total=$(varve du --json | jq -s 'map(.size) | add')
	[[ $(varve prune -q --keep-storage $((total + 1))) == "" ]]
	[[ $(varve prune -q --keep-storage "$total" | wc -l) == 1 ]]
	[[ $(varve prune -q --keep-storage "$(mib 2)" | wc -l) == 2 ]]
}

@test "B66 the access scorer evicts unread records first, BuildKit's the least recently requested" {
	count_accesses
	start_agent
	first=$(result read)
	second=$(result unread)
	varve get "$first"
	read_it "$first"
	read_it "$first"
	varve release "$first"
	varve get "$second"
	varve release "$second"
	varve get "$second"
	varve umount "$(varve mount "$second" > /dev/null && echo "$second")"
	varve release "$second"
	limit=$(mib 2)
	run varve prune --dry-run --scorer buildkit --keep-storage "$limit" --json
	assert_json_lines ".[0].id == \"$first\""
	read_it "$first"
	read_it "$first"
	run varve prune --dry-run --keep-storage "$limit" --json
	assert_json_lines ".[0].id == \"$second\" and (.[0].reason | length > 0)"
}

@test "B67 prune reports each deleted record, and at the end the predicted and the freed bytes" {
	start_agent
	id=$(result one)
	run varve prune --json
	assert_json_lines "length == 2 and .[0].id == \"$id\" and .[0].size >= 1048576"
	assert_json_lines '.[1].predicted >= 1048576 and (.[1].freed | type) == "number"'
}

@test "prune reports as freed the bytes that it deleted, whatever other processes write meanwhile" {
	start_agent
	result one
	(for ((i = 0; i < 300; i++)); do head -c 100000 /dev/zero > "$BATS_TEST_TMPDIR/noise.$i"; done) &
	noise=$!
	run -0 varve prune --json
	assert_json_lines '.[-1].freed >= .[-1].predicted and .[-1].freed < .[-1].predicted + 65536'
	wait "$noise"
}

@test "B67 prune --dry-run deletes nothing" {
	start_agent
	id=$(result one)
	[[ $(varve prune -q --dry-run) == "$id" ]]
	varve inspect "$id"
}

@test "B68 the agent finishes deletions that a kill interrupted" {
	start_agent
	for i in 1 2 3 4 5 6; do
		result "$i"
	done
	varve prune > "$BATS_TEST_TMPDIR/pruned" &
	pruning=$!
	retry 50 test -s "$BATS_TEST_TMPDIR/pruned"
	kill_agent
	wait "$pruning" || true
	start_agent
	[[ $(varve ls -q | wc -l) == $(count_layers) ]]
	retry 50 test -z "$(ls "$agent_root/trash")"
}

@test "B72 prune --strict exits with 7 and says why it missed the goal" {
	start_agent
	id=$(result held)
	varve get "$id"
	run -7 varve prune --strict --keep-storage 1K
	[[ $output == *"held by leases"* ]]
}
