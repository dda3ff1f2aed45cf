#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# Records, and how refs keep them: PARITY rows B1 to B14.

load ../lib/helpers

field() { # ID FILTER
	varve inspect "$1" --json | jq -r "$2"
}

committed() { # [OPTION…]: makes a finalized record that the lease cli holds; prints its id
	local id
	id=$(varve new --retain "$@")
	id=$(varve commit "$id")
	varve finalize "$id"
	echo "$id"
}

@test "B1 a record keeps its parent until the record is deleted" {
	start_agent
	parent=$(committed)
	child=$(committed --parent "$parent")
	varve release "$parent"
	run -5 --separate-stderr varve rm "$parent"
	[[ $stderr == *"has children"* ]]
	varve release "$child"
	varve rm "$child"
	varve rm "$parent"
	run -4 varve inspect "$parent"
}

@test "B2 ids are 25 base-36 characters, and a unique prefix names a record" {
	start_agent
	a=$(varve new)
	b=$(varve new)
	[[ $a =~ ^[0-9a-z]{25}$ && $b =~ ^[0-9a-z]{25}$ && $a != "$b" ]]
	[[ $(field "${a:0:8}" .id) == "$a" ]]
	run -4 varve inspect "${a:0:3}"
}

@test "B3 new on a parent is mutable and held, and the parent is finalized" {
	start_agent
	mutable=$(varve new --retain)
	parent=$(varve commit "$mutable")
	child=$(varve new --parent "$parent")
	[[ $(field "$child" '.mutable and .inUse') == true ]]
	[[ $(field "$parent" .twin) == null ]]
	run -4 varve inspect "$mutable"
	run --separate-stderr varve new --parent "$child"
	[[ $status -eq 1 && $stderr == *"still mutable"*"commit it first"* ]]
}

@test "B4 a record is in use until each of its refs is released" {
	start_agent
	id=$(committed)
	varve get "$id"
	varve get "$id"
	[[ $(field "$id" '.holds[0].refs') == 3 ]]
	varve release "$id"
	varve release "$id"
	[[ $(field "$id" .inUse) == true ]]
	varve release "$id"
	[[ $(field "$id" .inUse) == false ]]
}

@test "B11 each ref holds the record by itself, and a child's ref on its parent is not a use" {
	start_agent
	parent=$(committed)
	varve finalize "$parent"
	varve lease create other
	varve get "$parent" --lease other
	varve release "$parent"
	[[ $(field "$parent" .inUse) == true && $(field "$parent" .usageCount) == 0 ]]
	varve release "$parent" --lease other
	uses=$(field "$parent" .usageCount)
	child=$(varve new --parent "$parent")
	[[ $(field "$child" '.parents[0]') == "$parent" ]]
	varve release "$child"
	[[ $(field "$parent" .usageCount) == "$uses" && $(field "$parent" .inUse) == false ]]
}

@test "B5 get commits a mutable record that is not held, and fails for a held one" {
	start_agent
	id=$(varve new --retain)
	run -5 --separate-stderr varve get "$id"
	[[ $stderr == *locked*"lease 'cli'"* ]]
	varve release "$id"
	twin=$(varve get "$id" -q)
	[[ $twin != "$id" && $(field "$twin" .mutable) == false ]]
}

@test "B6 only one client can get a mutable record, which discards its twin that is not held" {
	start_agent
	id=$(varve new --retain)
	echo one > "$(varve mount "$id")/f"
	twin=$(varve commit "$id")
	run -1 --separate-stderr varve get --mutable "$twin"
	[[ $stderr == *"not mutable"* ]]
	run -5 varve get --mutable "$id"
	varve release "$twin"
	varve get --mutable "$id"
	run -4 varve inspect "$twin"
	dir=$(varve mount "$id")
	[[ $(< "$dir/f") == one ]]
	echo two > "$dir/f"
}

@test "B7 commit makes a twin that has its own id, shares the data and takes over the ref" {
	start_agent
	parent=$(committed)
	id=$(varve new --parent "$parent" --description work)
	echo data > "$(varve mount "$id")/f"
	twin=$(varve commit "$id")
	[[ $twin != "$id" ]]
	[[ $(field "$twin" '"\(.description) \(.parents[0]) \(.twin)"') == "work $parent $id" ]]
	[[ $(field "$twin" .layer) == "$(field "$id" .layer)" ]]
	run -1 varve commit "$id"
	[[ $(field "$id" '.holds | length') == 0 ]]
	varve release "$twin"
	run -4 varve inspect "$twin"
	run -4 varve inspect "$id"
}

