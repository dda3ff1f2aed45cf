#!/usr/bin/env bats
# requires systemd-analyze systemd-sysusers scdoc make jq
# SPDX-License-Identifier: Apache-2.0
#
# Files that are installed besides the programs: units, sysusers, man pages.

bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() {
	require
	prefix=$BATS_TEST_TMPDIR/usr
	make -C "$BATS_TEST_DIRNAME/../.." -s install-data PREFIX="$prefix" OUT="$BATS_TEST_TMPDIR/out"
	install -D "$VARVE_BUILD/varved" "$prefix/sbin/varved"
	units=$prefix/lib/systemd/system
}

teardown() {
	agent_teardown
}

@test "systemd-analyze accepts the units" {
	run systemd-analyze verify --man=no "$units/varved.service" "$units/varved.socket" "$units/varved-ro.socket"
	[[ $output != *varve* ]] || {
		echo "$output"
		return 1
	}
	assert_status 0
	grep -qx "ExecStart=$prefix/sbin/varved" "$units/varved.service"
}

@test "no setting of the unit gives the agent a mount namespace of its own" {
	run grep -hE '^[A-Z][A-Za-z]*=' "$units"/varved.service
	namespaced='^(Private[A-Za-z]*|Protect[A-Za-z]*|ProcSubset|Root[A-Z][A-Za-z]*|MountAPIVFS|MountFlags|MountImages|Extension[A-Za-z]*|Bind(ReadOnly)?Paths|[A-Za-z]*Paths|[A-Za-z]*Directories|TemporaryFileSystem|DynamicUser|[A-Za-z]*Credential[A-Za-z]*|LogNamespace|[A-Za-z]*NamespacePath)='
	[[ $(grep -E "$namespaced" <<< "$output") == PrivateMounts=no ]]
}

@test "the units use the groups and sockets that sysusers creates and the agent expects" {
	cp "$prefix/lib/sysusers.d/varve.conf" "$BATS_TEST_TMPDIR/varve.conf"
	mkdir -p "$BATS_TEST_TMPDIR/root/etc"
	systemd-sysusers --root="$BATS_TEST_TMPDIR/root" "$BATS_TEST_TMPDIR/varve.conf"
	for socket in varved varved-ro; do
		group=$(sed -n 's/^SocketGroup=//p' "$units/$socket.socket")
		grep -q "^$group:" "$BATS_TEST_TMPDIR/root/etc/group"
		grep -q "\"$group\"" "$BATS_TEST_DIRNAME/../../userspace/daemon/config.h"
		grep -qx "ListenStream=$(sed -n 's/.*"\(\/run\/varve\/'"$socket"'\.sock\)".*/\1/p' "$BATS_TEST_DIRNAME/../../userspace/daemon/config.h")" \
			"$units/$socket.socket"
	done
}

@test "the man pages are installed" {
	[[ -s $prefix/share/man/man1/varve.1 && -s $prefix/share/man/man8/varved.8 ]]
}

@test "systemd-analyze rates the unit's exposure at most 6.0" {
	exposure=$(systemd-analyze security --offline=true "$units/varved.service" |
		sed -n 's/.*Overall exposure level for varved.service: \([0-9.]*\).*/\1/p')
	awk -v exposure="$exposure" 'BEGIN { exit !(exposure > 0 && exposure <= 6.0) }' || {
		echo "exposure is $exposure"
		return 1
	}
	grep -qx 'UMask=0077' "$units/varved.service"
	# The unit has a comment on each of these settings. Removing one needs a reason, and a change here.
	for setting in CapabilityBoundingSet SystemCallFilter RestrictNamespaces RestrictAddressFamilies NoNewPrivileges; do
		grep -q "^$setting=" "$units/varved.service"
	done
}

@test "the unit's capabilities suffice for the agent and for containers' changes in their mounts" {
	[[ $EUID == 0 ]] || skip "not root"
	command -v setpriv > /dev/null || skip "no setpriv"
	agent_setup
	capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$units/varved.service" | tr ' ' '\n' |
		sed 's/^CAP_/+/' | tr '[:upper:]' '[:lower:]' | paste -sd,)
	agent_launcher="setpriv --no-new-privs --bounding-set=-all,$capabilities" start_agent
	base=$(varve new --retain)
	mount=$(varve mount "$base")
	echo x > "$mount/file"
	mkdir "$mount/dir"
	mknod "$mount/device" c 1 3
	chown 1000:1000 "$mount/file"
	chmod 4755 "$mount/file"
	base=$(varve commit "$base")
	id=$(varve new --parent "$base")
	mount=$(varve mount "$id")
	rm -r "$mount/dir" "$mount/device" # whiteouts
	chown 1001:1001 "$mount/file" # this copies up a file of another user
	setfattr -n trusted.x -v 1 "$mount/file" 2> /dev/null || true
	[[ $(stat -c '%u %g' "$mount/file") == "1001 1001" && ! -e $mount/dir ]]
	# shellcheck disable=SC2217 # sleep only keeps the file open
	sleep 60 < "$mount/file" 3>&- &
	user=$!
	run -5 varve umount "$id"
	assert_output_has "$user"
	kill "$user"
	wait "$user" || true
	varve umount "$id"
}
