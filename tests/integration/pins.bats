#!/usr/bin/env bats
# requires root overlay bpf jq strace
# SPDX-License-Identifier: Apache-2.0
#
# Pin folders of other stores: which ones an agent removes, which stay, and what doctor prints about them.

load ../lib/helpers

setup() {
	agent_setup
	own=$agent_root
	gone=$BATS_TEST_TMPDIR/gone/store
	mkdir -m 700 "$own" # now, so that it does not get the inode number of a store that was deleted
}

# counted_store ROOT: makes a store on which an agent has counted; sets $pins to its pin folder.
counted_store() {
	agent_root=$1
	start_agent
	stop_agent
	agent_root=$own
	pins=$agent_pins
	attached "$pins"
}

attached() { # FOLDER: its links attach programs
	[[ -n $(find "$1" -path '*/links_*/*') ]]
}

pins_row() { # FOLDER: prints doctor's row for it, as JSON
	varve doctor --json | jq -e --arg pins "$1:" 'select(.name == "pins" and (.found | startswith($pins)))'
}

removed() { # FOLDER: --teardown removes it
	"$VARVE_BUILD/varved" --teardown "$1"
	[[ ! -e ${1%/*} ]]
}

@test "a start removes the pins of a store that was deleted, and leaves those of a store that exists" {
	counted_store "$gone"
	gone_pins=$pins
	counted_store "$BATS_TEST_TMPDIR/kept"
	rm -rf "${gone%/*}"
	start_agent
	[[ ! -e ${gone_pins%/*} ]]
	attached "$pins"
	grep -q "pins=$gone_pins removed: their store $gone is gone" "$agent_log"
	run pins_row "$pins"
	assert_json '.state == "ok" and (.found | contains("store '"$BATS_TEST_TMPDIR/kept"', which exists"))'
	run pins_row "$agent_pins"
	assert_json '.state == "ok" and (.found | test("of this store, [1-9][0-9]* programs? attached"))'
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/kept" --teardown 3>&-
}

@test "the pins of a store stay while its file system is not mounted" {
	mkdir "$BATS_TEST_TMPDIR/disk"
	mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/disk"
	counted_store "$BATS_TEST_TMPDIR/disk/folder/store"
	umount "$BATS_TEST_TMPDIR/disk"
	start_agent
	run pins_row "$pins"
	assert_json '.state == "warning" and (.found | contains("not known (its file system is not mounted there)"))'
	assert_json '.advice | contains("varved --teardown '"$pins"'")'
	mount -t tmpfs tmpfs "$BATS_TEST_TMPDIR/disk" # another one, perhaps under the same number
	stop_agent
	start_agent
	attached "$pins"
	umount "$BATS_TEST_TMPDIR/disk"
	removed "$pins"
}

@test "the pins of a store in another mount namespace stay" {
	mkdir "$BATS_TEST_TMPDIR/inside"
	agent_launcher="unshare --mount" counted_store "$BATS_TEST_TMPDIR/inside/store"
	rm -rf "$BATS_TEST_TMPDIR/inside/store"
	start_agent
	run pins_row "$pins"
	assert_json '.state == "warning" and (.found | contains("not known (it is in another mount namespace)"))'
	removed "$pins"
}

@test "the pins of a store that was moved stay, and go on counting" {
	counted_store "$BATS_TEST_TMPDIR/before"
	mv "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	start_agent
	attached "$pins"
	stop_agent
	moved=$pins
	counted_store "$BATS_TEST_TMPDIR/after"
	[[ $pins == "$moved" && $(readlink "$pins/store") == "$BATS_TEST_TMPDIR/after" ]]
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/after" --teardown 3>&-
}

@test "the pins of a store whose folder was deleted beneath a running agent stay until it ends" {
	agent_root=$gone
	start_agent
	pins=$agent_pins first_pid=$agent_pid
	rm -rf "$gone"
	agent_root=$own agent_socket=$agent_socket_dir/second
	start_agent
	attached "$pins"
	run pins_row "$pins"
	assert_json '.found | contains("not known (a process still has its lock)")'
	run -5 "$VARVE_BUILD/varved" --teardown "$pins"
	assert_output_has "in use by the varved of $gone"
	stop_agent
	agent_pid=$first_pid
	kill_agent
	start_agent
	[[ ! -e $pins ]]
}

@test "pins that do not say whose they are stay, and can be removed by name" {
	counted_store "$gone"
	rm "$pins/store" "$pins/owner"
	rm -rf "$gone"
	start_agent
	run pins_row "$pins"
	assert_json '.state == "warning" and (.found | contains("the folder does not say whose it is"))'
	removed "${pins%/*}/"
	run -1 "$VARVE_BUILD/varved" --teardown "$pins"
	assert_output_has "No such file"
}

@test "doctor shows what the programs of a store cost while the kernel measures it" {
	counted_store "$gone"
	measured=$(sysctl -n kernel.bpf_stats_enabled)
	sysctl -q kernel.bpf_stats_enabled=1
	start_agent
	sysctl -q kernel.bpf_stats_enabled="$measured"
	run pins_row "$pins"
	assert_json '.found | test("run [1-9][0-9]* times for [0-9]+ ns each")'
	"$VARVE_BUILD/varved" --root "$gone" --teardown 3>&-
}

@test "a teardown by folder is refused for a store that exists, and for what is not a pin folder" {
	counted_store "$BATS_TEST_TMPDIR/kept"
	run -1 "$VARVE_BUILD/varved" --teardown "$pins"
	assert_output_has "belongs to the store $BATS_TEST_TMPDIR/kept, which exists: use --root $BATS_TEST_TMPDIR/kept --teardown"
	attached "$pins"
	run -1 "$VARVE_BUILD/varved" --teardown "$BATS_TEST_TMPDIR"
	assert_output_has "is not in a BPF file system"
	run -1 "$VARVE_BUILD/varved" --teardown "/sys/fs/bpf"
	assert_output_has "is not a pin folder of varved"
	run -2 "$VARVE_BUILD/varved" --teardown "$pins" twice
	assert_output_has "unexpected argument"
	"$VARVE_BUILD/varved" --root "$BATS_TEST_TMPDIR/kept" --teardown 3>&-
}

@test "a run that only quarantines, or a start that fails, leaves no pins" {
	start_agent
	result a > /dev/null
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
	rm "$agent_root"/varve.db*
	"$VARVE_BUILD/varved" --root "$agent_root" --config "$agent_config" --quarantine-layers 3>&-
	[[ ! -e $agent_pins ]]
	rm -rf "$agent_root/blobs"
	: > "$agent_root/blobs"
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config" 3>&-
	assert_output_has blobs
	[[ ! -e $agent_pins ]]
	rm "$agent_root/blobs"
}

@test "an agent of an empty store makes no call for each place in a map" {
	start_agent
	kill_agent
	strace -f -qq -e trace=bpf -o "$BATS_TEST_TMPDIR/calls" "$VARVE_BUILD/varved" --root "$agent_root" \
		--socket "$agent_socket" --teardown 3>&-
	grep -q BPF_OBJ_GET "$BATS_TEST_TMPDIR/calls"
	[[ $(grep -c BPF_MAP "$BATS_TEST_TMPDIR/calls") -lt 500 ]]
}
