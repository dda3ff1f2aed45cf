#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# More files are read than fit into the kernel's buffer: which are known, and what is said of the others.

load ../lib/helpers

# chain: makes a record with the files a and sub/c, in $base, and a mount of it at $dir.
chain() {
	base=$(varve new --retain)
	dir=$(varve mount "$base")
	mkdir "$dir/sub"
	printf aaaa > "$dir/a"
	printf cc > "$dir/sub/c"
	base=$(varve commit "$base")
	dir=$(varve mount "$(varve new --parent "$base" --retain)")
}

# many_files COUNT: makes a record with COUNT empty files; sets many to its id and many_dir to its mount point.
many_files() {
	many=$(varve new --retain)
	many_dir=$(varve mount "$many")
	"$VARVE_BUILD/tests/tools/many_files" make "$many_dir" "$1"
}

@test "a mount that reads 70 000 files loses none, and hides none of another mount" {
	start_agent
	chain
	many_files 70000
	"$VARVE_BUILD/tests/tools/many_files" read "$many_dir" 70000
	cat "$dir/a" > /dev/null
	run varve stats "$many" --json
	assert_json '.filesTouched == 70000 and .lost == 0'
	run varve files "$base" --never-read --json
	assert_json_lines 'all(.path != "a" and .mayBeIncomplete == false) and any(.path == "sub/c" and .opens == 0)'
	varve umount "$many"
	kill_agent
	start_agent
	[[ $(varve files "$many" --json | jq -s 'map(.opens) == [range(70000) | 1]') == true ]]
	[[ $(varve files "$many" --never-read -q) == "" ]]
}

@test "20 mounts that read VARVE_TEST_FILES files at the same time lose none" {
	local each=$((${VARVE_TEST_FILES:-200000} / 20)) dirs=() readers=() i
	start_agent
	many_files "$each"
	many=$(varve commit "$many")
	for ((i = 0; i < 20; i++)); do
		dirs+=("$(varve mount "$(varve new --parent "$many" --retain)")")
	done
	for dir in "${dirs[@]}"; do
		"$VARVE_BUILD/tests/tools/many_files" read "$dir" "$each" 3>&- &
		readers+=($!)
	done
	wait "${readers[@]}"
	[[ $(varve files "$many" --json | jq -s "map(.opens) == [range($each) | 20]") == true ]]
	[[ $(varve info --json | jq .lost) == 0 ]]
}

@test "a mount that reads much while no agent runs blinds no other, and its files are not called never read" {
	start_agent
	chain
	many_files 66000
	kill_agent
	"$VARVE_BUILD/tests/tools/many_files" read "$many_dir" 66000
	cat "$dir/a" > /dev/null
	start_agent
	run varve stats "$many" --json
	# The layer's own counters have lost nothing; which of its files were read is not known.
	assert_json '.opens == 132000 and .filesTouched == 65536 and .lost == 464'
	told_lost() {
		varve events --json | jq -se 'map(select(.event == "lost").detail) == ["464 accesses could not be counted, or their files are not known"]' > /dev/null
	}
	retry 300 told_lost
	run varve files "$many" --never-read --json
	assert_json_lines 'length == 464 and all(.mayBeIncomplete and .opens == null and .readBytes == null)'
	run varve files "$many" --never-read
	assert_output_has "this may be incomplete: until"
	assert_output_has "464 accesses of files in this layer could not be counted"
	assert_output_has "at least 65536 of 66000 files were read"
	run varve files "$base" --never-read --json
	assert_json_lines 'all(.path != "a" and .mayBeIncomplete == false)'
	stop_agent
	start_agent
	run varve files "$many" --never-read --json
	assert_json_lines 'length == 464 and all(.mayBeIncomplete)'
	for command in "stats $many" "files $base -n 1" "du" "du --verbose"; do
		# shellcheck disable=SC2086
		run varve $command
		assert_output_has "accesses could not be counted because a map was full; the numbers above may be too low"
	done
	run varve doctor --json
	assert_json_lines 'map(select(.name == "lost"))[0] | .state == "warning" and (.found | contains("found a full map"))'
}

@test "files of a layer that was mounted while nothing was counted are not called never read" {
	start_agent --backend none
	id=$(varve new --retain)
	dir=$(varve mount "$id")
	echo data > "$dir/f"
	cat "$dir/f" > /dev/null
	varve umount "$id"
	stop_agent
	start_agent
	run varve files "$id" --never-read --json
	assert_json_lines '.[0].path == "f" and .[0].mayBeIncomplete and .[0].opens == null'
}
