#!/usr/bin/env bats
# requires root overlay tmux
# SPDX-License-Identifier: Apache-2.0
#
# varve top in a real terminal emulator, tmux, in which one can read what a person would see: 80 × 24, other sizes,
# detaching and attaching, stopping and going on, an agent that is killed and comes back; and that the shell's screen
# and terminal modes are back afterwards, whatever ended it. One agent and one tmux serve all tests of the file.

load ../lib/helpers

setup_file() {
	agent_setup_file
	agent_backend=(--backend none)
	start_agent
	result first > /dev/null
	export agent_pid
	export shell="env PS1='$ ' PATH=$VARVE_BUILD:$PATH bash --norc --noprofile"
	tm new-session -d -x 80 -y 24 "$shell" 3>&-
	tm set-option -g window-size manual
	tm set-option -g default-terminal tmux-256color
}

teardown_file() {
	tm kill-server || true
	[[ ! -e $BATS_FILE_TMPDIR/stopped ]] || agent_pid=
	agent_teardown_file
}

setup() {
	agent_setup_shared
	tm respawn-pane -k "$shell" # whatever the test before has left
	tm resize-window -x 80 -y 24
	type_in 'clear; stty -a > '"$BATS_TEST_TMPDIR/before"'; echo the shell'
	retry 30 shows '^the shell'
}

teardown() { :; }

tm() {
	tmux -f /dev/null -S "$agent_socket_dir/tmux" "$@"
}

type_in() { # LINE
	tm send-keys -l "$1"
	tm send-keys Enter
}

screen() {
	tm capture-pane -p
}

shows() { # REGEX
	screen | grep -q -e "$1"
}

hides() {
	! shows "$1"
}

is() { # FORMAT VALUE: tmux's variable has this value
	[[ $(tm display-message -p "#{$1}") == "$2" ]]
}

begin() { # varve top, on the other screen
	type_in "varve top -d 0.2"
	retry 30 shows '^ *ID '
	is alternate_on 1
	hides '^the shell'
}

top_pid() {
	pgrep -P "$(tm display-message -p '#{pane_pid}')" -x varve
}

# The shell's screen is there again, and the terminal is as it was.
restored() {
	retry 30 is alternate_on 0
	retry 30 shows '^the shell'
	is cursor_flag 1
	is keypad_cursor_flag 0
	type_in "stty -a > $BATS_TEST_TMPDIR/after; echo done"
	retry 30 shows '^done'
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

@test "it fills 80 x 24 and no more, follows the size, and leaves the shell's screen behind" {
	begin
	shows 'DESCRIPTION'
	[[ $(screen | wc -l) -eq 24 && $(screen | wc -L) -le 80 ]]
	[[ $(screen | tail -n 1) == *'q quit'*'? help'* ]]
	tm resize-window -x 140 -y 40
	retry 30 shows ' BY '
	[[ $(screen | wc -l) -eq 40 ]]
	# So small that only what matters fits; then a single line.
	tm resize-window -x 20 -y 5
	retry 30 hides DESCRIPTION
	retry 30 shows 'ID'
	tm resize-window -x 20 -y 1
	tm resize-window -x 80 -y 24
	retry 30 shows DESCRIPTION
	tm send-keys '?'
	retry 30 shows 'Keys of varve top'
	tm send-keys q q
	restored
}

@test "it goes on after detaching, attaching, and stopping with Ctrl-Z" {
	begin
	mkfifo "$BATS_TEST_TMPDIR/keys"
	exec 7<> "$BATS_TEST_TMPDIR/keys" # a terminal without keys
	script -qec "tmux -S $agent_socket_dir/tmux attach" /dev/null <&7 > "$BATS_TEST_TMPDIR/attached" 2>&1 3>&- &
	attached() { [[ -n $(tm list-clients) ]]; }
	retry 30 attached
	retry 30 grep -q DESCRIPTION "$BATS_TEST_TMPDIR/attached"
	tm list-clients -F '#{client_name}' | while read -r client; do tm detach-client -t "$client"; done
	retry 30 is session_attached 0
	exec 7>&-
	shows DESCRIPTION
	tm send-keys C-z
	retry 30 shows 'Stopped'
	is alternate_on 0
	type_in 'clear; fg'
	retry 30 shows DESCRIPTION
	tm send-keys q
	retry 30 is alternate_on 0
	type_in 'clear; echo the shell'
	restored
}

@test "the terminal is restored when a signal or a crash ends it" {
	for signal in TERM HUP INT SEGV ABRT; do
		begin
		kill -s "$signal" "$(top_pid)"
		restored
		type_in 'clear; echo the shell'
		retry 30 hides '^done'
	done
}

@test "a terminal that is not known is refused in one line" {
	for term in '' nonsense dumb; do
		type_in "clear; TERM=$term varve top; echo status \$?"
		retry 30 shows '^status 1$'
		shows "terminal '$term' is not known or cannot move its cursor"
		is alternate_on 0
	done
	type_in 'clear; TERM=vt100 NO_COLOR=1 varve top'
	retry 30 shows DESCRIPTION
	tm send-keys q
}

@test "an agent that is killed is waited for, and the view goes on when it is back" {
	begin
	kill_agent
	retry 30 shows 'agent away since'
	start_agent --backend none
	retry 30 shows 'the agent is back'
	tm send-keys u
	retry 30 shows ' first'
	tm send-keys q
	restored
	stop_agent
	touch "$BATS_FILE_TMPDIR/stopped"
}
