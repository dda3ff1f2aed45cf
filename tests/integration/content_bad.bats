#!/usr/bin/env bats
# requires root overlay jq zstd sqlite3 mkfs.ext4 docker-registry skopeo xxd
# SPDX-License-Identifier: Apache-2.0
#
# Damaged and invalid images, full disks, and agents that are killed: the error names the fault, no
# incomplete record is ever visible, and what was imported before stays intact.

load ../lib/helpers
load ../lib/images
load ../lib/registry

teardown() {
	stop_registry
	agent_teardown
	[[ ! -d $BATS_TEST_TMPDIR/disk ]] || umount -q "$BATS_TEST_TMPDIR/disk" || true
}

# fails SOURCE TEXT…: the import fails, its error has each text, and it leaves nothing behind.
fails() {
	local source=$1 records layers text
	records=$(varve ls -q)
	layers=$(count_layers)
	shift
	run varve import "$source"
	((status == 1 || status == 4)) || assert_status 1
	for text; do
		assert_output_has "$text"
	done
	[[ $(varve ls -q) == "$records" ]]
	[[ $(count_layers) -eq $layers ]]
	[[ $(stored "SELECT count(*) FROM contents WHERE record NOT IN (SELECT id FROM records)") == 0 ]]
	[[ $(find "$agent_root/scratch" -mindepth 1 | wc -l) -eq 0 ]]
}

manifest_of() { # TAG: prints the path of its manifest
	blob_of "$layout" "$(jq -r --arg t "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest' "$layout/index.json")"
}

# edit_manifest TAG FILTER: replaces the image's manifest by what the jq filter makes of it.
edit_manifest() {
	local work=$BATS_TEST_TMPDIR/edited descriptor
	jq -c "$2" "$(manifest_of "$1")" > "$work"
	descriptor=$(layout_blob "$layout" "$work")
	jq -c --arg t "$1" --argjson d "$descriptor" '(.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t)) |= . + $d' \
		"$layout/index.json" > "$work"
	mv "$work" "$layout/index.json"
}

@test "an import refuses a damaged blob and names the expected and the actual digest" {
	make_images
	start_agent
	digest=$(digest_of < "$trees/middle.tar.gz")
	file=$(blob_of "$layout" "$digest")
	printf 'X' | dd of="$file" bs=1 seek=20 conv=notrunc status=none
	fails "oci:$layout:one" "$digest" "$(digest_of < "$file")" "layer 2"
	truncate -s 10 "$file"
	fails "oci:$layout:one" "${digest#sha256:}" "10 bytes"
	rm "$file"
	fails "oci:$layout:one" "${digest#sha256:}" "No such file"
	mkfifo "$file"
	fails "oci:$layout:one" "is not a regular file"
}

@test "an import refuses layers whose order or number differs from the config's" {
	make_images
	a=$(digest_of < "$trees/base.tar")
	b=$(digest_of < "$trees/middle.tar")
	image_diff_ids="[\"$b\",\"$a\"]" layout_image "$layout" swapped "$trees/base.tar.gz" "$trees/middle.tar.gz"
	image_diff_ids="[\"$a\"]" layout_image "$layout" short "$trees/base.tar.gz" "$trees/middle.tar.gz"
	start_agent
	fails "oci:$layout:swapped" "$a" "$b" "wrong order"
	fails "oci:$layout:short" "2 layers" "has 1"
	varve import "oci:$layout:one"
}

