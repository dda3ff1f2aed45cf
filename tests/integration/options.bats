#!/usr/bin/env bats
# requires root overlay jq script sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Global options of varve, and ids.

load ../lib/helpers

escape=$'\e'

@test "varve takes the address from --address, else from VARVE_ADDRESS, in each form" {
	start_agent
	bare() { # varve without the address that the helper sets
		"$VARVE_BUILD/varve" "$@"
	}
	export VARVE_ADDRESS=unix:///nosuch
	run -3 bare info
	for address in "$agent_socket" "unix:$agent_socket" "unix://$agent_socket"; do
		bare -H "$address" info
		bare info --address="$address"
		VARVE_ADDRESS=$address bare info
	done
	VARVE_ADDRESS=unix://$agent_socket run -3 bare -H unix:///nosuch info
}

@test "table options choose columns, headings, sizes in bytes and whole ids" {
	start_agent
	id=$(result "one thing")
	varve du # du measures it
	[[ $(varve ls | head -n 1) == "ID "*DESCRIPTION ]]
	[[ $(varve ls -n | wc -l) -eq 1 && $(varve ls --no-headings) == "${id:0:12} "* ]]
	[[ $(varve ls -o description,size | tr -s ' ') == "DESCRIPTION SIZE"$'\n'"one thing 1"*" MiB" ]]
	[[ $(varve ls -bno SIZE) -ge 1048576 && $(varve ls --bytes -n --output SIZE) -ge 1048576 ]]
	[[ $(varve ls --no-trunc -no id) == "$id" ]]
	[[ $(varve ls -q) == "$id" && $(varve du -q) == "$id" && $(varve stats -q) == "$id" && $(varve tree -q) == "$id" ]]
	[[ $(varve lease ls -q) == cli ]]
	[[ $(varve policy show -q) == "$(varve policy check -q)" ]]
	run -2 varve ls -o nosuch
	[[ $output == *"unknown column 'nosuch' (columns: ID, "* ]]
	run -2 varve info -o id
	run -2 varve ls -o id --json
	run -2 varve ls -q --json
}

@test "varve colours its output on a terminal unless an option or NO_COLOR forbids it" {
	start_agent
	result one
	terminal() {
		# shellcheck disable=SC2016
		script -qec "$VARVE_BUILD/varve -H unix://$agent_socket $*" /dev/null
	}
	[[ $(varve ls) != *"${escape}"* ]]
	[[ $(varve ls --color always) == *"${escape}["* ]]
	export TERM=xterm
	unset NO_COLOR
	[[ $(terminal ls) == *"${escape}["* ]]
	[[ $(terminal ls --color never) != *"${escape}["* ]]
	export NO_COLOR=1
	[[ $(terminal ls) != *"${escape}["* ]]
	[[ $(varve ls --color always) == *"${escape}["* ]]
	run -2 varve ls --color maybe
}

@test "--verbose reports each call on standard error" {
	start_agent
	run --separate-stderr varve -v ls
	[[ $stderr == "varve: List: 0 replies in "*ms && $output != *replies* ]]
}

@test "a unique prefix of four or more characters names a record" {
	start_agent
	one=$(varve new --retain)
	two=$(varve new --retain)
	stop_agent
	sqlite3 "$agent_root/varve.db" "UPDATE records SET id = 'aaaa' || substr(id, 5);
		UPDATE holds SET record = 'aaaa' || substr(record, 5); DELETE FROM mounts; DELETE FROM mount_layers"
	start_agent
	run -4 varve inspect aaa
	run -1 --separate-stderr varve inspect aaaa
	[[ $stderr == *"'aaaa'"*several* && $(wc -l <<< "$stderr") == 1 ]]
	[[ $(varve inspect "aaaa${one:4:5}" -q) == "aaaa${one:4}" ]]
	[[ $(varve inspect "aaaa${two:4}" -q) == "aaaa${two:4}" ]]
}
