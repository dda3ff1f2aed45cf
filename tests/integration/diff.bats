#!/usr/bin/env bats
# requires root overlay jq containerd-1.7 ctr setfattr zstd
# SPDX-License-Identifier: Apache-2.0
#
# The real containerd, with varved as its snapshotter and as its differ. It must make the same files of an
# image as containerd's own overlayfs snapshotter and walking differ.

load ../lib/helpers
load ../lib/containerd
load ../lib/images

tools=$BATS_TEST_DIRNAME/../tools

setup() {
	agent_setup
	containerd_setup
	PATH=$("$BATS_TEST_DIRNAME/../../scripts/fetch-containerd"):$PATH
	containerd_diff varve-diff walking
	printf '[containerd]\naddress = %s\n' "$CONTAINERD_ADDRESS" >> "$agent_config"
	layers=$BATS_TEST_TMPDIR/layers
	mkdir -p "$layers"
}

teardown() {
	containerd_teardown
	agent_teardown
}

# image NAME LAYER…: makes an OCI archive.
image() {
	local layout=$BATS_TEST_TMPDIR/layout
	rm -rf "$layout"
	layout_new "$layout"
	layout_image "$layout" "$@"
	tar -C "$layout" -cf "$BATS_TEST_TMPDIR/image.tar" .
}

# import SNAPSHOTTER
import() {
	ctr images import --snapshotter "$1" "$BATS_TEST_TMPDIR/image.tar"
}

chains() { # SNAPSHOTTER
	ctr snapshots --snapshotter "$1" ls | awk 'NR > 1 { print $1 }' | sort
}

# tree SNAPSHOTTER CHAIN: lists the files that a container would see.
tree() {
	local at=$BATS_TEST_TMPDIR/at status=0
	mkdir -p "$at"
	ctr snapshots --snapshotter "$1" prepare look "$2" > /dev/null
	sh -c "$(ctr snapshots --snapshotter "$1" mounts "$at" look)"
	python3 "$tools/list-tree" --no-root-time "$at" || status=1
	umount "$at"
	ctr snapshots --snapshotter "$1" rm look
	return "$status"
}

# Both snapshotters have the same chains, and the same files in each of them.
assert_equal_trees() {
	local chain
	[[ $(chains varve) == "$(chains overlayfs)" ]]
	for chain in $(chains varve); do
		tree overlayfs "$chain" > "$BATS_TEST_TMPDIR/theirs"
		tree varve "$chain" > "$BATS_TEST_TMPDIR/ours"
		diff -u "$BATS_TEST_TMPDIR/theirs" "$BATS_TEST_TMPDIR/ours"
	done
}

# Makes three layers with everything that tars can have: kinds of files, owners, modes, times, attributes, names,
# links that change their file, and whiteouts.
make_all_kinds() {
	"$tools/make-layer" "$layers/1.tar" dir:.,mode=700,uid=7 dir:etc,mtime=1500000000.25 \
		file:etc/passwd=root,mode=4755,uid=1000,gid=70000 file:etc/gone=x file:etc/replaced=old \
		link:etc/link=passwd hard:etc/hard=etc/passwd,mode=2711,uid=9,mtime=1500000002.5 hard:etc/also=etc/link \
		link:dangling=/no/where fifo:pipe,mode=620 chr:null=1/3,mode=666 blk:disk=8/0,gid=6 \
		dir:opaque,mode=1777 file:opaque/below=x dir:kept,mode=2750,gid=12,x.user.of=directory \
		file:kept/file=x,x.user.note=hello,y.security.capability=0100000200000000000000000000000000000000 \
		'file:name with\x0anewline=x' dir:%99a 'file:%99a/%200b=long' file:empty= dir:was-dir file:was-dir/in=x \
		file:was-file=x file:twice=first dir:twice,mode=710
	"$tools/make-layer" "$layers/2.tar" dir:etc file:etc/.wh.gone= file:etc/replaced=new,mtime=1500000001.123456789 \
		dir:opaque,mode=711 file:opaque/.wh..wh..opq= file:opaque/seen=y dir:kept file:kept/more=z \
		file:.wh.was-dir= file:.wh.never-there= dir:was-file file:was-file/in=y dir:kept/new,mode=500
	"$tools/make-layer" "$layers/3.tar" dir:kept dir:kept/new dir:kept/new/deep file:kept/new/deep/file=x dir:etc \
		hard:etc/again=kept/new/deep/file dir:opaque link:opaque/seen=../etc file:was-dir=now-a-file
}

