#!/usr/bin/env bats
# requires root overlay jq docker-registry skopeo sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Layers that become lazy again, and blobs that are not kept.

load ../lib/helpers
load ../lib/images
load ../lib/registry

teardown() {
	stop_registry
	agent_teardown
}

lazy() { # prints how many records are lazy
	varve ls --json | jq -s 'map(select(.lazy)) | length'
}

blobs() {
	find "$agent_root/blobs/sha256" -type f | wc -l
}

imported() { # TAG: imports an image and releases it; prints its id
	local id
	id=$(varve import "oci:$layout:$1" 2> /dev/null)
	varve release "$id"
	echo "$id"
}

@test "prune --to-lazy deletes layers' files and keeps their records" {
	make_images
	start_agent
	one=$(imported one)
	describe_tree "$(varve mount "$one" --read-only)" > "$BATS_TEST_TMPDIR/before"
	varve umount "$one"
	size=$(varve du --json | jq -s 'map(.size) | add')
	run -0 varve prune --to-lazy --json
	[[ $(jq -s 'map(select(.toLazy)) | length' <<< "$output") -eq 3 ]]
	[[ $(lazy) -eq 3 ]]
	[[ $(count_layers) -eq 0 ]]
	[[ $(blobs) -eq 4 ]]
	left=$(varve du --json | jq -s 'map(.size) | add')
	[[ $(jq -s 'map(select(.predicted).predicted) | add' <<< "$output") -eq $((size - left)) ]]
	[[ $(varve fsck | tail -n 1) == *" 0 problems found"* ]]
	# A second run finds nothing to do.
	[[ $(varve prune --to-lazy --json | jq -s 'map(select(.id)) | length') -eq 0 ]]
	stop_agent
	start_agent
	[[ $(lazy) -eq 3 ]]
	diff "$BATS_TEST_TMPDIR/before" <(describe_tree "$(varve mount "$one" --read-only)")
	[[ $(lazy) -eq 0 ]]
}

@test "prune --to-lazy deletes records that could not be made again" {
	make_images
	start_agent
	one=$(imported one)
	built=$(result built --parent "$one")
	run -0 varve prune --to-lazy --json
	[[ $(jq -r 'select(.id and (.toLazy | not)) | .id' <<< "$output") == "$built" ]]
	[[ $(varve ls -q | wc -l) -eq 3 ]]
	[[ $(lazy) -eq 3 ]]
}

@test "prune --to-lazy keeps the files of mounted, held and pinned records and of their parents" {
	make_images
	start_agent
	one=$(imported one)
	two=$(imported two)
	varve mount "$one" --read-only > /dev/null
	run -0 varve prune --to-lazy --json
	[[ $(jq -r 'select(.id) | .id' <<< "$output") == "$two" ]]
	varve umount "$one"
	varve pin "$one"
	varve prune --to-lazy > /dev/null
	[[ $(lazy) -eq 1 ]]
	varve unpin "$one"
	varve get "$one"
	varve prune --to-lazy > /dev/null
	[[ $(lazy) -eq 1 ]]
	varve release "$one"
	varve prune --to-lazy > /dev/null
	[[ $(lazy) -eq 4 ]]
	# One record is extracted again, and becomes lazy again although its sibling is lazy.
	varve extract "$one" 2> /dev/null
	[[ $(lazy) -eq 1 ]]
	varve prune --to-lazy > /dev/null
	[[ $(lazy) -eq 4 ]]
}

@test "a plan of prune --to-lazy does what its dry run showed" {
	make_images
	start_agent
	imported one > /dev/null
	plan=$(varve prune --to-lazy --dry-run --json | jq -r 'select(.plan).plan')
	[[ $(lazy) -eq 0 ]]
	varve prune --plan "$plan" > /dev/null
	[[ $(lazy) -eq 3 ]]
	run -4 varve prune --plan "$plan"
}

@test "a layer whose blob is not kept becomes lazy when a registry has the blob, and is deleted otherwise" {
	make_images
	start_registry
	skopeo copy --quiet --dest-tls-verify=false "oci:$layout:one" "docker://$registry/a/b:1" > /dev/null
	printf '[agent]\nkeep_blobs = no\n[prune]\nautomatic = no\n' > "$agent_config"
	start_agent
	one=$(varve pull "$registry/a/b:1" 2> /dev/null)
	local=$(varve import "tar:$trees/other.tar" 2> /dev/null)
	varve release "$one"
	varve release "$local"
	describe_tree "$(varve mount "$one" --read-only)" > "$BATS_TEST_TMPDIR/before"
	varve umount "$one"
	varve prune --filter description==nothing > /dev/null # it collects unneeded blobs
	[[ $(blobs) -eq 1 ]] # the config
	# A record that did not come from a registry cannot be made again, and is deleted.
	run -0 varve prune --to-lazy --json
	[[ $(jq -r 'select(.id and (.toLazy | not)) | .id' <<< "$output") == "$local" ]]
	[[ $(lazy) -eq 3 ]]
	diff "$BATS_TEST_TMPDIR/before" <(describe_tree "$(varve mount "$one" --read-only)")
	varve umount "$one"
	varve prune --filter description==nothing > /dev/null
	varve prune --to-lazy > /dev/null
	stop_registry
	run -1 varve mount "$one" --read-only
	assert_output_has "$(digest_of < "$trees/base.tar.gz")"
	assert_output_has "$(varve inspect "$one" --json | jq -r .blob.digest)"
	[[ $(lazy) -eq 3 ]]
	run -0 varve events --json
	assert_json_lines 'any(.[]; .event == "fetched" and (.detail | startswith("sha256:")))'
	# shellcheck disable=SC2016
	assert_json_lines 'any(.[]; .event == "fetch-failed" and (.detail | startswith($blob + ": ")))' \
		--arg blob "$(digest_of < "$trees/base.tar.gz")"
}

@test "prune --to-lazy counts the blobs of lazy records towards the limit" {
	make_images
	head -c 4M /dev/urandom > "$trees/top/etc/big"
	tar_of "$trees/top" "$trees/bigtop.tar"
	gzip -nk "$trees/bigtop.tar"
	layout_image "$layout" big "$trees/base.tar.gz" "$trees/bigtop.tar.gz"
	start_agent
	big=$(imported big)
	# prune deletes its files and keeps its blob.
	varve prune --to-lazy --keep-storage 6M > /dev/null
	[[ $(varve inspect "$big" --json | jq .lazy) == true ]]
	[[ $(varve inspect "$(varve inspect "$big" --json | jq -r '.parents[0]')" --json | jq .lazy) == false ]]
	# A limit below the size of the blobs cannot be reached this way.
	run -7 varve prune --to-lazy --keep-storage 1M --strict
	assert_output_has "lazy already"
}

@test "fsck names lazy records whose blob is missing" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" --lazy 2> /dev/null)
	digest=$(digest_of < "$trees/top.tar")
	rm "$agent_root/blobs/sha256/${digest#sha256:}"
	run -8 varve fsck
	assert_output_has missing-blob
	assert_output_has "$one"
	assert_output_has "$digest"
}