@test "an import refuses invalid manifests and indexes, and names the fault" {
	make_images
	start_agent
	fails "oci:$layout:three" "three" "one, two"
	edit_manifest one '.layers[1].mediaType = "application/vnd.example.encrypted"'
	fails "oci:$layout:one" "application/vnd.example.encrypted" "layer 2"
	edit_manifest two '.schemaVersion = 1'
	fails "oci:$layout:two" "version 1"
	edit_manifest two '.schemaVersion = 2 | .layers[0].digest = "sha512:\("0" * 128)"'
	fails "oci:$layout:two" "layer 1" "sha512"
	edit_manifest two '.layers[0].digest = "sha256:../../../etc/passwd"'
	fails "oci:$layout:two" "../etc/passwd"
	edit_manifest two 'del(.config)'
	fails "oci:$layout:two" "config"
	edit_manifest two '.annotations.never = "seen"'
	file=$(manifest_of two)
	truncate -s 40 "$file"
	fails "oci:$layout:two" "40 bytes"
	truncate -s 20 "$layout/index.json"
	fails "oci:$layout" "JSON"
	rm "$layout/index.json"
	ln -s /etc/passwd "$layout/index.json"
	fails "oci:$layout" "index.json"
	rm "$layout/oci-layout"
	fails "oci:$layout" "not an OCI layout"
}

@test "an import refuses invalid references, and names them" {
	start_agent
	for reference in "nothing" "oci:" "docker://" "docker://localhost/UPPER" "http://host/name"; do
		run -1 varve import "$reference"
		assert_output_has "$reference"
	done
	run -4 varve import "oci:$BATS_TEST_TMPDIR/nowhere"
	assert_output_has "$BATS_TEST_TMPDIR/nowhere"
	run -4 varve import "tar:$BATS_TEST_TMPDIR/nowhere"
	run -4 varve import --lease nobody "oci:$BATS_TEST_TMPDIR/nowhere"
	assert_output_has "no lease 'nobody'"
	run -2 varve import
	run -2 varve import a b
}

@test "a failed import leaves the layers that other images share intact" {
	make_images
	cut=$trees/cut.tar.gz
	gzip -c "$trees/other.tar" | head -c 100 > "$cut"
	image_diff_ids="[\"$(digest_of < "$trees/base.tar")\",\"$(digest_of < "$trees/other.tar")\"]" \
		layout_image "$layout" cut "$trees/base.tar.gz" "$cut"
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	before=$(describe_tree "$(varve mount "$one" --read-only)")
	fails "oci:$layout:cut" "$(digest_of < "$cut")"
	[[ $(describe_tree "$(varve mount "$one" --read-only)") == "$before" ]]
	# The error about a tar names the file.
	fails "tar:$cut" "$cut"
	fails "oci-archive:$trees/other.tar" "not an archive of an OCI layout"
}

@test "an import that fills the disk leaves nothing behind, in whichever phase it fails" {
	make_images
	head -c 6M /dev/urandom > "$trees/other/etc/big"
	tar_of "$trees/other" "$trees/big.tar"
	gzip -c "$trees/big.tar" > "$trees/big.tar.gz"
	layout_image "$layout" big "$trees/base.tar.gz" "$trees/big.tar.gz"
	mkdir "$BATS_TEST_TMPDIR/disk"
	truncate -s 40M "$BATS_TEST_TMPDIR/disk.img"
	mkfs.ext4 -q "$BATS_TEST_TMPDIR/disk.img"
	mount "$BATS_TEST_TMPDIR/disk.img" "$BATS_TEST_TMPDIR/disk"
	agent_root=$BATS_TEST_TMPDIR/disk/store
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	varve umount "$one" 2> /dev/null || true
	for left in 9 3 1; do # of MiB: not enough for the layer, for its blob, for anything
		free=$(stat -f -c '%a * %S' "$BATS_TEST_TMPDIR/disk")
		head -c $((free - (left << 20))) /dev/zero > "$BATS_TEST_TMPDIR/disk/filler"
		fails "oci:$layout:big" "No space left"
		fails "tar:$trees/big.tar.gz" "No space left"
		rm "$BATS_TEST_TMPDIR/disk/filler"
		varve prune -a > /dev/null # this removes the blobs of the failed import, too
	done
	[[ $(varve fsck | tail -n 1) == *" 0 problems found"* ]]
	varve mount "$(varve import "oci:$layout:big" 2> /dev/null)" --read-only
	cat "$(varve mount "$one" --read-only)/etc/top"
}

