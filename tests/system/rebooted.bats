#!/usr/bin/env bats
# requires root overlay bpf jq containerd ctr
# SPDX-License-Identifier: Apache-2.0
#
# After a reboot with a running container and a mounted record (tests/system/containers.bats): nothing is lost, and
# mounts come back when a client asks for them.

load system

@test "the agent and its sockets are there after a reboot, with all records" {
	retry 200 systemctl --quiet is-active varved.service
	[[ $(systemctl is-active varved.socket varved-ro.socket | sort -u) == active ]]
	diff "$state/records" <(varve ls -q --no-trunc | sort)
	[[ $(varve info --json | jq -r .backend) == overlay ]]
	run varve fsck
	assert_status 0
	run varve doctor
	assert_status 0
}

@test "counts from before the reboot are there" {
	(($(opens "$(< "$state/layer")") == $(< "$state/opens")))
}

@test "a record's mount comes back when a client asks for it" {
	local id
	id=$(< "$state/workspace")
	run ! mountpoint -q "/var/lib/varve/mnt/$id"
	[[ $(cat "$(varve mount "$id")/file") == content ]]
}

@test "a container that ran starts again with what it wrote, and its reads are counted" {
	local layer before
	layer=$(< "$state/layer")
	before=$(opens "$layer")
	retry 100 ctr version
	ctr tasks start --detach kept
	run -0 ctr tasks exec --exec-id e1 kept /bin/cat /kept /data/two
	[[ $output == $'content\ntwo' ]]
	(($(opens "$layer") == before + 1))
	ctr tasks kill --signal SIGKILL kept
	retry 100 ctr tasks rm kept
	ctr containers rm kept
}

@test "the system ends without waiting for the agent" {
	journalctl --quiet --boot=-1 --unit=varved.service --output=cat | tac | sed '/^Stopping/q' > "$BATS_TEST_TMPDIR/said"
	grep -q 'Stopped varved.service' "$BATS_TEST_TMPDIR/said"
	run ! grep -iE 'timed out|SIGKILL|failed' "$BATS_TEST_TMPDIR/said"
}
