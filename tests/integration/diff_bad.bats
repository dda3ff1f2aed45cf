#!/usr/bin/env bats
# requires root overlay jq python3-grpc
# SPDX-License-Identifier: Apache-2.0
#
# The agent as a differ, with a containerd that misbehaves (tests/tools/fake_containerd.py), and with clients that do.

# jq's variables look like the shell's; most calls have no options.
# shellcheck disable=SC2016,SC2119,SC2120

load ../lib/helpers
load ../lib/images
load ../lib/snapshots

tools=$BATS_TEST_DIRNAME/../tools

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	agent_setup
	snapshots_setup
	fake=$agent_socket_dir/containerd
	fake_pid=
	log=$BATS_TEST_TMPDIR/calls
	content=$BATS_TEST_TMPDIR/content
	mkdir -p "$content/blobs/sha256"
	: > "$log"
	timeout_of_agent=10m
	mounts=client
}

teardown() {
	local status=0
	stop_fake
	snapshots_teardown
	agent_teardown || status=1
	! mountpoint -q "$agent_root" || umount "$agent_root"
	return "$status"
}

stop_fake() {
	local pid=$fake_pid
	[[ -n $pid ]] || return 0
	fake_pid=
	kill -9 "$pid"
	wait "$pid" 2> /dev/null || true
	rm -f "$fake"
}

# start_fake BEHAVIOUR
start_fake() {
	stop_fake
	"$tools/fake_containerd.py" "$fake" "$content" "$log" "$1" > "$BATS_TEST_TMPDIR/fake" 2>&1 3>&- &
	fake_pid=$!
	retry 100 grep -q ready "$BATS_TEST_TMPDIR/fake"
}

# begin BEHAVIOUR: with an active snapshot "ns/1/work", and a blob of 700 000 bytes to put into it.
begin() {
	printf '[prune]\nautomatic = no\n[snapshots]\nmounts = %s\n[containerd]\naddress = %s\ntimeout = %s\n' \
		"$mounts" "$fake" "$timeout_of_agent" > "$agent_config"
	start_agent
	start_fake "$1"
	mkdir -p tree/folder
	head -c 350000 /dev/urandom > tree/one
	head -c 350000 /dev/urandom > tree/folder/two
	tar_of tree layer.tar
	gzip -k layer.tar
	put layer.tar.gz
	call Prepare key=ns/1/work > /dev/null
}

# put FILE: into the content of the fake.
put() {
	cp "$1" "$content/blobs/sha256/$(sha256sum < "$1" | cut -d ' ' -f 1)"
}

apply() { # [NAME=VALUE…]
	"$tools/diff_calls" "$agent_socket" apply ns/1/work layer.tar.gz "$@"
}

has_no_layers() {
	[[ $(count_layers) == 0 ]]
}

# assert_refused STATUS TEXT, after `run`; the snapshot is there, and can be removed.
assert_refused() {
	assert_json ".status == \$s and (.text | contains(\$t))" --arg s "$1" --arg t "$2"
	call Stat key=ns/1/work > /dev/null
	timeout 100 "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" Remove key=ns/1/work
	call Cleanup
	retry 100 has_no_layers # Remove answers before the files are gone
}

# layer KEY: where its files are.
layer() {
	echo "$agent_root/layers/$(varve inspect "$(record_of "$1")" --json | jq -r .layer)/fs"
}

# files_of KEY
files_of() {
	(cd "$(layer "$1")" && find . -type f -exec sha256sum {} + | sort)
}

calls() { # JQ FILTER
	jq -c "$1" "$log"
}

@test "a blob is read from containerd's service, in the namespace of the snapshot" {
	begin good
	run -0 apply
	assert_json '.status == "OK" and .applied == {media_type: "application/vnd.oci.image.layer.v1.tar", digest: $d, size: $s}' \
		--arg d "$(digest_of < layer.tar)" --arg s "$(stat -c %s layer.tar)"
	[[ $(files_of ns/1/work) == "$(cd tree && find . -type f -exec sha256sum {} + | sort)" ]]
	[[ $(calls 'select(.call == "Read") | [.digest, .headers."containerd-namespace"]') == "[\"$(digest_of < layer.tar.gz)\",\"ns\"]" ]]
}

@test "a blob is read from the file that containerd names" {
	begin root
	run -0 apply
	assert_json '.status == "OK"'
	[[ $(files_of ns/1/work) == "$(cd tree && find . -type f -exec sha256sum {} + | sort)" ]]
	[[ -z $(calls 'select(.call == "Read")') ]]
}

@test "where the file is not the blob, containerd's service is asked" {
	begin root
	: > "$content/blobs/sha256/$(sha256sum < layer.tar.gz | cut -d ' ' -f 1)"
	run -0 apply
	assert_refused INTERNAL "the file is to be read"
}

