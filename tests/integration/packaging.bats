#!/usr/bin/env bats
# requires systemd-analyze systemd-sysusers scdoc make
# SPDX-License-Identifier: Apache-2.0
#
# What is installed besides the programs.

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
	:
}

@test "systemd finds nothing wrong with the units" {
	run systemd-analyze verify --man=no "$units/varved.service" "$units/varved.socket" "$units/varved-ro.socket"
	[[ $output != *varve* ]] || {
		echo "$output"
		return 1
	}
	assert_status 0
	grep -qx "ExecStart=$prefix/sbin/varved" "$units/varved.service"
}

@test "nothing gives the agent a mount namespace" {
	run grep -hE '^[A-Z][A-Za-z]*=' "$units"/varved.service
	namespaced='^(Private[A-Za-z]*|Protect[A-Za-z]*|ProcSubset|Root[A-Z][A-Za-z]*|MountAPIVFS|MountFlags|MountImages|Extension[A-Za-z]*|Bind(ReadOnly)?Paths|[A-Za-z]*Paths|[A-Za-z]*Directories|TemporaryFileSystem|DynamicUser|[A-Za-z]*Credential[A-Za-z]*|LogNamespace|[A-Za-z]*NamespacePath)='
	[[ $(grep -E "$namespaced" <<< "$output") == PrivateMounts=no ]]
}

@test "the units' groups are those that are made, and that the agent looks for" {
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

@test "the man pages are there" {
	[[ -s $prefix/share/man/man1/varve.1 && -s $prefix/share/man/man8/varved.8 ]]
}
