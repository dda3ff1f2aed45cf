#!/usr/bin/env bats
# requires root overlay jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Pins, labels, and external references of leases.

load ../lib/helpers

small_record() { # DESCRIPTION [PARENT]: makes a finalized record that is not held; prints its id
	local id
	id=$(varve new --retain --description "$1" ${2:+--parent "$2"})
	printf '%s' "$1" > "$(varve mount "$id")/file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

field() { # ID NAME: prints a field of the record from du
	varve du --json | jq -r --arg id "$1" "select(.id == \$id) | .$2"
}

@test "a pinned record survives prune and rm, also after a restart" {
	start_agent
	id=$(small_record pinned)
	other=$(small_record other)
	varve pin "${id:0:8}"
	kill_agent
	start_agent
	[[ $(field "$id" pinned) == true ]]
	[[ $(varve prune -q --all) == "$other" ]]
	run varve rm "$id"
	[[ $status -eq 5 && $output == *"is pinned (varve unpin "* ]]
	varve unpin "$id"
	varve rm "$id"
}

@test "a pinned record survives the release of its last ref" {
	start_agent
	id=$(varve new)
	varve pin "$id"
	varve release "$id"
	[[ $(varve ls -q) == "$id" ]]
}

@test "a pin on one of two twins is on both" {
	start_agent
	mutable=$(varve new --retain)
	immutable=$(varve commit "$mutable")
	varve pin "$mutable"
	[[ $(varve ls --filter pinned -q | sort) == "$(printf '%s\n' "$mutable" "$immutable" | sort)" ]]
	varve finalize "$immutable"
	[[ $(varve ls --filter pinned -q) == "$immutable" ]]
}

@test "B33 varve label changes all of the given labels or none" {
	start_agent
	id=$(varve new)
	varve label "$id" one=1 two=2 a.b=c=d
	run varve label "$id" --remove one three=3 "$(printf 'bad\tkey')=4"
	[[ $status -eq 1 && $output == *"control characters"* ]]
	[[ $(varve ls --json | command jq -c .labels) == '{"one":"1","two":"2","a.b":"c=d"}' ]]
	varve label "$id" --remove one --remove none two=II
	kill_agent
	start_agent
	[[ $(varve ls --json | command jq -cS .labels) == '{"a.b":"c=d","two":"II"}' ]]
	[[ $(varve ls -q --filter 'labels."a.b"=="c=d"') == "$id" ]]
}

@test "varve label refuses invalid labels and more than 256" {
	start_agent
	id=$(varve new)
	run varve label "$id"
	[[ $status -eq 2 ]]
	run varve label "$id" =value
	[[ $status -eq 2 ]]
	run varve label nosuchrecord a=b
	[[ $status -eq 4 ]]
	mapfile -t many < <(seq -f 'k%g=v' 257)
	run varve label "$id" "${many[@]}"
	[[ $status -eq 1 && $output == *"at most 256 labels"* ]]
	[[ $(varve ls --json | command jq -c .labels) == '{}' ]]
}

@test "clients cannot set label keys that start with varve." {
	start_agent
	id=$(varve new)
	run varve label "$id" other=1 varve.chain-id=sha256:abcd
	[[ $status -eq 1 && $output == *"'varve.chain-id' is the agent's: keys that start with 'varve.' are reserved"* ]]
	run varve label "$id" --remove varve.chain-id
	[[ $status -eq 1 && $output == *"are reserved"* ]]
	run varve new --label varve.blob-chain-id=sha256:abcd
	[[ $status -eq 1 && $output == *"are reserved"* ]]
	varve label "$id" varve=1 varved.x=2
	[[ $(varve ls --json | command jq -cS .labels) == '{"varve":"1","varved.x":"2"}' ]]
}

@test "the agent does not trust a chain id in a label that a client wrote" {
	start_agent
	id=$(small_record forged)
	kill_agent
	# Clients of an older agent could set such labels.
	sqlite3 "$agent_root/varve.db" "INSERT INTO labels VALUES ('$id', 'varve.chain-id', 'sha256:abcd'),
		('$id', 'varve.blob-chain-id', 'sha256:abcd')"
	start_agent
	varve lease create checker
	varve lease need checker sha256:abcd
	[[ $(varve du --json | jq -c '[.shared, .chainId, .labels."varve.chain-id"]') == '[false,null,"sha256:abcd"]' ]]
}

@test "B54 records that a lease refers to by id or chain id are shared, and so are their parents" {
	start_agent
	base=$(small_record base)
	top=$(small_record top "$base")
	chained=$(small_record chained "$base")
	varve export "$chained" "oci:$BATS_TEST_TMPDIR/layout" 2> /dev/null # this gives the record chain ids
	chain=$(varve inspect "$chained" --json | jq -r .blob.blobChainId)
	varve lease create checker
	[[ $(field "$base" shared) == false ]]
	varve lease need checker "$top"
	[[ $(field "$top" shared) == true && $(field "$base" shared) == true && $(field "$chained" shared) == false ]]
	kill_agent
	start_agent
	[[ $(varve ls -q --filter private) == "$chained" ]]
	varve lease need checker "$chain" no-such-thing
	[[ $(field "$top" shared) == false && $(field "$base" shared) == true && $(field "$chained" shared) == true ]]
	[[ $(varve prune -q) == "$top" ]]
	varve lease rm checker
	[[ $(varve prune -q | wc -l) -eq 2 ]]
	run varve lease need checker "$top"
	[[ $status -eq 4 ]]
}

@test "B54 the bytes of shared records do not count towards a limit" {
	start_agent
	id=$(varve new --retain)
	head -c 1000000 /dev/zero | tr '\0' x > "$(varve mount "$id")/file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	small=$(small_record small)
	varve lease create checker
	varve lease need checker "$id"
	[[ $(varve prune --keep-storage 500KB --json | jq -c 'select(has("freed")) | [.predicted, .goalReached]') == "[0,true]" ]]
	[[ $(varve ls -q | sort) == "$(printf '%s\n' "$id" "$small" | sort)" ]]
}