@test "a blob that containerd does not have is not found" {
	begin good
	rm "$content"/blobs/sha256/*
	run -0 apply
	assert_refused NOT_FOUND "not found"
}

@test "a blob that vanishes while it is read is not found" {
	begin vanish
	run -0 apply
	assert_refused NOT_FOUND "not found"
}

@test "a blob that is not what its digest says is refused" {
	begin lie
	cp layer.tar layer.tar.gz # so that no check sum of gzip notices it
	put layer.tar.gz
	run -0 apply media_type=application/vnd.oci.image.layer.v1.tar
	assert_refused INTERNAL "it is damaged: its digest is sha256:"
}

@test "a blob that is damaged before its tar is read is refused" {
	begin lie
	run -0 apply
	assert_refused INTERNAL "unpack blob sha256:"
}

@test "a blob with another size than its descriptor says is refused" {
	begin good
	run -0 apply size=5
	assert_refused INTERNAL "its descriptor says 5"
}

@test "a blob that unpacks to another diff id than its descriptor says is refused" {
	begin good
	run -0 apply "annotations.containerd.io/uncompressed=$(digest_of < /dev/null)"
	assert_refused INTERNAL "its descriptor says $(digest_of < /dev/null)"
}

@test "a containerd that stalls is waited for as long as the configuration says" {
	timeout_of_agent=1s
	begin stall
	run -0 apply
	assert_refused DEADLINE_EXCEEDED "has not answered for 1 s"
}

@test "a client whose deadline passes while containerd stalls can remove the snapshot" {
	begin stall
	run -0 apply timeout=2
	assert_refused DEADLINE_EXCEEDED ""
}

@test "a client that cancels while containerd stalls can remove the snapshot" {
	begin stall
	run -0 apply cancel=2
	assert_refused CANCELLED ""
}

@test "others look at a snapshot while a layer is unpacked into it" {
	begin stall
	apply > applied 3>&- &
	pid=$!
	retry 100 grep -q Read "$log"
	timeout 100 "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" Stat key=ns/1/work
	timeout 100 "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" Usage key=ns/1/work
	timeout 100 "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" List
	stop_fake
	wait "$pid"
	[[ $(jq -r .status applied) == UNAVAILABLE ]]
}

@test "a containerd that is not there is unavailable" {
	begin good
	stop_fake
	run -0 apply
	assert_refused UNAVAILABLE "connect to containerd at $fake"
}

@test "an apply that fails for want of space leaves a snapshot that can be removed" {
	mkdir -p "$agent_root"
	mount -t tmpfs -o mode=0755,size=4m small "$agent_root"
	begin good
	head -c 8M /dev/zero > tree/large
	tar_of tree large.tar
	gzip -c large.tar > layer.tar.gz
	put layer.tar.gz
	run -0 apply
	assert_refused RESOURCE_EXHAUSTED "unpack blob"
}

@test "a layer is not unpacked into a snapshot that has files" {
	for mounts in client agent; do
		begin good
		echo x > "$(mount_snapshot ns/1/work "$mounts")/there"
		run -0 apply
		umount "$snapshots_mounted/$mounts"
		assert_refused UNIMPLEMENTED "the snapshot has files already, such as 'there'"
		stop_agent
		rm layer.tar.gz
	done
	[[ -z $(calls 'select(.call == "Read")') ]]
}

@test "mounts that are not those of an active snapshot are left to others" {
	begin good
	committed ns/2/base
	committed ns/3/top ns/2/base
	call Prepare key=ns/4/child parent=ns/3/top > /dev/null
	call View key=ns/5/view parent=ns/3/top > /dev/null
	child="upperdir=$(layer ns/4/child) workdir=/x"
	# shellcheck disable=SC2154
	for change in mount.0.source=/ "mount.0.source=$agent_root" "mount.0.source=$agent_root/layers" \
		"mount.0.source=$agent_root/layers/../layers" mount.0.type=overlay mount.0.type=aufs \
		"mount.1.source=/x mount.1.type=bind" "mount.0.source=$(layer ns/3/top)" "mount.0.source=$(layer ns/4/child)" \
		mount.0.options=ro "mount.0.source=$agent_root/mnt/$(record_of ns/5/view)"; do
		# shellcheck disable=SC2086
		run -0 apply $change
		assert_json '.status == "UNIMPLEMENTED"'
	done
	for options in "" "$child" "$child lowerdir=$(layer ns/2/base):$(layer ns/3/top):$agent_root/empty" \
		"$child lowerdir=$(layer ns/3/top):$agent_root/empty" "$child lowerdir=$(layer ns/3/top):$(layer ns/2/base):/tmp" \
		"upperdir=/tmp lowerdir=$(layer ns/3/top):$(layer ns/2/base):$agent_root/empty" \
		"lowerdir=$(layer ns/3/top):$(layer ns/2/base):$agent_root/empty"; do
		run -0 apply mount.0.type=overlay "mount.0.options=$options"
		assert_json '.status == "UNIMPLEMENTED"'
	done
	run -0 apply mount.0.type=overlay "mount.0.options=$child lowerdir=$(layer ns/3/top):$(layer ns/2/base):$agent_root/empty"
	assert_json '.status == "OK"'
	[[ -n $(files_of ns/4/child) && -z $(files_of ns/1/work) ]]
}

@test "layers of other media types are left to others" {
	begin good
	for option in media_type=application/vnd.oci.image.layer.v1.tar+encrypted media_type=; do
		run -0 apply "$option" payload=yes
		assert_json '.status == "UNIMPLEMENTED"'
	done
	run -0 apply digest=sha256:wrong
	assert_json '.status == "INVALID_ARGUMENT"'
	run -0 apply payload=yes # Kubernetes has one for every layer
	assert_json '.status == "OK"'
}

# ---- Diff ----

# changed: the snapshot "ns/6/changed" on top of a base, with a file; "ns/7/view" shows the base.
changed() {
	begin "$1"
	committed ns/2/base
	call Prepare key=ns/6/changed parent=ns/2/base > /dev/null
	call View key=ns/7/view parent=ns/2/base > /dev/null
	echo new > "$(mount_snapshot ns/6/changed)/new"
	umount "$snapshots_mounted/ns-6-changed"
}

pack() { # [NAME=VALUE…]
	"$tools/diff_calls" "$agent_socket" diff ns/7/view ns/6/changed "$@"
}

@test "the changes are written under the ref and with the labels of the client, and kept by a lease" {
	changed good
	run -0 pack ref=mine labels.a=b media_type=application/vnd.oci.image.layer.v1.tar
	blob=$(jq -r .diff.digest <<< "$output")
	[[ $blob == "$(digest_of < "$content/blobs/sha256/${blob#*:}")" ]]
	run -0 calls 'select(.call == "Commit")'
	assert_json '.ref == "mine" and .expected == .digest and .total == .size and .labels == {a: "b", "containerd.io/uncompressed": $b}' \
		--arg b "$blob"
	lease=$(calls 'select(.call == "Lease") | .id')
	assert_json '.headers == {"containerd-namespace": "ns", "containerd-lease": $l}' --argjson l "$lease"
	[[ -n $(calls 'select(.call == "Lease") | .labels."containerd.io/gc.expire" | fromdate | select(. > now + 3000)') ]]
	[[ -z $(calls 'select(.call == "Abort")') ]]
}

@test "a blob that is there already gets the label with the diff id" {
	changed exists
	run -0 pack
	assert_json '.status == "OK"'
	run -0 calls 'select(.call == "Update")'
	assert_json '.paths == ["labels.containerd.io/uncompressed"] and (.labels."containerd.io/uncompressed" | startswith("sha256:"))'
}

@test "a packed file is not younger than the client's source date epoch" {
	changed good
	run -0 pack media_type=application/vnd.oci.image.layer.v1.tar source_date_epoch=1000000000
	blob=$(jq -r .diff.digest <<< "$output")
	run -0 tar --utc --full-time -tvf "$content/blobs/sha256/${blob#*:}"
	assert_output_has "2001-09-09 01:46:40"
	[[ $(grep -vc "2001-09-09 01:46:40" <<< "$output") == 0 ]]
}

@test "content that cannot be committed is given up" {
	changed refuse
	run -0 pack
	assert_json '.status == "INTERNAL" and (.text | contains("the disk is on fire"))'
	[[ $(calls 'select(.call == "Abort") | .ref') == "$(calls 'select(.call == "Commit") | .ref')" ]]
}

@test "a pack ends with its client, or with its patience, while containerd stalls" {
	timeout_of_agent=3s
	changed stall
	head -c 30M /dev/urandom > "$(mount_snapshot ns/6/changed)/new"
	umount "$snapshots_mounted/ns-6-changed"
	run -0 pack cancel=1
	assert_json '.status == "CANCELLED"'
	run -0 pack
	assert_json '.status == "DEADLINE_EXCEEDED" and (.text | contains("has not answered for 3 s"))'
}

@test "snapshots that are not child and parent are left to others to compare" {
	changed good
	committed ns/8/other
	call View key=ns/9/other parent=ns/8/other > /dev/null
	for pair in "ns/9/other ns/6/changed" "ns/6/changed ns/7/view" "ns/7/view ns/7/view" " ns/6/changed" "ns/9/other ns/7/view"; do
		# Each half may be empty.
		run -0 "$tools/diff_calls" "$agent_socket" diff "${pair% *}" "${pair#* }"
		assert_json '.status == "UNIMPLEMENTED"'
	done
	run -0 "$tools/diff_calls" "$agent_socket" diff "" ns/9/other
	assert_json '.status == "OK"'
}
