#!/usr/bin/env bats
# requires root overlay jq zstd getfattr
# SPDX-License-Identifier: Apache-2.0
#
# A store that an older version made (tests/data/store-v1/make), as it is after a reboot, opens unchanged.

load ../lib/helpers
load ../lib/kinds

setup() {
	agent_setup
	made_by_old=$BATS_TEST_DIRNAME/../data/store-v1
	zstd -qdc "$made_by_old/store-v1.tar.zst" |
		tar --extract --same-owner --same-permissions --xattrs --xattrs-include='*' -C "$BATS_TEST_TMPDIR"
}

@test "a store that an older version made has the same listings, also after a restart" {
	count_accesses
	start_agent
	kinds_agree "$made_by_old/expected"
	varve stats --json | kinds_as_before | kinds_says "$made_by_old/expected" stats
	run -0 varve fsck
	assert_output_has " 0 problems found"
	stop_agent
	start_agent
	kinds_agree "$made_by_old/expected"
}

@test "a store that an older version made has the same snapshots" {
	start_agent
	kinds_snapshots List | jq -s '.' | kinds_says "$made_by_old/expected" snapshots
}

@test "a store that an older version made has the same bytes in its layers" {
	local id sum
	start_agent
	while read -r id sum; do
		[[ $(varve diff "$id" | sha256sum) == "$sum "* ]] || {
			echo "the layer of $id differs"
			return 1
		}
	done < "$made_by_old/expected/diff"
}

id_of() { # DESCRIPTION
	varve ls --json | jq -r --arg d "$1" 'select(.description | endswith($d)) | .id' | head -n 1
}

@test "records of a store that an older version made can be mounted, extracted and pruned" {
	local child dir lazy
	start_agent
	child=$(id_of child)
	dir=$(varve mount "$child" --read-only)
	[[ ! -e $dir/etc/gone ]]
	[[ $(ls "$dir/var/old") == new ]]
	[[ $(tail -n 1 "$dir/bin/program") == more ]]
	[[ $(getfattr --only-values -n user.colour "$dir/etc" 2> /dev/null) == blue ]]

	lazy=$(id_of :two)
	varve extract "$lazy" 2> /dev/null
	[[ $(< "$(varve mount "$lazy" --read-only)/lazy/file") == lazy ]]
	varve umount "$lazy"
	varve release "$lazy"
	varve prune --all > /dev/null
	run varve inspect "$lazy"
	assert_status 4
	run -0 varve fsck
	assert_output_has " 0 problems found"
}

@test "a mutable record of a store that an older version made can be mounted and committed" {
	local dir mutable
	start_agent
	mutable=$(id_of mutable)
	dir=$(varve mount "$mutable")
	[[ $(< "$dir/mutable") == mutable ]]
	[[ $(tail -n 1 "$dir/etc/gone") == more ]]
	echo again >> "$dir/mutable"
	varve finalize "$(varve commit "$mutable")"
	run -0 varve fsck
	assert_output_has " 0 problems found"
}
