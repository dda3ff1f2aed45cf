#!/usr/bin/env bats
# requires root overlay bpf jq systemctl dpkg-deb
# SPDX-License-Identifier: Apache-2.0
#
# Upgrade, removal and purge of the package in a system that boots; package.bats has more cases, in containers.

load system

setup() {
	require
	deb=/opt/varve/varve.deb
}

# Each time the file is opened must be counted, whichever agent runs.
read_until_stopped() { # FILE
	local reads=0
	until [[ -e $state/stop ]]; do
		cat "$1" > /dev/null || return
		reads=$((reads + 1))
		touch "$state/reading"
	done
	echo "$reads" > "$state/reads"
}

@test "an upgrade keeps an edited configuration, running mounts, and the count of what is read meanwhile" {
	local id opens pid reader dir=$BATS_TEST_TMPDIR/new
	id=$(workspace)
	echo "$id" > "$state/workspace"
	sed -i 's/^#interval = .*/interval = 15m/' /etc/varve/varved.conf
	dpkg-deb --raw-extract "$deb" "$dir"
	sed -i 's/^Version: .*/&+next/' "$dir/DEBIAN/control"
	sed -i '1s/.*/# Configuration of a newer varved./' "$dir/etc/varve/varved.conf"
	dpkg-deb --root-owner-group --build "$dir" "$dir.deb"
	pid=$(agent_pid)
	opens=$(opens "$id")
	read_until_stopped "/var/lib/varve/mnt/$id/file" 3>&- &
	reader=$!
	retry 100 test -e "$state/reading"
	run -0 dpkg --force-confdef --force-confold --install "$dir.deb"
	assert_says_nothing
	touch "$state/stop"
	wait "$reader"
	retry 200 other_agent "$pid"
	(($(opens "$id") == opens + $(< "$state/reads")))
	grep -qx 'interval = 15m' /etc/varve/varved.conf
	[[ -e /etc/varve/varved.conf.dpkg-dist ]]
	[[ $(cat "/var/lib/varve/mnt/$id/file") == content ]]
}

@test "a downgrade keeps running mounts" {
	local pid
	pid=$(agent_pid)
	run -0 dpkg --force-confdef --force-confold --install "$deb"
	retry 200 other_agent "$pid"
	[[ $(cat "/var/lib/varve/mnt/$(< "$state/workspace")/file") == content ]]
	grep -qx 'interval = 15m' /etc/varve/varved.conf
}

@test "a removal leaves the store and its mounts" {
	run -0 dpkg --remove varve
	assert_output_has "varve: the store /var/lib/varve stays until varve is purged"
	run ! pgrep -x varved
	[[ $(cat "/var/lib/varve/mnt/$(< "$state/workspace")/file") == content ]]
	[[ ! -e /sys/fs/bpf/varve && ! -e /run/varve ]]
}

@test "a purge says what it deletes, and leaves nothing" {
	systemctl stop containerd.service
	run -0 dpkg --purge varve
	assert_output_has "varve: deleting the store /var/lib/varve with"
	[[ ! -e /etc/varve && ! -e /var/lib/varve ]]
	run ! grep /var/lib/varve/ /proc/self/mountinfo
}
