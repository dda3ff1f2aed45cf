#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Layers that containerd removes and finds again, cut off at each fail point (crash.bash).

load crash
load ../lib/images
load ../lib/snapshots

# call METHOD [FIELD=VALUE…]: an error looks like one of the command line.
call() {
	local said status=0
	said=$("$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" "$@" 2>&1) || status=$?
	((status == 0)) || echo "varve: $said"
	return "$status"
}

# The layer is the same in all cases, so that its digests are.
make_layout() {
	layout=$BATS_FILE_TMPDIR/oci
	[[ ! -d $layout ]] || return 0
	mkdir "$BATS_FILE_TMPDIR/tree"
	echo file > "$BATS_FILE_TMPDIR/tree/file"
	tar_of "$BATS_FILE_TMPDIR/tree" "$BATS_FILE_TMPDIR/1.tar"
	layout_new "$layout"
	layout_image "$layout" image "$BATS_FILE_TMPDIR/1.tar"
}

clear_layers() {
	local id key ids
	for key in $(varve ls --json | jq -r '.snapshot.key // empty'); do
		call Remove "key=$key"
	done
	for id in $(varve ls --json | jq -r 'select(.inUse).id'); do
		varve release "$id"
	done
	mapfile -t ids < <(varve ls -q)
	((${#ids[@]} == 0)) || varve rm "${ids[@]}"
}

# known NAMESPACE: makes the snapshot NAMESPACE/1/CHAIN of the layer that the store has.
known() {
	local said
	said=$(call Prepare "key=$1/1/work" "labels.containerd.io/snapshot.ref=$chain") || true
	[[ $said == "varve: ALREADY_EXISTS:"* ]] || {
		echo "$said"
		return 1
	}
}

import_layer() {
	make_layout
	clear_layers
	id=$(varve import "oci:$layout:image" 2> /dev/null)
	chain=$(varve inspect --json "$id" | jq -r .chainId)
}

# The only record of the layer is a snapshot.
make_snapshot() { # NAMESPACE
	import_layer
	known "$1"
	varve release "$id"
	varve rm "$id"
}

prepare_known() { import_layer; }
operate_known() { known "$case-a"; }

prepare_keep() { make_snapshot "$case-a"; }
operate_keep() { call Remove "key=$case-a/1/$chain"; }

prepare_again() {
	make_snapshot "$case-a"
	call Remove "key=$case-a/1/$chain"
}
operate_again() { known "$case-b"; }

prepare_share_rm() {
	import_layer
	known "$case-a"
	known "$case-b"
}
operate_share_rm() { call Remove "key=$case-a/1/$chain"; }

prepare_kept_rm() {
	make_snapshot "$case-a"
	call Remove "key=$case-a/1/$chain"
	id=$(varve ls -q)
}
operate_kept_rm() { varve rm "$id"; }

@test "a layer that is found again, cut off at any step, leaves a consistent store" {
	crash known again
}

@test "a layer that is kept, shared or removed, cut off at any step, leaves a consistent store" {
	crash keep share_rm kept_rm
}