@test "an agent killed during an import leaves no incomplete record or layer" {
	make_images
	head -c 30M /dev/urandom > "$trees/other/etc/big"
	tar_of "$trees/other" "$trees/big.tar"
	gzip -1 -c "$trees/big.tar" > "$trees/big.tar.gz"
	layout_image "$layout" big "$trees/base.tar.gz" "$trees/middle.tar.gz" "$trees/big.tar.gz"
	start_agent
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	for delay in 0.01 0.05 0.1 0.2 0.3 0.4; do # in different phases of the import
		varve import "oci:$layout:big" > /dev/null 2>&1 &
		client=$!
		sleep "$delay"
		kill_agent
		wait "$client" || true
		start_agent
		# Each record is either lazy or complete.
		for id in $(varve ls --json | jq -r 'select(.lazy | not) | .id'); do
			varve mount "$id" --read-only > /dev/null
		done
		run -0 varve fsck
		[[ $(find "$agent_root/scratch" -mindepth 1 | wc -l) -eq 0 ]]
		[[ -e $(varve mount "$one" --read-only)/etc/top ]]
		varve umount "$one"
	done
	big=$(varve import "oci:$layout:big" 2> /dev/null)
	cmp "$(varve mount "$big" --read-only)/etc/big" "$trees/other/etc/big"
}

@test "a layer that was half unpacked at a crash is unpacked again from the start" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" --lazy 2> /dev/null)
	layer=$(varve inspect "$one" --json | jq -r .layer)
	stop_agent
	mkdir -p "$agent_root/layers/$layer/fs/etc" "$agent_root/layers/$layer/work"
	echo half > "$agent_root/layers/$layer/fs/etc/half"
	start_agent
	[[ ! -e $agent_root/layers/$layer ]]
	dir=$(varve mount "$one" --read-only)
	[[ -e $dir/etc/top && ! -e $dir/etc/half ]]
}

@test "a blob that was damaged in the store is refused when it is unpacked" {
	make_images
	start_agent
	one=$(varve import "oci:$layout:one" --lazy 2> /dev/null)
	digest=$(digest_of < "$trees/base.tar.gz")
	blob=$agent_root/blobs/sha256/${digest#sha256:}
	byte=$(xxd -s 100 -l 1 -p "$blob")
	printf '%02x' $((0x$byte ^ 1)) | xxd -r -p | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
	run -1 varve mount "$one"
	assert_output_has "$digest"
	[[ $(count_layers) -eq 0 ]]
	[[ $(varve inspect "$one" --json | jq .lazy) == true ]]
}

@test "a cancelled import leaves no record that looks complete" {
	make_images
	head -c 60M /dev/urandom > "$trees/other/etc/big"
	tar_of "$trees/other" "$trees/big.tar"
	layout_image "$layout" big "$trees/base.tar.gz" "$trees/big.tar"
	start_agent
	varve import "oci:$layout:big" > /dev/null 2> "$BATS_TEST_TMPDIR/progress" &
	client=$!
	until grep -q copy "$BATS_TEST_TMPDIR/progress" || ! kill -0 "$client"; do
		sleep 0.01
	done
	# While the agent stands still, it cannot end the import before it notices that its client is gone.
	kill -STOP "$agent_pid"
	kill -9 "$client"
	wait "$client" || true
	kill -CONT "$agent_pid"
	top() { # where the import ended before that
		varve ls --json | jq -r --arg of "layer 2 of oci:$layout:big" 'select(.description == $of and (.lazy | not)) | .id'
	}
	ended() {
		[[ -n $(top) ]] || [[ -z $(varve ls -q) && $(count_layers) -eq 0 ]]
	}
	retry 100 ended
	if [[ -n $(top) ]]; then
		cmp "$trees/other/etc/big" "$(varve mount "$(top)" --read-only)/etc/big"
	fi
}
