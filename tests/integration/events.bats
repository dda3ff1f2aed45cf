#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# varve events, and the events in a journal that systemd-journald keeps. One agent serves most tests: it has a policy
# that wants more space than there is, and an owner that does not answer.
#
# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

setup_file() {
	agent_setup_file
	cat > "$agent_config" <<- 'END'
		[prune]
		automatic = yes
		interval = 0s
		[policy "full"]
		filter = type==nothing-is-of-this-type
		min_free_space = 100%
		[buildkit "gone"]
		address = /nonexistent/buildkitd.sock
	END
	start_agent
}

teardown_file() {
	agent_teardown_file
}

setup() {
	agent_setup_shared
}

teardown() {
	[[ -z ${follower-} ]] || kill "$follower" 2> /dev/null || true
	[[ -z ${own-} ]] || agent_teardown
}

# An agent of the test's own, which it may end.
own_agent() {
	own=yes
	agent_setup
	start_agent
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
		assert_json_lines 'map(select(.event == "first-read" and .record == $id)) | length == 1' --arg id "$id"
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
	own_agent
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
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" events -f --json \
		> >(head -n 1 > "$BATS_TEST_TMPDIR/first" 3>&-) 2> "$BATS_TEST_TMPDIR/errors" 3>&- &
	follower=$!
	retry 100 eval 'varve new > /dev/null; ! kill -0 "$follower" 2> /dev/null'
	[[ -n $(jq -r .event "$BATS_TEST_TMPDIR/first") ]]
	[[ ! -s $BATS_TEST_TMPDIR/errors ]]
}

@test "events show characters that change what a terminal shows as text" {
	varve new --description $'\xe2\x80\xae<b>"' > /dev/null
	run -0 varve events
	[[ $output == *'<b>"'* && $output != *$'\xe2\x80\xae'* ]]
	run -0 varve events --json
	assert_json_lines 'any(.[]; .detail == "\u202e<b>\"")'
}

@test "a lost owner and low space are events" {
	varve owners > /dev/null || true
	run -0 varve events --json
	assert_json_lines 'map(select(.event == "owner-lost")) | length == 1 and (.[0].detail | startswith("gone: "))'
	varve owners > /dev/null || true # that it still does not answer is nothing new
	run -0 varve events --json
	assert_json_lines 'map(select(.event == "owner-lost")) | length == 1'
	# Policies are looked at every ten seconds.
	told() {
		varve events --json | jq -se 'any(.[]; .event == "low-space" and .size > 0)' > /dev/null
	}
	retry 300 told
}

@test "journalctl tells the life of a record" {
	local journald=/lib/systemd/systemd-journald journal
	[[ -x $journald ]] || skip_for journald "systemd-journald is not installed"
	# It has this file's mount namespace for itself, so the host's journal sees nothing of it.
	mkdir -p /run/systemd /run/log
	mount -t tmpfs tmpfs /run/systemd
	mount -t tmpfs tmpfs /run/log
	mkdir -p /run/systemd/journal /run/log/journal
	"$journald" > "$BATS_TEST_TMPDIR/journald" 2>&1 3>&- &
	journal=$!
	retry 100 test -S /run/systemd/journal/socket
	own=yes
	agent_setup
	: > "$agent_log"
	JOURNAL_STREAM=$(stat -c %d:%i "$agent_log") start_agent
	id=$(result a)
	other=$(result b)
	varve rm "$other"
	varve prune > /dev/null
	life() { # ID EVENT…
		local id=$1
		shift
		journalctl -D /run/log/journal VARVE_RECORD="$id" -o json --no-pager 2> /dev/null | jq -se --arg id "$id" \
			'map(.VARVE_EVENT) as $had | all(.[]; .VARVE_RECORD == $id and (.MESSAGE_ID | test("^[0-9a-f]{32}$"))) and
				([$ARGS.positional[] | . as $e | any($had[]; . == $e)] | all)' --args -- "$@" > "$BATS_TEST_TMPDIR/life"
	}
	retry 100 life "$id" committed evicted
	retry 100 life "$other" committed removed
	# Each kind can be asked for by its id, and says how grave it is.
	evicted=$(journalctl -D /run/log/journal VARVE_RECORD="$id" VARVE_EVENT=evicted -o json --no-pager | jq -r .MESSAGE_ID)
	run -0 journalctl -D /run/log/journal MESSAGE_ID="$evicted" -o json --no-pager
	assert_json_lines 'length == 1 and .[0].PRIORITY == "6" and (.[0].VARVE_BY | startswith("prune/"))'
	stop_agent
	kill "$journal"
	wait "$journal" || true
	umount /run/log /run/systemd
	# Each kind has an id of its own.
	sed -n 's/.*{ "\([0-9a-f]\{32\}\)", LOG_.*/\1/p' "$BATS_TEST_DIRNAME/../../userspace/daemon/event_journal.c" > "$BATS_TEST_TMPDIR/ids"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/ids") -eq 13 && -z $(sort "$BATS_TEST_TMPDIR/ids" | uniq -d) ]]
}
