# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A BuildKit that the test plays (tests/tools/fake_buildkit.py), and an agent that has it as an owner. For bats files
# that have loaded ../lib/helpers and ../lib/snapshots: they call owners_setup_file in setup_file, owners_setup after
# snapshots_setup, and owners_teardown_file in teardown_file. All tests of a file share one BuildKit, which a test may
# stop.

# jq's variables look like the shell's.
# shellcheck disable=SC2016

# agent_setup and snapshots_setup set these.
: "${agent_config=}" "${agent_socket=}" "${agent_socket_dir=}" "${PYTHONPATH=}"

owners_setup_file() {
	export buildkit_dir buildkit buildkit_state buildkit_calls
	buildkit_dir=$(mktemp -d -t varve.XXXXXX)
	buildkit=$buildkit_dir/buildkit
	buildkit_state=$BATS_FILE_TMPDIR/buildkit.json
	buildkit_calls=$BATS_FILE_TMPDIR/buildkit.calls
}

owners_setup() {
	jq -n '{behaviour: "good", agent: $agent, records: []}' --arg agent "$agent_socket" > "$buildkit_state"
	: > "$buildkit_calls"
	configure_owner cache
}

owners_teardown_file() {
	[[ -z ${buildkit_dir-} ]] || {
		stop_buildkit
		rm -rf "$buildkit_dir"
	}
}

# configure_owner EVICT [LINE…]: the configuration of an agent with the owner "kit", which may be silent for
# $buildkit_timeout.
configure_owner() {
	local evict=$1
	shift
	{
		printf '[prune]\nautomatic = no\n'
		printf '[buildkit "kit"]\naddress = %s\ncontainerd = %s-containerd\nevict = %s\ntimeout = %s\n' \
			"$buildkit" "$buildkit" "$evict" "${buildkit_timeout:-10s}"
		printf '%s\n' "$@"
	} > "$agent_config"
}

# start_buildkit: unless another test has started it already.
start_buildkit() {
	[[ ! -e $buildkit_dir/pid ]] || return 0
	rm -f "$buildkit" "$buildkit-containerd"
	: > "$buildkit_dir/said" # it may have been ready before
	"$BATS_TEST_DIRNAME/../tools/fake_buildkit.py" "$buildkit" "$buildkit-containerd" "$buildkit_state" \
		"$buildkit_calls" > "$buildkit_dir/said" 2>&1 3>&- &
	echo $! > "$buildkit_dir/pid"
	retry 100 grep -q ready "$buildkit_dir/said"
}

stop_buildkit() {
	[[ -e $buildkit_dir/pid ]] || return 0
	kill -9 "$(< "$buildkit_dir/pid")"
	timeout 100 tail --pid="$(< "$buildkit_dir/pid")" -s 0.05 -f /dev/null
	rm "$buildkit_dir/pid"
}

# behave WORD: from now on BuildKit behaves so.
behave() {
	change_buildkit '.behaviour = $word' --arg word "$1"
}

# change_buildkit FILTER [JQ OPTION…]
change_buildkit() {
	jq "$@" "$buildkit_state" > "$buildkit_state.changed"
	mv "$buildkit_state.changed" "$buildkit_state"
}

# snapshot KEY SIZE [PARENT]: a committed snapshot with one file of this size.
snapshot() {
	call files "$1" "$2" "${3-}"
}

# cached ID SIZE [PARENT [FIELDS [ID SIZE PARENT FIELDS]…]]: records of BuildKit's cache and their snapshots,
# buildkit/1/ID. FIELDS is an object with more fields.
cached() {
	local wanted=() records='[]'
	while (($# > 0)); do
		wanted+=("buildkit/1/$1" "$2" "${3:+buildkit/1/$3}")
		records=$(jq -c '. + [{id: $id, parents: ($parent | if . == "" then [] else [.] end), size: 1,
			description: "step \($id)", record_type: "regular", snapshot: "buildkit/1/\($id)"} + $fields]' \
			--arg id "$1" --arg parent "${3-}" --argjson fields "${4:-{\}}" <<< "$records")
		shift $(($# < 4 ? $# : 4))
	done
	call files "${wanted[@]}"
	change_buildkit '.records += $records' --argjson records "$records"
}

# read_snapshot KEY: reads its file, through a view that is removed again.
read_snapshot() {
	local point
	call View key=reading "parent=$1" > /dev/null
	point=$(mount_snapshot reading)
	cat "$point"/data-* > /dev/null
	umount "$point"
	call Remove key=reading > /dev/null
}

has_snapshot() { # KEY
	varve ls --json | jq -r .snapshot.key | grep -xF -e "$1" > /dev/null
}

lacks_snapshot() { # KEY
	! has_snapshot "$1"
}
