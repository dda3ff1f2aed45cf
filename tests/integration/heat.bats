#!/usr/bin/env bats
# requires root overlay bpf jq
# SPDX-License-Identifier: Apache-2.0
#
# varve heat: pictures of a record and of the store are well-formed, say what was read, and are the same again for
# the same store and time. One agent serves all tests of the file.
#
# jq has variables of its own in single quotes.
# shellcheck disable=SC2016

load ../lib/helpers

setup_file() {
	agent_setup_file
	start_agent
	base=$(varve new --description '<b>"base"')
	fill "$base" usr/lib $'<script>\xe2\x80\xae\xff&'
	base=$(varve commit "$base")
	top=$(varve new --parent "$base" --description top)
	fill "$top" opt read
	mount=$(varve mount "$top")
	cat "$mount/opt/read/data" > /dev/null
	varve umount "$top"
	top=$(varve commit "$top")
	cat "$(varve mount "$(varve new --parent "$top")")/opt/read/data" > /dev/null
	export base top
}

setup() {
	agent_setup_shared
}

teardown() { :; }

teardown_file() {
	agent_teardown_file
}

# fill RECORD FOLDER NAME: puts a file into FOLDER/NAME of the record, and one beside it.
fill() {
	local mount
	mount=$(varve mount "$1")
	mkdir -p "$mount/$2/$3"
	head -c 400K /dev/urandom > "$mount/$2/$3/data"
	head -c 100K /dev/urandom > "$mount/$2/other"
	varve umount "$1"
}

# is_xml FILE: it is well-formed, and has no element that could run something.
is_xml() {
	/usr/bin/python3 - "$1" <<- 'END'
		import sys
		import xml.etree.ElementTree
		tags = {e.tag.split("}")[1] for e in xml.etree.ElementTree.parse(sys.argv[1]).iter()}
		assert tags <= {"svg", "title", "defs", "pattern", "path", "circle", "rect", "text", "g"}, tags
	END
}

@test "the picture of a record has its layers, folders and last reads" {
	varve heat -f svg "$top" > "$BATS_TEST_TMPDIR/svg"
	is_xml "$BATS_TEST_TMPDIR/svg"
	grep -qF "${base:0:12} &lt;b&gt;&quot;base&quot;" "$BATS_TEST_TMPDIR/svg"
	grep -qF '&lt;script&gt;\u202e\xff&amp;' "$BATS_TEST_TMPDIR/svg"
	run -0 varve heat --json "$top"
	assert_json_lines 'map(select(.path == null)) | length == 2'
	assert_json_lines 'any(.[]; .layer == $top and .path == "opt/read")' --arg top "$top"
	if [[ $(varve info --json | jq -r .backend) != none ]]; then
		assert_json_lines '.[] | select(.path == "opt/read") | .bytes["1h"] == 409600'
		assert_json_lines '.[] | select(.layer == $base and .path == "usr") | .bytes.never == 512000' --arg base "$base"
		grep -q 'last read: 20' "$BATS_TEST_TMPDIR/svg"
	fi
	# A file of its own, and one of the page: both have the same picture.
	varve heat -f html "$top" > "$BATS_TEST_TMPDIR/html"
	grep -qF "script-src 'sha256-" "$BATS_TEST_TMPDIR/html"
	run ! grep -F '<script>\u202e' "$BATS_TEST_TMPDIR/html"
}

@test "the same store and time give the same bytes" {
	local format
	for format in svg html term; do
		varve heat --at 2030-01-01T00:00:00Z -f "$format" "$top" > "$BATS_TEST_TMPDIR/first"
		varve heat --at 2030-01-01T00:00:00Z -f "$format" "$top" > "$BATS_TEST_TMPDIR/second"
		cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
		grep -q 2030-01-01T00:00:00Z "$BATS_TEST_TMPDIR/first"
	done
}

@test "the picture of the store has all layers, and folders only when asked for" {
	varve heat -f svg > "$BATS_TEST_TMPDIR/svg"
	is_xml "$BATS_TEST_TMPDIR/svg"
	grep -q '<title>all layers: .* in [2-9] layers' "$BATS_TEST_TMPDIR/svg"
	run -0 varve heat --json
	assert_json_lines 'all(.[]; .path == null) and length > 1'
	run -0 varve heat --json -d 1
	assert_json_lines 'any(.[]; .path == "opt")'
}

@test "a terminal gets a picture that fits, with colours only where they are wanted" {
	COLUMNS=20 LINES=8 run -0 varve heat --color never "$top"
	[[ ${#lines[@]} -le 8 && $output != *$'\e'* ]]
	run -0 varve heat --color always "$top"
	[[ $output == *$'\e[48;2;'* ]]
	# Nothing of the names reaches the terminal as a command.
	[[ $output != *$'\xe2\x80\xae'* ]]
}

@test "what it cannot draw is refused with a reason" {
	run -4 varve heat nosuch
	assert_output_has "no record 'nosuch'"
	run -4 varve heat example.com/nosuch:1
	assert_output_has "no image is called 'example.com/nosuch:1'"
	run -2 varve heat -f png
	assert_output_has "invalid format 'png' (term, svg or html)"
	run -2 varve heat -d 9
	assert_output_has "invalid depth '9' (0 to 8)"
}
