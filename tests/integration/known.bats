#!/usr/bin/env bats
# requires root overlay jq python3-grpc
# SPDX-License-Identifier: Apache-2.0
#
# A Prepare that says by its label which chain will be unpacked is answered ALREADY_EXISTS when the store has that
# layer, with a committed snapshot of it; never with anything else.

# jq's variables look like the shell's.
# shellcheck disable=SC2016

load ../lib/helpers
load ../lib/images
load ../lib/snapshots
load ../lib/layers

setup() {
	layers_test_setup
}

teardown() {
	layers_test_teardown
}

# prepare KEY PARENT CHAIN: as containerd's unpacker calls it.
prepare() {
	call Prepare "key=$1" "parent=$2" "labels.containerd.io/snapshot.ref=$3"
}

# known KEY PARENT CHAIN: the answer is that the snapshot exists.
known() {
	run -1 prepare "$@"
	[[ $output == "ALREADY_EXISTS: target snapshot \"$3\": already exists" ]]
}

# unknown KEY PARENT CHAIN: the answer is a snapshot to unpack into, which is removed again.
unknown() {
	prepare "$@" > /dev/null
	call Remove "key=$1"
}

# answer PARENT CHAIN: the snapshot that containerd takes after the answer: the first that List finds.
answer() {
	call List "filters=labels.\"containerd.io/snapshot.ref\"==$2,parent==\"$1\"" |
		jq -rs 'map(.info[]) | map(select(.kind == "COMMITTED")) | first.name'
}

# import_layers: `varve import` of an image with the three layers; sets $imported and $one to $three, their chains.
import_layers() {
	layout_new oci
	layout_image oci image {1,2,3}.tar.gz
	imported=$(varve import "oci:$PWD/oci:image" 2> /dev/null)
	name_chains
}

name_chains() {
	one=$(chain_of '' 1.tar)
	two=$(chain_of "$one" 2.tar)
	three=$(chain_of "$two" 3.tar)
}

@test "a layer of an import becomes a snapshot, with its size and its files, on the parent that was asked for" {
	start_with ''
	import_layers
	unknown a/1/work '' "$two" # not on nothing
	known a/2/work '' "$one"
	[[ $(answer '' "$one") == "a/2/$one" ]]
	unknown a/3/work "a/2/$one" "$three"
	known a/4/work "a/2/$one" "$two"
	known a/5/work "a/4/$two" "$three"
	run -0 call Stat "key=a/5/$three"
	assert_json '.info.kind == "COMMITTED" and .info.parent == $p and .info.labels == {"containerd.io/snapshot.ref": $c}' \
		--arg p "a/4/$two" --arg c "$three"
	unpack b 1 '' 1.tar.gz # what an unpack of the same layer has
	[[ $(call Usage "key=a/2/$one") == $(call Usage "key=b/1/$one") ]]
	call View key=a/6/view "parent=a/5/$three" > /dev/null
	point=$(mount_snapshot a/6/view)
	cmp "$point/1" tree1/1
	cmp "$point/3" tree3/3
	umount "$point"
	# The snapshots live as long as containerd says, and without the import.
	varve release "$imported"
	varve prune --all > /dev/null
	[[ $(call Stat "key=a/5/$three" | jq -r .info.kind) == COMMITTED ]]
	run -0 varve fsck
	stop_agent
	start_agent
	[[ $(call Stat "key=a/5/$three" | jq -r .info.parent) == "a/4/$two" ]]
	remove_all
	[[ $(varve ls --json | jq -r .recordType | sort -u) == image.layer ]]
	retry 50 has_layers 3 # a removed layer's folder goes after the answer
}

@test "a kept layer becomes the snapshot that it was, and a second answer makes no second one" {
	start_with ''
	unpack a 1 '' 1.tar.gz
	one=$chain
	unpack a 2 "$one" 2.tar.gz
	ids=$(varve ls -q | sort)
	remove_all
	known b/7/work '' "$one"
	known b/8/work "b/7/$one" "$chain"
	[[ $(varve ls -q | sort) == "$ids" ]]
	run -0 call Stat "key=b/8/$chain"
	assert_json '.info.labels == {"containerd.io/snapshot.ref": $c}' --arg c "$chain"
	known b/9/work '' "$one"
	[[ $(varve ls -q | sort) == "$ids" && $(answer '' "$one") == "b/7/$one" ]]
	# Removed once more by its new name.
	call Remove "key=b/8/$chain"
	call Remove "key=b/7/$one"
	[[ $(varve ls --json | jq -r '.labels["varve.namespace"]' | sort -u) == b ]]
}

