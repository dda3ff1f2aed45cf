#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# PARITY rows B50 to B56.

load ../lib/helpers

du_ids() {
	varve du -q | sort
}

walks() {
	varve info --json | jq .diskWalks
}

size() {
	varve du --json | jq --arg id "$1" 'select(.id == $id) | .size'
}

@test "B50 du lists one of two twins: the immutable one while it is held, else the mutable one" {
	start_agent
	id=$(varve new --retain)
	twin=$(varve commit "$id")
	[[ $(du_ids) == "$twin" ]]
	varve release "$twin"
	[[ $(du_ids) == "$id" ]]
}

@test "B51 a record is in use while a descendant is held" {
	start_agent
	a=$(varve commit "$(varve new --retain)")
	b=$(varve commit "$(varve new --parent "$a" --retain)")
	c=$(varve new --parent "$b" --retain)
	varve release "$a"
	varve release "$b"
	run varve du --json
	assert_json_lines 'length == 3 and all(.inUse)'
	varve release "$c"
	run varve du --json
	assert_json_lines 'all(.inUse | not)'
}

@test "B52 du measures a mutable record that is in use" {
	start_agent
	id=$(varve new)
	dir=$(varve mount "$id")
	head -c 1M /dev/urandom > "$dir/f"
	(($(size "$id") >= 1048576))
	run varve du --json
	assert_json_lines '.[0].inUse and .[0].mutable'
	rm "$dir/f"
	(($(size "$id") < 1048576))
}

@test "B53 a size is unknown after a change until it is measured again" {
	count_accesses
	start_agent
	id=$(varve new)
	dir=$(varve mount "$id")
	run varve ls --json
	assert_json '.size == 0'
	head -c 64K /dev/urandom > "$dir/f"
	run varve ls --json
	assert_json '.size == null'
	run varve stats -o SIZE
	[[ ${lines[1]} == *–* ]]
	run varve tree --json
	assert_json '.size == null'
	(($(size "$id") >= 65536))
	run varve ls --json
	assert_json '.size >= 65536'
	run varve stats -o SIZE
	[[ ${lines[1]} == *KiB* ]]
	head -c 64K /dev/urandom > "$dir/g"
	run varve ls --json --filter 'size>0'
	[[ -z $output ]]
}

@test "B53 the size of a writable record is unknown without accounting until du measures it" {
	start_agent --backend none
	id=$(varve new)
	varve mount "$id" > /dev/null
	run varve ls --json
	assert_json '.size == null'
	run varve du --json
	assert_json_lines '.[0].size == 0'
}

@test "B53 du walks a layer again only after a change in it" {
	count_accesses
	start_agent
	id=$(varve new)
	dir=$(varve mount "$id")
	head -c 64K /dev/urandom > "$dir/f"
	varve du
	before=$(walks)
	varve du
	varve du
	[[ $(walks) == "$before" ]]
	mkdir "$dir/d"
	varve du
	(($(walks) == before + 1))
	varve umount "$id"
	varve du
	[[ $(walks) == $((before + 1)) ]]
}

@test "B53 du counts hard links once, and reports apparent size and blocks apart" {
	start_agent
	id=$(varve new)
	dir=$(varve mount "$id")
	head -c 1M /dev/urandom > "$dir/f"
	ln "$dir/f" "$dir/g"
	truncate -s 10M "$dir/sparse"
	varve du
	run varve inspect "$id" --json
	assert_json '.size >= 1048576 and .size < 1500000 and .apparentSize == 11534336 and .inodes == 2'
}

@test "B55 du selects records by filters, and quotes an invalid filter with the position of the fault" {
	start_agent
	id=$(varve new --description "a b" --retain)
	varve new --description other --retain
	[[ $(varve du -q --filter 'description=="a b"') == "$id" ]]
	[[ $(varve du -q --filter 'description~=^a,mutable') == "$id" ]]
	[[ $(varve du -q --filter immutable) == "" ]]
	[[ $(varve du -q --filter description==other --filter "id==$id" | wc -l) == 2 ]]
	[[ $(varve du -q --filter 'opens>1000') == "" ]]
	[[ $(varve du -q --filter 'age<1h' | wc -l) == 2 ]]
	run --separate-stderr varve du --filter 'id=='
	[[ $status -eq 1 && $stderr == *"filter 'id=='"*position* ]]
}