@test "B7 commit refuses a record that is not held" {
	start_agent
	id=$(varve new --retain)
	varve release "$id"
	run -1 --separate-stderr varve commit "$id"
	[[ $stderr == *"not held by any lease"* ]]
}

@test "B8 finalize gives the data to the twin, and the mutable record disappears" {
	start_agent
	id=$(varve new)
	echo data > "$(varve mount "$id")/f"
	twin=$(varve commit "$id")
	varve finalize "$twin"
	run -4 varve inspect "$id"
	varve release "$twin"
	[[ $(< "$(varve mount "$twin")/f") == data ]]
}

@test "B9 releasing the last ref of an immutable record unmounts its view" {
	start_agent
	id=$(committed)
	dir=$(varve mount "$id")
	mountpoint "$dir"
	varve get "$id"
	varve release "$id"
	mountpoint "$dir"
	varve release "$id"
	[[ ! -e $dir ]]
}

@test "B10 the last release of a mutable record deletes it, unless it was made with --retain" {
	start_agent
	gone=$(varve new)
	kept=$(varve new --retain)
	dir=$(varve mount "$gone")
	varve release "$gone"
	varve release "$kept"
	run -4 varve inspect "$gone"
	[[ ! -e $dir ]]
	varve get --mutable "$kept"
}

@test "B10 the release of a mutable record that a process uses is refused, and names the process" {
	start_agent
	id=$(varve new)
	cd "$(varve mount "$id")"
	run -5 --separate-stderr varve release "$id"
	cd /
	[[ $stderr == *bash*"($$)"* || $stderr == *"in use"* ]]
	varve release "$id"
	run -4 varve inspect "$id"
}

@test "B12 B13 every command on a deleted record says that there is no such record" {
	start_agent
	id=$(varve new --retain)
	varve release "$id"
	varve rm "$id"
	for verb in get rm mount commit finalize; do
		run -4 --separate-stderr varve "$verb" "$id"
		[[ $stderr == "varve: no record"* ]]
	done
}

@test "B14 a read-only mount of a mutable record shows the same data and takes no writes" {
	start_agent
	id=$(varve new)
	writable=$(varve mount "$id")
	view=$(varve mount "$id" --read-only)
	[[ $view != "$writable" ]]
	echo data > "$writable/f"
	[[ $(< "$view/f") == data ]]
	run ! touch "$view/g"
	[[ $(stat -c %d "$view/f") == "$(stat -c %d "$writable/f")" ]]
	varve umount "$id"
	[[ ! -e $view && ! -e $writable ]]
}

@test "B14 a read-only mount of a twin does not finalize it, and a plain mount does" {
	start_agent
	id=$(varve new)
	echo data > "$(varve mount "$id")/f"
	twin=$(varve commit "$id")
	view=$(varve mount "$twin" --read-only)
	[[ $(< "$view/f") == data && $(field "$twin" .twin) == "$id" ]]
	run ! touch "$view/g"
	[[ $(varve mount "$twin") == "$view" ]]
	[[ $(field "$twin" .twin) == null ]]
	run ! touch "$view/g"
}

@test "B14 mounting a record twice gives the same mount" {
	start_agent
	id=$(varve new)
	[[ $(varve mount "$id") == "$(varve mount "$id")" ]]
	[[ $(grep -c "$agent_root/mnt" /proc/self/mountinfo) == 1 ]]
}

@test "B30 B31 description, type, creation time, retain and labels survive a restart" {
	start_agent
	id=$(varve new --retain --description "a  b" --type source.local --label x.y=1 --label z=)
	kill_agent
	start_agent
	run varve inspect "$id" --json
	assert_json '.description == "a  b" and .recordType == "source.local" and .retain'
	assert_json '.labels == {"x.y": "1", "z": ""} and (.createdAt | test("^20.*Z$"))'
	run --separate-stderr varve new --type wrong
	[[ $status -eq 1 && $stderr == *"'wrong' is not a record type"* ]]
}

@test "B32 B33 filters find records by their labels, also after a restart" {
	start_agent
	id=$(varve new --retain --label build.chain=abc)
	varve new --label build.chain=def
	kill_agent
	start_agent
	[[ $(varve ls -q --filter 'labels."build.chain"==abc') == "$id" ]]
	[[ $(varve ls -q --filter 'labels."build.chain"' | wc -l) == 1 || $(varve ls -q | wc -l) == 2 ]]
}
