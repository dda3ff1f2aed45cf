#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# varve report: its sums, what it proposes, that duplicates are compared within a bound and without counting as
# reads, that what may have been read is not called never read, that images, policies and evictions are counted as
# what happens shows, and that hostile names are text in HTML.

# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers
load ../lib/images

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

@test "an image is kept for one file while one of its files was read, and not after a second one was" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	two=$(varve import "oci:$layout:two" 2> /dev/null)
	varve du > /dev/null # measures
	mount=$(varve mount "$one" --read-only)
	run -0 report
	assert_json '.imagesWithOneFileRead == []'
	cat "$mount/etc/top" "$mount/etc/top" > /dev/null
	size=$(varve images --json | jq -s --arg id "$one" 'map(select(.record == $id))[0].size')
	run -0 report
	assert_json '.imagesWithOneFileRead | length == 1 and (.[0].name | endswith("one")) and .[0].size == $size and .[0].lastReadAt != null' \
		--argjson size "$size"
	# In a layer that both have, it is the second file of one image, and the first of the other.
	cat "$mount/etc/middle" > /dev/null
	run -0 report
	assert_json '.imagesWithOneFileRead | map(.name | endswith("two")) == [true]'
	run -0 varve report
	assert_output_has "Images of which one file was read"
	varve umount "$one"
	varve release "$one"
	varve release "$two"
	# Layers whose files were deleted are not waste, and not unmeasured.
	varve prune --to-lazy > /dev/null
	run -0 report
	assert_json '.all == {layers: 4, bytes: 0} and .unmeasuredLayers == 0 and .neverRead.layers == 0'
}

@test "what the policies would do is what they then do, and what that cost is in the report for a month" {
	printf '[policy "small"]\nfilter = description~=^small\nmax_used_space = 1MiB\n[policy "half"]\nmax_used_space = 2500KiB\n' >> "$agent_config"
	start_agent
	result small-one > /dev/null
	result small-two > /dev/null
	result large > /dev/null
	result other > /dev/null
	varve du > /dev/null # measures
	run -0 report
	assert_json '.policies | map(.name) == ["small", "half"] and all(.problem == null)'
	assert_json '.evicted == {layers: 0, bytes: 0} and .madeAgain == {layers: 0, bytes: 0}'
	jq '.policies' <<< "$output" > "$BATS_TEST_TMPDIR/foretold"
	for name in small half; do
		varve prune --policy "$name" --dry-run --json | jq -s --arg name "$name" \
			'{name: $name, problem: null, records: map(select(.id)) | length, bytes: (map(.predicted // 0) | add)}'
	done | jq -s . > "$BATS_TEST_TMPDIR/planned"
	diff "$BATS_TEST_TMPDIR/foretold" "$BATS_TEST_TMPDIR/planned"
	jq -e '.[0].records == 2 and .[0].bytes >= 2097152 and .[1].records == 2' "$BATS_TEST_TMPDIR/foretold"

	varve prune --policy small --json | jq -s 'map(select(.id)) | {layers: length, bytes: (map(.size) | add)}' > "$BATS_TEST_TMPDIR/evicted"
	result small-one > /dev/null # needed again
	run -0 report
	jq .evicted <<< "$output" | diff - "$BATS_TEST_TMPDIR/evicted"
	assert_json '.madeAgain.layers == 1 and .madeAgain.bytes >= 1048576 and .madeAgainSeconds > 0'
	run -0 varve report
	assert_output_has "What eviction cost in the last 30 days"
	assert_output_has "made again "
	# After a month it is not told any more.
	stop_agent
	sqlite3 "$agent_root/varve.db" 'UPDATE history SET at = at - 31 * 24 * 3600 * 1000000000'
	start_agent
	run -0 report
	assert_json '.evicted == {layers: 0, bytes: 0} and .madeAgain == {layers: 0, bytes: 0}'
}
