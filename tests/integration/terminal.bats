#!/usr/bin/env bats
# requires root overlay jq script
# SPDX-License-Identifier: Apache-2.0
#
# varve shows control characters in foreign text as text, so that a terminal does not obey them.

load ../lib/helpers

teardown() {
	agent_teardown
}

make_tar() { # FILE
	mkdir "$BATS_TEST_TMPDIR/tree"
	head -c 3000000 /dev/urandom > "$BATS_TEST_TMPDIR/tree/file"
	tar -C "$BATS_TEST_TMPDIR/tree" -cf "$1" .
}

escapes_beside_ours() { # FILE: counts the lines that have ESC, BEL or C1 characters that progress did not write
	sed 's/\r\x1b\[K//g' "$1" | LC_ALL=C grep -cP '\x1b|\xc2[\x80-\x9f]|\x07' || true
}

@test "progress lines show escape sequences in a file name as text" {
	start_agent
	hostile=$'\e]0;owned\a\e[2Jx\xc2\x9b31m.tar'
	make_tar "$BATS_TEST_TMPDIR/$hostile"
	# The agent refuses the import in the end, because references must not have control characters.
	varve import "tar:$BATS_TEST_TMPDIR/$hostile" > /dev/null 2> "$BATS_TEST_TMPDIR/lines" || true
	[[ -s $BATS_TEST_TMPDIR/lines && $(< "$BATS_TEST_TMPDIR/lines") == *'\x1b]0;owned\x07'* ]]
	[[ $(escapes_beside_ours "$BATS_TEST_TMPDIR/lines") -eq 0 ]]
}

@test "a progress bar shows escape sequences in a file name as text" {
	start_agent
	hostile=$'\e]0;owned\a\e[2Jx\xc2\x9b31m.tar'
	make_tar "$BATS_TEST_TMPDIR/$hostile"
	printf -v command '%q ' "$VARVE_BUILD/varve" -H "unix://$agent_socket" import "tar:$BATS_TEST_TMPDIR/$hostile"
	SHELL=/bin/bash script -qec "$command" /dev/null > "$BATS_TEST_TMPDIR/bar" < /dev/null || true
	[[ $(< "$BATS_TEST_TMPDIR/bar") == *'\x1b]0;owned\x07'* ]]
	[[ $(escapes_beside_ours "$BATS_TEST_TMPDIR/bar") -eq 0 ]]
}

@test "a warning shows escape sequences as text" {
	printf '[containerd]\naddress = /nowhere/\e[2Jx\n' >> "$agent_config"
	start_agent
	varve images > /dev/null 2> "$BATS_TEST_TMPDIR/lines"
	[[ $(< "$BATS_TEST_TMPDIR/lines") == *'the images of containerd are missing'*'/nowhere/\x1b[2Jx'* ]]
	[[ $(escapes_beside_ours "$BATS_TEST_TMPDIR/lines") -eq 0 ]]
}

@test "names, labels and errors show escape sequences as text" {
	start_agent
	hostile=$'d\e[2J\xc2\x9b31m'
	run varve new --label "k=$hostile"
	[[ $status -eq 1 && $output != *$'\e'* ]] # refused, without repeating it raw
	run varve inspect "$hostile"
	[[ $status -ne 0 && $output != *$'\e'* && $output != *$'\xc2\x9b'* ]]
	run varve import "oci:/nowhere/$hostile"
	[[ $status -ne 0 && $output != *$'\e'* && $output != *$'\xc2\x9b'* ]]
}
