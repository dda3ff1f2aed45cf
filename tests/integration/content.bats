#!/usr/bin/env bats
# requires root overlay jq umoci skopeo zstd xxd protoc curl docker-registry setfattr sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Import and export of images, records by digest, lazy layers. Rows B40-B47 of parity.

load ../lib/helpers
load ../lib/images
load ../lib/registry

teardown() {
	stop_registry
	agent_teardown
}

import() { # SOURCE [OPTION…]
	varve import "$@" 2> /dev/null
}

lazy_of() {
	varve inspect "$1" --json | jq .lazy
}

# chain ID: prints the ids of the record and its ancestors, lowest first.
chain() {
	local id=$1 ids=()
	while [[ -n $id ]]; do
		ids=("$id" "${ids[@]}")
		id=$(varve inspect "$id" --json | jq -r '.parents[0] // empty')
	done
	printf '%s\n' "${ids[@]}"
}

# Prints the digests of the layers of an image in $layout, lowest first.
layers_of() { # TAG
	local manifest
	manifest=$(jq -r --arg t "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest' "$layout/index.json")
	jq -r '.layers[].digest' "$(blob_of "$layout" "$manifest")"
}

same_as_umoci() { # ID TAG
	local bundle=$BATS_TEST_TMPDIR/bundle-$2
	umoci unpack --image "$layout:$2" "$bundle" > "$BATS_TEST_TMPDIR/umoci.log" 2>&1 || cat "$BATS_TEST_TMPDIR/umoci.log"
	diff <(describe_tree "$bundle/rootfs") <(describe_tree "$(varve mount "$1" --read-only)")
}

blob_request() { # DIGEST SIZE DIFF_ID PARENT [MORE]
	printf 'digest: "%s" size: %s media_type: "application/vnd.oci.image.layer.v1.tar+gzip" parent: "%s" lease: "cli" %s' "$1" "$2" "$4" "${5-}"
	[[ -z $3 ]] || printf 'annotations { key: "containerd.io/uncompressed" value: "%s" }' "$3"
}

@test "an image imported from a layout has the same files as umoci unpacks" {
	make_images
	start_agent
	one=$(import "oci:$layout:one")
	same_as_umoci "$one" one
	[[ $(chain "$one" | wc -l) -eq 3 ]]
	[[ $(varve inspect "$one" --json | jq -r '.imageRefs[0]') == "oci:$layout:one" ]]
	run -0 varve inspect "$one" --json
	assert_json '.lazy == false and .blob.here and .inUse'
	[[ $(varve fsck | tail -n 1) == *" 0 problems found"* ]]
}

@test "B41 importing a second image adds only the layers that the first image does not have" {
	make_images
	start_agent
	one=$(import "oci:$layout:one")
	run -0 --separate-stderr varve import "oci:$layout:two" --json
	assert_json '.layers == 3 and .newLayers == 1'
	two=$(jq -r .id <<< "$output")
	[[ $(chain "$one" | head -n 2) == $(chain "$two" | head -n 2) ]]
	[[ $(count_layers) -eq 4 ]]
	[[ $(varve du --json | jq -s 'map(select(.shared)) | length') -eq 2 ]]
	[[ $(varve inspect "$(chain "$one" | head -n 1)" --json | jq -c .imageRefs) == "[\"oci:$layout:one\",\"oci:$layout:two\"]" ]]
	same_as_umoci "$two" two
	# The same image again is the same record, and one more ref.
	[[ $(import "oci:$layout:two") == "$two" ]]
	[[ $(varve inspect "$two" --json | jq '.holds[0].refs') -eq 2 ]]
}

@test "B41 two compressions of one layer are two records that share the files" {
	make_images
	zstd -q "$trees/base.tar" -o "$trees/again.tar.zst"
	layout_image "$layout" again "$trees/again.tar.zst"
	start_agent
	one=$(import "oci:$layout:one")
	again=$(import "oci:$layout:again")
	base=$(chain "$one" | head -n 1)
	[[ $again != "$base" ]]
	[[ $(varve inspect "$base" "$again" --json | jq -r .layer | sort -u | wc -l) -eq 1 ]]
	[[ $(varve inspect "$base" "$again" --json | jq -r .chainId | sort -u | wc -l) -eq 1 ]]
	[[ $(varve inspect "$base" "$again" --json | jq -r .blob.blobChainId | sort -u | wc -l) -eq 2 ]]
	# One of them is deleted, and the files stay.
	varve release "$again"
	varve rm "$again"
	same_as_umoci "$one" one
}

@test "B41 two records that share the files take them along when one prune evicts both" {
	make_images
	zstd -q "$trees/base.tar" -o "$trees/again.tar.zst"
	layout_image "$layout" base "$trees/base.tar.gz"
	layout_image "$layout" again "$trees/again.tar.zst"
	start_agent
	base=$(import "oci:$layout:base")
	again=$(import "oci:$layout:again")
	[[ $(count_layers) -eq 1 ]]
	varve release "$base"
	varve release "$again"
	run -0 varve prune --all --json
	[[ $(jq -r 'select(.id).id' <<< "$output" | sort) == "$(printf '%s\n' "$base" "$again" | sort)" ]]
	[[ $(count_layers) -eq 0 ]]
	run -0 varve fsck
}

@test "B40 chain ids are computed as the image specification says, and find the record" {
	make_images
	start_agent
	one=$(import "oci:$layout:one")
	chain="" blobs=""
	for tree in base.tar.gz middle.tar.gz top.tar; do
		diff_id=$(unpacked "$trees/$tree" | digest_of)
		pair=$(printf '%s %s' "$(digest_of < "$trees/$tree")" "$diff_id" | digest_of)
		chain=$([[ -z $chain ]] && echo "$diff_id" || printf '%s %s' "$chain" "$diff_id" | digest_of)
		blobs=$([[ -z $blobs ]] && echo "$pair" || printf '%s %s' "$blobs" "$pair" | digest_of)
	done
	run -0 varve inspect "$one" --json
	# shellcheck disable=SC2016
	assert_json '.chainId == $c and .blob.blobChainId == $b' --arg c "$chain" --arg b "$blobs"
	# A filter finds the record by its chain id, also after a restart (B32).
	stop_agent
	start_agent
	[[ $(varve ls -q --filter "labels.\"varve.chain-id\"==$chain") == "$one" ]]
}

@test "B40 GetByBlob refuses a missing or invalid diff id and a digest that is not sha256" {
	make_images
	start_agent
	digest=$(digest_of < "$trees/base.tar.gz")
	run -1 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$digest" 10 "" "")
	assert_output_has "grpc-status: 3"
	assert_output_has "$digest"
	assert_output_has "containerd.io/uncompressed"
	run -1 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$digest" 10 "sha256:nonsense" "")
	assert_output_has "$digest"
	assert_output_has "sha256:nonsense"
	run -1 grpc GetByBlob BlobRequest BlobReply < <(blob_request "sha512:$(printf '%0128d' 0)" 10 "$digest" "")
	assert_output_has sha512
	[[ $(varve ls -q) == "" ]]
}

@test "B42 GetByBlob refuses a parent without a digest, and takes it once it was exported" {
	make_images
	start_agent
	parent=$(result parent)
	one=$(import "oci:$layout:one")
	digest=$(digest_of < "$trees/base.tar.gz")
	diff_id=$(digest_of < "$trees/base.tar")
	size=$(stat -c %s "$trees/base.tar.gz")
	run -1 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$digest" "$size" "$diff_id" "$parent")
	assert_output_has "non-addressable parent"
	assert_output_has "$parent"
	varve export "$parent" "oci:$BATS_TEST_TMPDIR/out:a" 2> /dev/null
	run -0 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$digest" "$size" "$diff_id" "$parent")
	id=$(sed -n 's/^id: "\(.*\)"/\1/p' <<< "$output")
	[[ $(lazy_of "$id") == true ]]
	dir=$(varve mount "$id" --read-only)
	[[ -s $dir/data && -x $dir/bin/program ]]
}

@test "B43 the error about blobs that cannot be fetched names each missing digest of the chain" {
	make_images
	start_agent
	diff_id=$(digest_of < "$trees/base.tar")
	one=sha256:$(printf '%064d' 1)
	two=sha256:$(printf '%064d' 2)
	run -1 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$one" 10 "$diff_id" "")
	assert_output_has "grpc-status: 14"
	assert_output_has "$one"
	[[ $(varve ls -q) == "" ]]
	# With a source the record is lazy, and its size is the blob's (B45).
	run -0 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$one" 12345 "$diff_id" "" 'registry: "127.0.0.1:1" repository: "a"')
	first=$(sed -n 's/^id: "\(.*\)"/\1/p' <<< "$output")
	run -0 varve inspect "$first" --json
	assert_json '.lazy and .size == 12345 and (.blob.here | not)'
	# A child without a source names its own blob; mounting the chain names both.
	run -0 grpc GetByBlob BlobRequest BlobReply < <(blob_request "$two" 10 "$diff_id" "$first" 'registry: "127.0.0.1:1" repository: "a"')
	second=$(sed -n 's/^id: "\(.*\)"/\1/p' <<< "$output")
	run -1 varve mount "$second"
	assert_output_has "$one"
	assert_output_has "$two"
	assert_output_has "127.0.0.1:1"
	# B46: the records stay, also over a restart.
	stop_agent
	start_agent
	run -1 varve mount "$second" --read-only
	assert_output_has "$one"
	assert_output_has "$two"
	[[ $(lazy_of "$second") == true ]]
	[[ $(count_layers) -eq 0 ]]
}

@test "B44 the first mount of a lazy image fetches and unpacks all of its layers" {
	make_images
	start_registry
	push_image one repo/one:1
	start_agent
	one=$(varve pull --lazy "$registry/repo/one:1" 2> /dev/null)
	[[ $(varve ls --json | jq -s 'map(select(.lazy)) | length') -eq 3 ]]
	[[ $(varve ls --json | jq -s 'map(select(.blob.here)) | length') -eq 0 ]]
	[[ $(varve inspect "$(chain "$one" | head -n 1)" --json | jq .size) -eq $(stat -c %s "$trees/base.tar.gz") ]]
	[[ $(varve ls -n -o KIND | sort -u) == lazy ]]
	[[ $(count_layers) -eq 0 ]]
	stop_agent
	start_agent
	[[ $(count_layers) -eq 0 ]]
	same_as_umoci "$one" one
	[[ $(varve ls --json | jq -s 'map(select(.lazy)) | length') -eq 0 ]]
	[[ $(varve inspect "$one" --json | jq -r '.blob.registry') == "$registry" ]]
}

@test "B44 twelve mounts of a lazy image at once unpack each layer once" {
	make_images
	start_registry
	push_image one repo/one:1
	start_agent
	one=$(varve pull --lazy "$registry/repo/one:1" 2> /dev/null)
	pids=()
	for n in {1..12}; do
		varve mount "$one" --read-only > "$BATS_TEST_TMPDIR/mount.$n" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	[[ $(cat "$BATS_TEST_TMPDIR"/mount.* | sort -u | wc -l) -eq 1 ]]
	[[ $(count_layers) -eq 3 ]]
	same_as_umoci "$one" one
}

@test "B44 a new child of a lazy record has the lazy record unpacked" {
	make_images
	start_agent
	one=$(import "oci:$layout:one" --lazy)
	[[ $(lazy_of "$one") == true ]]
	[[ $(varve ls --json | jq -s 'map(select(.blob.here)) | length') -eq 3 ]]
	child=$(varve new --parent "$one")
	[[ -e $(varve mount "$child")/etc/top ]]
	[[ $(lazy_of "$one") == false ]]
}

@test "B45 the size of an extracted record is that of its layer and its blob" {
	make_images
	start_agent
	base=$(chain "$(import "oci:$layout:one")" | head -n 1)
	layer=$(varve inspect "$base" --json | jq -r .layer)
	used=$(du -s --block-size=1 "$agent_root/layers/$layer/fs" | cut -f 1)
	own=$(stat -c '%b * 512' "$agent_root/layers/$layer/fs")
	blob=$(stat -c %s "$trees/base.tar.gz")
	size=$(varve inspect "$base" --json | jq .size)
	((size == used + blob || size == used - own + blob))
}

@test "B47 B70 a prune deletes the blobs and layers that no record needs any more" {
	make_images
	start_agent
	one=$(import "oci:$layout:one")
	two=$(import "oci:$layout:two")
	varve release "$two"
	varve prune -a > /dev/null
	[[ $(find "$agent_root/blobs/sha256" -type f | wc -l) -eq 4 ]] # three layers and a config
	same_as_umoci "$one" one
	varve umount "$one"
	varve release "$one"
	varve prune -a > /dev/null
	[[ $(find "$agent_root/blobs/sha256" -type f | wc -l) -eq 0 ]]
	[[ $(varve ls -q) == "" ]]
	[[ $(count_layers) -eq 0 ]]
}

@test "an image that was pulled whole works without its registry, and a lazy one names the missing blob" {
	make_images
	start_registry
	push_image one repo/one:1
	push_image two repo/two:1
	start_agent
	one=$(varve pull "$registry/repo/one:1" 2> /dev/null)
	two=$(varve pull --lazy "$registry/repo/two:1" 2> /dev/null)
	stop_registry
	same_as_umoci "$one" one
	run -1 varve mount "$two"
	assert_output_has "$(layers_of two | tail -n 1)"
	assert_output_has "$registry"
	[[ $output != *"$(layers_of two | head -n 1)"* ]]
	registry_port=${registry##*:} start_registry
	same_as_umoci "$two" two
}

@test "importing a tar makes a record, and importing it again finds that record" {
	make_images
	start_agent
	for file in base.tar base.tar.gz; do
		id=$(import "tar:$trees/$file")
		diff <(describe_tree "$trees/base") <(describe_tree "$(varve mount "$id" --read-only)")
		[[ $(import "tar:$trees/$file") == "$id" ]]
		[[ $(varve inspect "$id" --json | jq -r .blob.diffId) == "$(digest_of < "$trees/base.tar")" ]]
	done
	[[ $(varve ls -q | wc -l) -eq 2 ]]
	[[ $(count_layers) -eq 1 ]]
}

@test "an OCI archive can be imported" {
	make_images
	tar -C "$layout" -cf "$BATS_TEST_TMPDIR/archive.tar" .
	start_agent
	one=$(import "oci-archive:$BATS_TEST_TMPDIR/archive.tar:one")
	same_as_umoci "$one" one
	[[ $(find "$agent_root/scratch" -mindepth 1 | wc -l) -eq 0 ]]
}
