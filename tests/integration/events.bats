#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# varve events, and the events in the journal.
#
# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

teardown() {
	[[ -z ${follower-} ]] || kill "$follower" 2> /dev/null || true
	agent_teardown
}

# follow [OPTION…]: follows the events in the background, into $BATS_TEST_TMPDIR/events and …/notes.
follow() {
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" events -f "$@" > "$BATS_TEST_TMPDIR/events" 2> "$BATS_TEST_TMPDIR/notes" 3>&- &
	follower=$!
}

followed() { # JQ: whether an event for which this is true has been printed
	jq -se "any(.[]; $1)" "$BATS_TEST_TMPDIR/events" > /dev/null
}

@test "events tell the life of a record" {
	start_agent
	id=$(result "a description")
	cat "$(varve mount "$id")/data" > /dev/null
	varve umount "$id"
	varve stats > /dev/null # folds
	varve prune --keep-storage 1 --all > /dev/null || true
	run -0 varve events --json
	assert_json_lines 'map(.seq) == [range(1; length + 1)]'
	assert_json_lines 'any(.[]; .event == "created" and .detail == "a description")'
	for kind in committed mounted evicted; do
		assert_json_lines 'any(.[]; .event == $kind and .record == $id)' --arg id "$id" --arg kind "$kind"
	done
	assert_json_lines '.[] | select(.event == "evicted") | .by == "prune/forecast" or .by == "prune/access"'
	assert_json_lines '.[] | select(.event == "evicted") | .size >= 1048576 and (.detail | length > 5)'
	if [[ $(varve info --json | jq -r .backend) != none ]]; then
		assert_json_lines 'map(select(.event == "first-read")) | length == 1'
	fi
	# One record, and a prefix of its id.
	run -0 varve events --json "${id:0:6}"
	assert_json_lines 'length > 2 and all(.[]; .record == $id)' --arg id "$id"
	run -0 varve events -q "$id"
	[[ $(sort -u <<< "$output") == "$id" ]]
	run -0 varve events "$id"
	assert_output_has " committed "
	# What its owner removes is not evicted.
	id=$(result b)
	varve rm "$id"
	run -0 varve events --json "$id"
	assert_json_lines 'any(.[]; .event == "removed") and all(.[]; .event != "evicted")'
}

@test "events say by which plan a record was evicted, and that it is regretted" {
	start_agent
	id=$(result "made twice")
	plan=$(varve prune --dry-run --json | jq -r 'select(.plan).plan')
	varve prune --plan "$plan" > /dev/null
	run -0 varve events --json "$id"
	assert_json_lines '.[] | select(.event == "evicted") | .plan == $plan' --arg plan "$plan"
	again=$(result "made twice")
	run -0 varve events --json "$again"
	assert_json_lines '.[] | select(.event == "regretted") | .by | startswith("prune/")'
}

@test "--since shows what happened after a time" {
	start_agent
	result old > /dev/null
	since=$(varve events --json | jq -rs 'last.time')
	id=$(result new)
	run -0 varve events --json --since "$since"
	assert_json_lines 'all(.[]; .detail != "old") and any(.[]; .record == $id)' --arg id "$id"
	run -0 varve events --since 1h
	[[ -n $output ]]
	run -2 varve events --since yesterday
	assert_output_has "invalid time 'yesterday'"
}

@test "a follower goes on when the agent comes back, and says so" {
	start_agent
	result before > /dev/null
	follow --json
	# Without --since it shows only what comes.
	retry 50 eval 'varve new --description first > /dev/null; followed ".detail == \"first\""'
	followed '.detail == "before"' && false
	kill_agent
	retry 50 grep -q 'the agent is gone' "$BATS_TEST_TMPDIR/notes"
	start_agent
	varve new --description second > /dev/null
	retry 50 followed '.detail == "second"'
	grep -qx 'varve: the agent is back' "$BATS_TEST_TMPDIR/notes"
	# At SIGTERM the agent does not wait for it.
	SECONDS=0
	stop_agent
	((SECONDS < 55))
	start_agent
	varve new --description third > /dev/null
	retry 50 followed '.detail == "third"'
	[[ $(jq -s 'map(select(.detail == "second")) | length' "$BATS_TEST_TMPDIR/events") -eq 1 ]]
}

