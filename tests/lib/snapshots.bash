# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes and mounts snapshots as a client of containerd's interface does. For bats files that have loaded
# ../lib/helpers: they call snapshots_setup after agent_setup, and snapshots_teardown before agent_teardown.

# agent_setup sets these.
: "${agent_config=}" "${agent_root=}" "${agent_socket=}"

snapshots_setup() {
	snapshots_mounted=$BATS_TEST_TMPDIR/mounted
	export PYTHONPATH=$VARVE_BUILD/gen PYTHONDONTWRITEBYTECODE=1
}

snapshots_teardown() {
	local point
	[[ -n ${snapshots_mounted-} ]] || return 0
	while read -r point; do
		umount -l "$point"
	done < <(awk -v dir="$snapshots_mounted/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac)
}

# start_agent_with client|agent: starts an agent with this setting of who mounts snapshots.
start_agent_with() {
	printf '[prune]\nautomatic = no\n[snapshots]\nmounts = %s\n' "$1" > "$agent_config"
	start_agent
}

call() { # METHOD [FIELD=VALUE…], or what tests/tools/snapshots does
	case $1 in
	[A-Z]*) "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" "$@" ;;
	*) "$BATS_TEST_DIRNAME/../tools/snapshots" "$agent_socket" "$@" ;;
	esac
}

# mount_snapshot KEY [NAME]: mounts the snapshot as containerd's clients do, and prints where.
mount_snapshot() {
	local point=$snapshots_mounted/${2:-${1//[^a-z0-9]/-}}
	mkdir -p "$point"
	"$VARVE_BUILD/tests/tools/containerd_mount" "$agent_socket" "$1" "$point" && echo "$point"
}

# committed NAME [PARENT]: makes a committed snapshot with one file, which has the snapshot's name.
committed() {
	local point
	call Prepare key=work "parent=${2-}" > /dev/null
	point=$(mount_snapshot work)
	echo "$1" > "$point/${1//\//-}"
	umount "$point"
	call Commit key=work "name=$1" > /dev/null
}

record_of() { # KEY
	varve ls --json | jq -r --arg key "$1" 'select(.snapshot.key == $key) | .id'
}
