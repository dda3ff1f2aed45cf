#!/usr/bin/env bats
# requires root overlay bpf jq python3-grpc
# SPDX-License-Identifier: Apache-2.0
#
# Layers that containerd removes, and that stay as a cache. The agent unpacks them itself, for a containerd that is
# tests/tools/fake_containerd.py.

# jq's variables look like the shell's; most calls have no options.
# shellcheck disable=SC2016,SC2119,SC2120

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

@test "a layer that containerd removes stays, with its statistics and nothing that holds it" {
	start_with ''
	unpack a 1 '' 1.tar.gz
	id=$(record_of "a/1/$chain")
	call View key=a/2/view "parent=a/1/$chain"
	cat "$(mount_snapshot a/2/view)/1" > /dev/null
	umount "$snapshots_mounted"/*
	call Remove key=a/2/view
	reads=$(varve inspect "$id" --json | jq -c '.usageCount, .access.readBytes')
	call Remove "key=a/1/$chain"
	run -0 varve inspect "$id" --json
	assert_json '.recordType == "image.layer" and .snapshot == null and .holds == [] and .inUse == false
		and .labels["varve.chain-id"] == $c and .labels["varve.namespace"] == "a"' --arg c "$chain"
	[[ $(jq -c '.usageCount, .access.readBytes' <<< "$output") == "$reads" && $reads == 1* ]]
	run ! call Stat "key=a/1/$chain"
	[[ $output == *NOT_FOUND* ]]
	# As the database has it, too.
	stop_agent
	start_agent
	run -0 varve inspect "$id" --json
	assert_json '.recordType == "image.layer" and .snapshot == null and .holds == [] and .labels["varve.chain-id"] == $c' \
		--arg c "$chain"
	[[ $(jq -c '.usageCount, .access.readBytes' <<< "$output") == "$reads" ]]
	[[ -z $(varve lease ls --json | jq -r 'select(.name == "containerd/a") | .name') ]]
	varve rm "$id"
	[[ $(count_layers) == 0 ]]
}

@test "a layer stays, and is found again, where the agent mounts snapshots itself" {
	start_with 'mounts = agent'
	unpack a 1 '' 1.tar.gz
	id=$(record_of "a/1/$chain")
	call Remove "key=a/1/$chain"
	run -0 varve inspect "$id" --json
	assert_json '.recordType == "image.layer" and .snapshot == null'
	run -1 call Prepare key=a/2/work "labels.containerd.io/snapshot.ref=$chain"
	[[ $output == "ALREADY_EXISTS: "* ]]
	[[ $(record_of "a/2/$chain") == "$id" ]]
	call View key=a/3/view "parent=a/2/$chain"
	cmp "$(mount_snapshot a/3/view)/1" tree1/1
	umount "$snapshots_mounted"/*
	call Remove key=a/3/view
}

@test "a removed image is a chain of kept layers, and prune takes them from the top" {
	start_with ''
	unpack a 1 '' 1.tar.gz
	unpack a 2 "$chain" 2.tar.gz
	unpack a 3 "$chain" 3.tar.gz
	remove_all
	[[ $(varve ls --json | jq -r .recordType | sort | uniq -c) =~ ^\ *3\ image.layer$ ]]
	run -0 varve prune --filter type==image.layer --json
	[[ $(jq -r 'select(.id).id' <<< "$output" | wc -l) == 3 ]]
	[[ $(varve ls -q) == '' ]]
	retry 50 has_layers 0
}

@test "the parent of a kept layer is not evicted before it, and both are found again in their order" {
	start_with ''
	unpack a 1 '' 1.tar.gz
	lower=$chain
	unpack a 2 "$chain" 2.tar.gz
	remove_all
	below=$(varve ls --json | jq -r --arg c "$lower" 'select(.labels["varve.chain-id"] == $c).id')
	run -0 varve prune --all --filter "id==$below" --json
	assert_json_lines '[.[] | select(has("id"))] == []'
	run ! varve rm "$below"
	# The parent alone is a snapshot again; its child, which nothing asks for, may go.
	run -1 call Prepare key=b/1/work "labels.containerd.io/snapshot.ref=$lower"
	[[ $output == "ALREADY_EXISTS: "* ]]
	run -0 varve prune --filter type==image.layer --json
	assert_json_lines '[.[] | select(has("id"))] | length == 1'
	[[ $(varve ls -q) == "$below" ]]
	# What lay on it is gone: it is prepared, to be unpacked.
	run -0 call Prepare key=b/2/work "parent=b/1/$lower" "labels.containerd.io/snapshot.ref=$chain"
	run -0 varve fsck
}

@test "a layer that containerd has filled itself is not kept" {
	start_with ''
	chain=$(digest_of < 1.tar)
	committed "a/1/$chain"
	call Remove "key=a/1/$chain"
	[[ -z $(varve ls -q) ]]
}

@test "a layer that was changed after it was unpacked is not kept" {
	start_with ''
	prepare_unpacked a 1 '' 1.tar.gz
	echo changed >> "$(layer_files a/1/work)/1"
	call Commit key=a/1/work "name=a/1/$chain"
	call Remove "key=a/1/$chain"
	[[ -z $(varve ls -q) ]]
}

@test "a layer under another name than its chain id is not kept, and neither is one on top of it" {
	start_with ''
	prepare_unpacked a 1 '' 1.tar.gz
	call Commit key=a/1/work name=a/1/mine
	call Prepare key=a/2/work parent=a/1/mine
	apply_to a/2/work 2.tar.gz
	call Commit key=a/2/work "name=a/2/$(chain_of "$chain" 2.tar)"
	remove_all
	[[ -z $(varve ls -q) ]]
}

@test "a layer whose blob only containerd has is packed anew for an export" {
	start_with ''
	unpack a 1 '' 1.tar.gz
	unpack a 2 "$chain" 2.tar.gz
	id=$(record_of "a/2/$chain")
	run -0 varve export "$id" "oci:$PWD/out:snapshot"
	remove_all
	run -0 varve export "$id" "oci:$PWD/out:kept"
	[[ $(jq -r '[.manifests[].digest] | unique | length' out/index.json) == 1 ]]
	blob=$(jq -r '.layers[1].digest' "$(blob_of out "$(jq -r '.manifests[0].digest' out/index.json)")")
	tar -xOf "$(blob_of out "$blob")" 2 | cmp - tree2/2
}

@test "nothing is kept with keep_removed = 0, nor what is larger than the limit" {
	start_with 'keep_removed = 0'
	unpack a 1 '' 1.tar.gz
	remove_all
	[[ -z $(varve ls -q) ]]
	stop_agent
	start_with 'keep_removed = 4K'
	unpack a 1 '' 1.tar.gz
	remove_all
	[[ -z $(varve ls -q) ]]
}

@test "nothing is kept while less of the disk is free than keep_free says" {
	start_with 'keep_free = 100%'
	unpack a 1 '' 1.tar.gz
	remove_all
	[[ -z $(varve ls -q) ]]
}

@test "of kept layers those that were read the longest ago are evicted beyond the limit" {
	start_with 'keep_removed = 1000K'
	unpack a 1 '' 1.tar.gz
	first=$chain
	unpack a 2 '' 2.tar.gz
	second=$chain
	unpack a 3 '' 3.tar.gz
	for chain in "$second" "$first" "$chain"; do
		key=$(varve ls --json | jq -r --arg c "$chain" 'select(.snapshot.key | endswith($c)).snapshot.key')
		call View key=a/9/view "parent=$key"
		cat "$(mount_snapshot a/9/view)"/* > /dev/null
		umount "$snapshots_mounted"/*
		call Remove key=a/9/view
	done
	remove_all
	kept() { varve ls --json | jq -r '.labels["varve.chain-id"]' | sort; }
	retry 300 eval '[[ $(kept) == "$(printf "%s\n" "$first" "$chain" | sort)" ]]'
	# A pinned one stays, and does not count.
	varve pin "$(varve ls --json | jq -r --arg c "$first" 'select(.labels["varve.chain-id"] == $c).id')"
}
