#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Snapshots whose layers were made ahead, cut off at each fail point (crash.bash).

load crash

# call METHOD [FIELD=VALUE…]: an error looks like one of the command line.
call() {
	local said status=0
	said=$("$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" "$@" 2>&1) || status=$?
	((status == 0)) || echo "varve: $said"
	return "$status"
}

count_spares() {
	find "$agent_root/spare" -mindepth 1 -maxdepth 1 | wc -l
}

spares_are_used() {
	local before
	before=$(count_spares)
	call Prepare "key=probe/1/work" > /dev/null
	call Remove "key=probe/1/work"
	(($(count_spares) < before))
}

removed_are_discarded() {
	(($(count_layers) == $(varve ls -q | wc -l)))
}

prepare_spare() {
	retry 20 spares_are_used
	retry 20 removed_are_discarded
	retry 20 trash_is_empty
}
operate_spare() { call Prepare "key=$case-a/1/work"; }

@test "a snapshot on a layer that was made ahead, cut off at any step, leaves a consistent store" {
	crash spare
}

@test "the operation has passed all fail points of layers that are made ahead" {
	passes_every "$spare_points"
}