@test "labels that are no chain ids, views, and chains that are not here change nothing" {
	start_with ''
	import_layers
	for label in '' x sha256: "sha256:${one#sha256:}0" "sha256:${one:7:63}" "SHA256:${one#sha256:}" "sha512:${one#sha256:}" \
		"$(printf 'x%.0s' {1..5000})" "sha256:$(printf '%064d' 1)" "$(digest_of < 2.tar)"; do
		unknown a/1/work '' "$label"
	done
	call View key=a/2/view parent= "labels.containerd.io/snapshot.ref=$one" > /dev/null
	call Remove key=a/2/view
	# Errors are those of a Prepare without the label.
	run -1 prepare a/3/work a/3/none "$two"
	[[ $output == *"NOT_FOUND"*"missing parent"* ]]
	known a/4/work '' "$one"
	call Prepare key=a/5/work > /dev/null
	run -1 prepare a/5/work '' "$one"
	[[ $output == 'ALREADY_EXISTS: snapshot a/5/work: already exists' ]]
	run -1 prepare a/6/work a/5/work "$two"
	[[ $output == *INVALID_ARGUMENT*"not committed"* ]]
}

@test "nothing is built on a tree that the agent has not verified" {
	start_with ''
	import_layers
	committed "a/1/$one" # whatever it is
	unknown a/2/work "a/1/$one" "$two"
	# Neither does it pass for the chain, even when its label says so.
	call Update "name=a/1/$one" "labels.containerd.io/snapshot.ref=$one" 2> /dev/null || true
	call Prepare key=a/3/work > /dev/null
	call Commit key=a/3/work "name=a/3/$one" "labels.containerd.io/snapshot.ref=$one"
	varve release "$imported"
	varve prune --all > /dev/null
	unknown b/1/work '' "$one"
	# And where both are, containerd finds the one that is.
	import_layers
	known b/2/work '' "$one"
	[[ $(answer '' "$one") == "b/2/$one" ]]
	known a/4/work '' "$one"
	[[ $(answer '' "$one") == "a/4/$one" ]]
}

@test "a lazy layer, and one whose files are lost, are unpacked" {
	start_with ''
	layout_new oci
	layout_image oci image 1.tar.gz
	name_chains
	id=$(varve import --lazy "oci:$PWD/oci:image" 2> /dev/null)
	unknown a/1/work '' "$one"
	varve mount "$id" --read-only > /dev/null
	varve umount "$id"
	known a/2/work '' "$one"
	call Remove "key=a/2/$one"
	rm -r "$agent_root/layers/$(varve inspect "$id" --json | jq -r .layer)"
	unknown a/3/work '' "$one"
	varve release "$id"
	varve rm "$id"
}

@test "with share_namespaces = no a layer is found again in its own namespace alone" {
	start_with 'share_namespaces = no'
	import_layers
	unknown a/1/work '' "$one"
	unpack a 2 '' 1.tar.gz
	unknown b/1/work '' "$one"
	remove_all
	unknown b/2/work '' "$one"
	known a/3/work '' "$one"
}

@test "twenty clients that ask at once get one snapshot for each namespace, and none is lost while it is removed" {
	start_with ''
	import_layers
	pids=()
	for n in {1..20}; do
		prepare "n$((n % 4))/$n/work" '' "$one" > "answer.$n" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}" || true # each ends with an error: ALREADY_EXISTS
	[[ $(grep -lc ALREADY_EXISTS answer.* | wc -l) == 20 ]]
	[[ $(call List | jq -s 'map(.info // [] | .[]) | length') == 4 ]]
	varve release "$imported"
	pids=()
	for key in $(call List | jq -r '.info[].name'); do
		call Remove "key=$key" &
		pids+=($!)
	done
	varve prune --all > /dev/null
	wait "${pids[@]}"
	varve prune --all > /dev/null
	[[ $(varve ls -q) == '' ]]
	retry 100 eval '[[ $(count_layers) == 0 ]]'
	run -0 varve fsck
}

@test "on a full disk a layer is taken over all the same, or the store stays as it is" {
	mkdir -p "$agent_root"
	mount -t tmpfs -o size=40M,mode=755 tmpfs "$agent_root"
	start_with ''
	import_layers
	dd if=/dev/zero of="$agent_root/fill" bs=64K 2> /dev/null || true
	status=0
	prepare a/1/work '' "$one" > answer 2>&1 || status=$?
	[[ $status == 1 && $(< answer) =~ ^(ALREADY_EXISTS|RESOURCE_EXHAUSTED) ]]
	rm "$agent_root/fill"
	known a/2/work '' "$one"
	run -0 varve fsck
	umount_store
}

# The store's own file system goes with the agent.
umount_store() {
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown 3>&-
}
