#!/usr/bin/env bats
# requires root overlay script
# SPDX-License-Identifier: Apache-2.0
#
# Tables: their order, their times, printing them again, and that ls and du show the same rows. One agent for all.

# The programs of bash -c have variables of their own.
# shellcheck disable=SC2016

load ../lib/helpers

teardown() {
	[[ -z ${background-} ]] || kill "$background" 2> /dev/null || true
	agent_teardown
}

# column OPTION…: prints the column DESCRIPTION of varve ls, on one line.
column() {
	varve ls -n -o DESCRIPTION "$@" | xargs
}

@test "tables are ordered, show times as they were asked for, and are printed again" {
	count_accesses
	start_agent
	small=$(varve new --retain --description b)
	id=$(result c)
	head -c 4M /dev/urandom > "$(varve mount "$small")/data"
	result a > /dev/null
	varve du > /dev/null # measures
	[[ $(column --sort description) == "a b c" && $(column --sort -description) == "c b a" ]]
	[[ $(column --sort size | cut -c1) == b && $(column --sort -SIZE | rev | cut -c1) == b ]]
	[[ $(column --sort created) == "a c b" ]]
	run -2 varve ls --sort nosuch
	[[ $output == *"unknown column 'nosuch'"* ]]
	run -2 varve ls --sort size --json
	run -2 varve pin "$id" --watch 1

	run -0 varve ls -n -o created --time iso
	for line in "${lines[@]}"; do
		[[ $line =~ ^20[0-9-]+T[0-9:]+Z$ ]]
	done
	[[ $(varve ls -n -o created --time age | tail -n 1) == *ago || $(varve ls -n -o created) == *now* ]]
	run -2 varve ls --time soon

	"$VARVE_BUILD/varve" -H "unix://$agent_socket" ls --watch 0.1 > "$BATS_TEST_TMPDIR/lines" 3>&- &
	background=$!
	seen_thrice() { [[ $(grep -c '^ID ' "$BATS_TEST_TMPDIR/lines") -ge 3 ]]; }
	retry 50 seen_thrice
	kill "$background"
	background=
	[[ $(< "$BATS_TEST_TMPDIR/lines") != *$'\e'* ]]
	run -0 bash -c '"$1" -H "$2" ls --watch 0.1 2> "$3" | head -n 1' bash "$VARVE_BUILD/varve" "unix://$agent_socket" "$BATS_TEST_TMPDIR/errors"
	[[ ! -s $BATS_TEST_TMPDIR/errors ]]
}

@test "ls shows one row for a record and the one that was committed from it, as du does" {
	start_agent
	id=$(varve new --retain --description pair)
	varve mount "$id" > /dev/null
	twin=$(varve commit "$id")
	[[ $(varve ls -n --no-trunc -o id) == "$twin" ]]
	[[ $(varve ls -n --no-trunc -o id) == "$(varve du -q)" ]]
	[[ $(varve ls -a -n | wc -l) -eq 2 && $(varve ls -q | wc -l) -eq 2 ]]
	# A filter that only the other half matches shows that one.
	[[ $(varve ls -n --no-trunc -o id --filter mutable==true) == "$id" ]]
	varve release "$twin"
	[[ $(varve ls -n --no-trunc -o id) == "$id" && $(varve du -q) == "$id" ]]
}

@test "ls, du, tree and stats have the same names for the same things, and older names go on working" {
	count_accesses
	start_agent
	id=$(result one)
	cat "$(varve mount "$id")/data" > /dev/null
	varve du > /dev/null # measures
	[[ $(varve ls -n -b -o SIZE,READ | xargs) =~ ^[1-9][0-9]+\ 1048576$ ]]
	names=SIZE,OPENS,READS,READ,LAST_READ
	cells=$(varve ls -n -b --time iso -o $names)
	for command in ls du tree stats; do
		[[ $(varve "$command" -o "$names" | head -n 1 | xargs) == "${names//[,_]/ }" ]]
		[[ $(varve "$command" -n -b --time iso -o "$names" | head -n 1) == "$cells" ]]
	done
	[[ $(varve stats -o OF,First_Access,last-access | head -n 1 | xargs) == "SIZE FIRST READ LAST READ" ]]
	[[ $(varve du -o "LAST ACCESSED" | head -n 1 | xargs) == "LAST USED" ]]
	[[ $(varve files "$id" -o path,last_access | head -n 1 | xargs) == "PATH LAST READ" ]]
	varve stats --sort last_access > /dev/null
}

@test "leases are completed" {
	start_agent
	varve lease create build-one
	run -0 bash -c 'PATH=$1:$PATH; eval "$(varve completion bash)"; COMP_WORDS=(varve lease rm build) COMP_CWORD=3; _varve; echo "${COMPREPLY[@]}"' bash "$VARVE_BUILD"
	[[ $output == build-one ]]
	run -0 bash -c 'PATH=$1:$PATH; eval "$(varve completion bash)"; COMP_WORDS=(varve release --lease build) COMP_CWORD=3; _varve; echo "${COMPREPLY[@]}"' bash "$VARVE_BUILD"
	[[ $output == build-one ]]
}
