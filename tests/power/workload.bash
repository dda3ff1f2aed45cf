# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The calls during which scripts/run-power cuts the power: all operations of tests/crash, and those of images
# and snapshots.

: "${layout=}" "${snapshots_mounted=}" # the helpers set these

# shellcheck source=tests/crash/operations.bash
source tests/crash/operations.bash

# finished NAME [OPTION…]: like that of tests/crash.
finished() {
	local id
	id=$(varve new --retain --description "$case-$1" "${@:2}")
	echo "$1" > "$agent_root/mnt/$id/file"
	head -c $((RANDOM * 4)) /dev/urandom > "$agent_root/mnt/$id/data"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

operations() {
	for operation in new new_on_twin mount mount_twin mount_view umount commit finalize get get_commits get_mutable release \
		release_deletes rm rm_old lease_create lease_need lease_rm pin label prune; do
		case=$((case + 1))
		"prepare_$operation" > /dev/null
		"operate_$operation" > /dev/null
	done
}

images() {
	make_images
	one=$(varve import "oci:$layout:one")
	two=$(varve import --lazy "oci:$layout:two")
	varve extract "$two"
	varve export "$one" "oci:$BATS_TEST_TMPDIR/exported"
	varve release "$one"
	varve release "$two"
	varve rm "$one"
	varve import "oci:$layout:one" > /dev/null
	varve prune --all > /dev/null
}

# A snapshot with many files, and one that is removed at once.
snapshots() {
	local n
	committed ns/1/base
	committed ns/2/top ns/1/base
	call Prepare key=ns/3/work parent=ns/2/top labels.a=b
	mount_snapshot ns/3/work point > /dev/null
	for n in {1..40}; do
		head -c $((n * 700)) /dev/urandom > "$snapshots_mounted/point/$n"
	done
	umount "$snapshots_mounted/point"
	call Commit key=ns/3/work name=ns/4/many
	call Prepare key=ns/5/gone parent=ns/4/many
	call Remove key=ns/5/gone
	call View key=ns/6/view parent=ns/4/many
	call Remove key=ns/6/view
	call Prepare key=ns/7/last
	call Remove key=ns/4/many
}

workload() {
	case=0
	operations
	images
	snapshots
}