# unpack_as_the_peer MOUNTS: unpacks with the agent as the only differ, and compares with containerd's own.
unpack_as_the_peer() {
	printf '[snapshots]\nmounts = %s\n' "$1" >> "$agent_config"
	make_all_kinds
	gzip -k "$layers"/*.tar
	image test.local/kinds:latest "$layers"/{1,2,3}.tar.gz
	containerd_diff varve-diff
	start_agent
	start_containerd
	import varve
	stop_containerd
	containerd_diff varve-diff walking
	start_containerd
	import overlayfs
	assert_equal_trees
}

@test "the agent unpacks what containerd mounts itself, as containerd does" {
	unpack_as_the_peer client
}

@test "the agent unpacks into its own mounts, as containerd does" {
	unpack_as_the_peer agent
}

# change SNAPSHOTTER KEY: what a container may do to a tree of make_all_kinds.
change() {
	local at=$BATS_TEST_TMPDIR/at
	mkdir -p "$at"
	sh -c "$(ctr snapshots --snapshotter "$1" mounts "$at" "$2")"
	echo changed >> "$at/etc/passwd"
	chmod 4711 "$at/etc/replaced"
	rm -r "$at/opaque" "$at/kept/new"
	mkdir -m 1711 "$at/opaque"
	echo new > "$at/opaque/new"
	ln "$at/opaque/new" "$at/kept/linked"
	ln -s nowhere "$at/kept/symbolic"
	mknod "$at/kept/device" c 5 1
	mkfifo "$at/kept/fifo"
	setfattr -n user.mine -v yes "$at/kept/file"
	chown -h 12:34 "$at/kept/symbolic" "$at/kept/fifo"
	truncate -s 1M "$at/kept/sparse"
	mv "$at/etc/link" "$at/etc/moved"
	umount "$at"
}

# layer_of SNAPSHOTTER KEY FILE [OPTION…]: the changes as a layer, and the blob's digest and labels.
layer_of() {
	ctr content ls -q | sort > "$BATS_TEST_TMPDIR/before"
	ctr snapshots --snapshotter "$1" diff --keep "${@:4}" "$2" > "$3"
	blob=$(ctr content ls -q | sort | comm -13 "$BATS_TEST_TMPDIR/before" -)
}

# tree_of_key SNAPSHOTTER KEY: what is seen in an active snapshot.
tree_of_key() {
	local at=$BATS_TEST_TMPDIR/at status=0
	sh -c "$(ctr snapshots --snapshotter "$1" mounts "$at" "$2")"
	python3 "$tools/list-tree" --no-root-time "$at" || status=1
	umount "$at"
	return "$status"
}

# The chain without a child.
top_chain() { # SNAPSHOTTER
	ctr snapshots --snapshotter "$1" ls |
		awk '$NF == "Committed" { name[$1]; if (NF == 3) parent[$2] } END { for (i in name) if (!(i in parent)) print i }'
}

# pack_and_unpack MOUNTS: the layers that the agent makes of changes, one for each compression, give containerd
# the changed tree back.
pack_and_unpack() {
	local type suffix
	printf '[snapshots]\nmounts = %s\n' "$1" >> "$agent_config"
	make_all_kinds
	image test.local/kinds:latest "$layers"/{1,2,3}.tar
	containerd_diff varve-diff
	start_agent
	start_containerd
	import varve
	ctr snapshots --snapshotter varve prepare work "$(top_chain varve)" > /dev/null
	change varve work
	tree_of_key varve work > "$BATS_TEST_TMPDIR/changed"
	for suffix in '' .gz .zst; do
		type=$(layer_media_type "x$suffix")
		layer_of varve work "$layers/4.tar$suffix" --media-type "$type" --label note=kept
		[[ $blob == "$(digest_of < "$layers/4.tar$suffix")" ]]
		run -0 ctr content ls
		[[ $(grep "^$blob" <<< "$output") == *"containerd.io/uncompressed=$(unpacked "$layers/4.tar$suffix" | digest_of)"*note=kept* ]]
		[[ $(unpacked "$layers/4.tar$suffix" | digest_of) == "$(digest_of < "$layers/4.tar")" ]]
	done
	stop_containerd
	containerd_diff walking
	start_containerd
	image test.local/changed:latest "$layers"/{1,2,3}.tar "$layers/4.tar.gz"
	import overlayfs
	tree overlayfs "$(top_chain overlayfs)" | diff -u "$BATS_TEST_TMPDIR/changed" -
}

@test "the agent packs changes of what containerd mounts itself" {
	pack_and_unpack client
}

@test "the agent packs changes of its own mounts" {
	pack_and_unpack agent
}
