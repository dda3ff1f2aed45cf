#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# varve report: its sums, what it proposes, that duplicates are compared within a bound and without counting as
# reads, that what may have been read is not called never read, and that hostile names are text in HTML.

# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

# layer NAME FILE: makes a record that is not held, with a copy of the file; prints its id.
layer() {
	local id
	id=$(varve new --retain --description "$1")
	cp "$2" "$(varve mount "$id")/"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

report() {
	varve report --older-than 0s --json
}

@test "the report adds up what was never read, finds files in several layers, and proposes what saves most" {
	start_agent
	evil='</td><script>alert(1)</script>"&'$'\e[31m'
	head -c 300K /dev/urandom > "$BATS_TEST_TMPDIR/${evil//\//_}"
	head -c 300K /dev/urandom > "$BATS_TEST_TMPDIR/other" # of the same size
	one=$(layer one "$BATS_TEST_TMPDIR/${evil//\//_}")
	two=$(layer two "$BATS_TEST_TMPDIR/${evil//\//_}")
	layer three "$BATS_TEST_TMPDIR/other" > /dev/null
	varve pin "$two"
	varve du > /dev/null # measures
	walks=$(varve info --json | jq .diskWalks)
	run -0 report
	size=$((300 * 1024))
	assert_json '.neverRead == {layers: 3, bytes: (3 * $size)} and .perhapsNeverRead.layers == 0' --argjson size $size
	assert_json '.duplicates | .bytes == $size and .files == 1 and .complete and .layersSampled == 3' --argjson size $size
	assert_json '.duplicates.largest | length == 1 and .[0].layers == 2'
	assert_json '.changes | map(.bytes) == [2 * $size, $size, $size]' --argjson size $size
	[[ $(jq -r '.changes[0].command' <<< "$output") == "varve prune --filter 'lastread~=/^\$/' --dry-run" ]]
	assert_json '[.changes[].what] | any(startswith("unpin"))'
	# Comparing was no use of the layers, and nothing was measured.
	run -0 report
	assert_json '.neverRead.layers == 3'
	[[ $(varve info --json | jq .diskWalks) -eq $walks ]]
	run -0 varve prune --filter 'lastread~=/^$/' --dry-run -q
	[[ $(wc -l <<< "$output") -eq 2 ]]

	run -0 varve report --older-than 0s --format html
	assert_output_has "</html>"
	[[ $output != *"<script>alert"* && $output != *$'\e'* ]]
	assert_output_has "&lt;script&gt;alert"
	run -0 varve report
	assert_output_has "only layers older than"
	[[ $output != *$'\e'* ]]

	cat "$(varve mount --read-only "$one")"/* > /dev/null
	varve umount "$one"
	run -0 report
	assert_json '.neverRead.layers == 2'
}

@test "without counting, nothing is called never read" {
	start_agent --backend none
	result one > /dev/null
	run -0 report
	assert_json '.backend == "none" and .neverRead.layers == 0 and .perhapsNeverRead.layers == 1'
}
