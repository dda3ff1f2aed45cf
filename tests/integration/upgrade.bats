#!/usr/bin/env bats
# requires root overlay jq zstd getfattr
# SPDX-License-Identifier: Apache-2.0
#
# A store that an older version made (tests/data/store-v1/make), as it is after a reboot, opens unchanged.

load ../lib/helpers
load ../lib/kinds

setup() {
	agent_setup
	export PYTHONPATH=$VARVE_BUILD/gen PYTHONDONTWRITEBYTECODE=1
	made_by_old=$BATS_TEST_DIRNAME/../data/store-v1
	zstd -qdc "$made_by_old/store-v1.tar.zst" |
		tar --extract --same-owner --same-permissions --xattrs --xattrs-include='*' -C "$BATS_TEST_TMPDIR"
}

<<<<<<< HEAD
=======
snapshots() { # METHOD [FIELD=VALUE…]
	"$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" "$@"
}

# says NAME: standard input has everything that expected/NAME.json has. It may have more keys, and lacks the
# mounts, which end with a reboot.
says() {
	jq -n --slurpfile expected "$made_by_old/expected/$1.json" --slurpfile found /dev/stdin '
		def missing($want; $have):
			if ($want | type) == "object" and ($have | type) == "object" then
				$want | keys[] | select(. != "mountpoint" and . != "mountIdMap" and . != "readOnly") as $key |
					missing($want[$key]; $have[$key]) | "\($key).\(.)"
			elif ($want | type) == "array" and ($have | type) == "array" and ($want | length) == ($have | length) then
				range($want | length) as $n | missing($want[$n]; $have[$n]) | "\($n).\(.)"
			elif $want == $have then empty
			else " expected \($want), found \($have)" end;
		missing($expected[0]; $found[0])' > "$BATS_TEST_TMPDIR/missing"
	[[ ! -s $BATS_TEST_TMPDIR/missing ]] || {
		printf '%s:\n' "$1"
		cat "$BATS_TEST_TMPDIR/missing"
		return 1
	}
}

# The size of what a client may be writing is not known without measuring: to the old version it was 0.
as_before() {
	jq -s 'map(if .snapshot.kind == "active" and .size == null then .size = 0 else . end) | sort_by(.id)'
}

listings_agree() {
	local ids
	mapfile -t ids < <(varve ls -q --no-trunc)
	# du measures the layers whose size is not known yet.
	varve du --json | jq -s 'map(select(.id)) | sort_by(.id)' | says du
	varve ls --json | as_before | says ls
	varve inspect --json "${ids[@]}" | jq -s 'sort_by(.id)' | says inspect
	varve lease ls --json | jq -s 'sort_by(.name)' | says lease
	varve prune --all --dry-run --json | jq -s 'map(select(.id) | .id) | sort' | says prune
}

>>>>>>> fdd0d7b (tests: one build fewer, and cheap calls of snapshots)
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
	lacking python3-grpc && skip "the package python3-grpcio is not installed"
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