@test "a follower that does not read holds up nothing, and the number of followers is limited" {
	local i followers=()
	start_agent
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec 7<> "$BATS_TEST_TMPDIR/pipe"
	for ((i = 0; i < 40; i++)); do
		"$VARVE_BUILD/varve" -H "unix://$agent_socket" events -f --json > "$BATS_TEST_TMPDIR/pipe" 2>> "$BATS_TEST_TMPDIR/refused" 3>&- &
		followers+=($!)
	done
	retry 50 eval '[[ $(grep -c "32 clients follow the events already" "$BATS_TEST_TMPDIR/refused") -ge 8 ]]'
	# More than the pipe and the sockets hold for those who do not read.
	for ((i = 0; i < 30; i++)); do
		varve new --description "$(head -c 150 /dev/zero | tr '\0' x)" > /dev/null
	done
	varve ls > /dev/null
	kill "${followers[@]}" 2> /dev/null || true
	exec 7>&-
	# Their places are free again, as soon as the agent has noticed.
	follows_again() {
		[[ -n $follower ]] && kill -0 "$follower" 2> /dev/null || follow --json
		varve new --description free > /dev/null
		followed '.detail == "free"'
	}
	follower=
	retry 50 follows_again
}

@test "a follower ends when the reader of its output does" {
	start_agent
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" events -f --json \
		> >(head -n 1 > "$BATS_TEST_TMPDIR/first" 3>&-) 2> "$BATS_TEST_TMPDIR/errors" 3>&- &
	follower=$!
	retry 100 eval 'varve new > /dev/null; ! kill -0 "$follower" 2> /dev/null'
	[[ $(jq -r .event "$BATS_TEST_TMPDIR/first") == created ]]
	[[ ! -s $BATS_TEST_TMPDIR/errors ]]
}

@test "events show characters that change what a terminal shows as text" {
	start_agent
	varve new --description $'\xe2\x80\xae<b>"' > /dev/null
	run -0 varve events
	[[ $output == *'<b>"'* && $output != *$'\xe2\x80\xae'* ]]
	run -0 varve events --json
	assert_json_lines 'any(.[]; .detail == "\u202e<b>\"")'
}

@test "the journal gets events with fields" {
	# What the agent sends is read from the socket of the journal, in this file's mount namespace.
	mkdir -p /run/systemd/journal
	mount -t tmpfs tmpfs /run/systemd/journal
	/usr/bin/python3 - "$BATS_TEST_TMPDIR/journal" 3>&- <<- 'END' &
		import socket
		import sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/run/systemd/journal/socket")
		with open(sys.argv[1], "ab", buffering=0) as out:
		    while True:
		        out.write(s.recv(65536) + b"\n")
	END
	journal=$!
	retry 50 test -S /run/systemd/journal/socket
	: > "$agent_log"
	JOURNAL_STREAM=$(stat -c %d:%i "$agent_log") start_agent
	id=$(result a)
	varve prune > /dev/null
	told() {
		grep -qxF "VARVE_RECORD=$id" "$BATS_TEST_TMPDIR/journal" && grep -qxF VARVE_EVENT=evicted "$BATS_TEST_TMPDIR/journal"
	}
	retry 50 told
	stop_agent
	kill "$journal"
	wait "$journal" || true
	umount /run/systemd/journal
	grep -qx 'MESSAGE_ID=[0-9a-f]\{32\}' "$BATS_TEST_TMPDIR/journal"
	# Each kind has an id of its own.
	sed -n 's/^static const struct {//; s/.*{ "\([0-9a-f]\{32\}\)", LOG_.*/\1/p' \
		"$BATS_TEST_DIRNAME/../../userspace/daemon/event_journal.c" | sort | uniq -d > "$BATS_TEST_TMPDIR/twice"
	[[ ! -s $BATS_TEST_TMPDIR/twice ]]
}
