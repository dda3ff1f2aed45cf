#!/usr/bin/env bats
# requires root overlay bpf jq python3
# SPDX-License-Identifier: Apache-2.0
#
# varve top: what it shows in batch mode, that its keys do what they say, that the terminal is as before
# whatever ends it, that it survives an agent that goes away, and that the kernel measures BPF programs only meanwhile.
#
# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

teardown() {
	[[ -z ${background-} ]] || kill "$background" 2> /dev/null || true
	agent_teardown
}

# session SIZE STEPS [OPTION…]: varve top on a terminal of this size; see terminal_session.py.
session() {
	local size=$1 steps=$2
	shift 2
	AGENT_PID=$agent_pid "$BATS_TEST_DIRNAME/../lib/terminal_session.py" "$size" "$steps" \
		"$VARVE_BUILD/varve" -H "unix://$agent_socket" top -d 0.2 "$@" > "$BATS_TEST_TMPDIR/session"
	tail -n 1 "$BATS_TEST_TMPDIR/session" > "$BATS_TEST_TMPDIR/session.json"
}

# ended STATUS: the session ended so, with the terminal as before and on its usual screen.
ended() {
	jq -e --argjson status "$1" '.status == $status and ."modes restored"' "$BATS_TEST_TMPDIR/session.json"
	[[ $(< "$BATS_TEST_TMPDIR/session") == *$'\e[?1049l'* ]]
}

@test "batch mode shows what is read, by the order and filter that were asked for" {
	start_agent
	quiet=$(result quiet)
	read=$(result read)
	cat "$(varve mount "$read")/data" > /dev/null
	run -0 varve top -b -n 2 -d 0.2 --json
	assert_json_lines 'length == 2 and all(.[]; .lost == 0 and .records == 2 and .matching == 2)'
	assert_json_lines '.[1].rows | map(.id) == [$read, $quiet]' --arg read "$read" --arg quiet "$quiet"
	assert_json_lines '.[1].rows[0] | .readBytes == 1048576 and (.recentKib | add) == 1024'
	assert_json_lines '.[0].recentKib | add >= 1024'
	run -0 varve top -b -n 1 --view layers --sort created --reverse --json
	assert_json '.rows | map(.id) == [$quiet, $read]' --arg read "$read" --arg quiet "$quiet"
	run -0 varve top -b -n 1 --filter 'description~=^qui'
	for text in "backend " "lost 0" "1 match" "${quiet:0:12}"; do
		assert_output_has "$text"
	done
	[[ $output != *"${read:0:12}"* && $output != *$'\e'* ]]
	run -0 varve top -b -n 1 --view files "$read"
	assert_output_has "1.0M"
	assert_output_has "data"
	for view in who owners eviction; do
		run -0 varve top -b -n 1 --view "$view"
		assert_output_has "view $view"
	done
	run -2 varve top -b --sort nothing
	run -1 varve top -b --filter 'a==' -n 1
	[[ $output == *"filter"* ]]
}

@test "a reader that leaves ends it silently, and without an agent it fails as other commands do" {
	start_agent
	run -0 bash -c '"$1" -H "$2" top -b -d 0.1 2> "$3" | head -n 1' bash "$VARVE_BUILD/varve" "unix://$agent_socket" "$BATS_TEST_TMPDIR/errors"
	[[ $output == "varve top "* && ! -s $BATS_TEST_TMPDIR/errors ]]
	stop_agent
	run -3 varve top -b -n 1
}

@test "the terminal is as before when it ends by a key or a signal, also while the agent hangs" {
	start_agent
	result one > /dev/null
	session 24x80 'wait:ID key:q'
	ended 0
	for name in SIGTERM SIGINT SIGHUP; do
		session 24x80 "wait:ID signal:$name"
		ended "-$(kill -l "$name")"
	done
	# The first refresh after the agent was stopped waits for it, whether or not it has begun.
	session 24x80 "wait:ID signal-agent:SIGSTOP signal:SIGTERM"
	kill -CONT "$agent_pid"
	ended -15
}

@test "small terminals, ones without color, a change of size, and unknown ones" {
	start_agent
	result one > /dev/null
	session 5x20 'wait:ID key:j key:\t key:\x1b[Z size:40x120 wait:DESCRIPTION size:1x1 size:24x80 wait:DESCRIPTION key:q'
	ended 0
	NO_COLOR=1 TERM=xterm-256color session 24x80 'wait:ID key:q'
	ended 0
	[[ ! $(< "$BATS_TEST_TMPDIR/session") =~ $'\e['[0-9\;]*[34][0-7]m ]]
	TERM=vt100 session 24x80 'wait:ID key:q'
	jq -e '.status == 0' "$BATS_TEST_TMPDIR/session.json"
	for term in '' nonsense dumb; do
		TERM=$term session 24x80 ''
		jq -e '.status == 1 and ."modes restored"' "$BATS_TEST_TMPDIR/session.json"
		[[ $(< "$BATS_TEST_TMPDIR/session") == *"terminal '$term' is not known or cannot move its cursor"* ]]
	done
}

@test "keys pin, explain, show details and files, plan a prune and filter" {
	start_agent
	id=$(result 'first one')
	session 24x100 'wait:ID key:p wait:pinned key:e wait:eviction: key:q key:\r wait:description: key:q key:f wait:[files] key:q'
	ended 0
	run -0 varve inspect --json "$id"
	assert_json '.pinned'
	session 24x100 'wait:ID key:p wait:unpinned key:P wait:Plan key:1\r wait:--plan key:q key:/ key:description==none\r wait:record key:/ key:\x15a==\r wait:filter key:q'
	ended 0
	run -0 varve inspect --json "$id"
	assert_json '.pinned == false'
}

@test "an agent that goes away and comes back is waited for, and both are said" {
	start_agent
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" top -b -d 0.2 > "$BATS_TEST_TMPDIR/lines" 2>&1 3>&- &
	background=$!
	retry 50 grep -q "^ID " "$BATS_TEST_TMPDIR/lines"
	kill_agent
	retry 50 grep -q 'agent away since .*, trying again' "$BATS_TEST_TMPDIR/lines"
	start_agent
	retry 50 grep -q 'the agent is back; it was away since' "$BATS_TEST_TMPDIR/lines"
	kill "$background"
}

@test "a live view walks no layer, also while one is written to" {
	start_agent
	result one > /dev/null
	mountpoint=$(varve mount "$(varve new)")
	for view in records eviction; do
		before=$(varve info --json | jq .diskWalks)
		head -c 64K /dev/urandom > "$mountpoint/$view"
		run -0 varve top -b -n 2 -d 0.1 --view $view
		[[ $(varve info --json | jq .diskWalks) -eq $before ]]
	done
	varve policy show > /dev/null
	(($(varve info --json | jq .diskWalks) > before))
}

# measuring: whether the agent has the kernel measure BPF programs.
measuring() {
	find "/proc/$agent_pid/fd" -lname '*bpf-stats*' | grep -q .
}

not_measuring() {
	! measuring
}

@test "the kernel measures the programs while it runs, and not afterwards, however it ended" {
	start_agent
	not_measuring
	"$VARVE_BUILD/varve" -H "unix://$agent_socket" top -b -d 0.2 > "$BATS_TEST_TMPDIR/lines" 3>&- &
	background=$!
	retry 50 grep -q 'bpf [0-9.]*% cpu' "$BATS_TEST_TMPDIR/lines"
	measuring
	kill -KILL "$background"
	background=
	retry 50 not_measuring
}
