#!/usr/bin/env bats
# requires root overlay bpf jq systemctl
# SPDX-License-Identifier: Apache-2.0
#
# The installed package under the system's own systemd: installation, readiness, activation by the sockets, the
# watchdog, and the agent's death.

load system

@test "the installed agent runs at once, with the backend that this kernel allows and nothing to mend" {
	run -0 dpkg --install /opt/varve/varve.deb
	assert_says_nothing
	[[ $(systemctl is-active varved.service varved.socket varved-ro.socket | sort -u) == active ]]
	[[ $(systemctl is-enabled varved.service varved.socket varved-ro.socket | sort -u) == enabled ]]
	[[ $(varve info --json | jq -r .backend) == overlay ]]
	run varve doctor
	assert_status 0
}

@test "the package's main job is done" {
	run -0 /opt/varve/packaging/debian/tests/main-job
}

@test "systemd knows when the agent is ready" {
	[[ $(systemctl show --property=Type,NotifyAccess --value varved.service | paste -sd ' ') == "notify main" ]]
	systemctl stop varved.service
	# As long as it does not say so, systemctl waits: a store that another process has locked delays no answer.
	systemctl start varved.service
	[[ $(systemctl show --property=SubState --value varved.service) == running ]]
	journalctl --quiet --unit=varved.service --lines=20 --output=cat | grep -q ' ready$'
}

@test "a call starts an agent that is stopped, on each socket" {
	systemctl stop varved.service
	[[ $(systemctl is-active varved.service) == inactive ]]
	varve info
	retry 200 systemctl --quiet is-active varved.service # it answers when it still reads its records
	systemctl stop varved.service
	varve -H unix:///run/varve/varved-ro.sock info
	retry 200 systemctl --quiet is-active varved.service
}

@test "the watchdog restarts an agent that hangs, and its mounts stay" {
	local id pid
	id=$(varve new --retain --description watched)
	echo content > "$(varve mount "$id")/file"
	mkdir -p /run/systemd/system/varved.service.d
	printf '[Service]\nWatchdogSec=20\n' > /run/systemd/system/varved.service.d/watchdog.conf
	systemctl daemon-reload
	systemctl restart varved.service
	pid=$(agent_pid)
	kill -STOP "$pid"
	retry 200 other_agent "$pid"
	[[ $(systemctl show --property=NRestarts --value varved.service) == 1 ]]
	[[ $(cat "/var/lib/varve/mnt/$id/file") == content ]]
	varve umount "$id"
	varve release "$id"
	varve rm "$id"
	rm -r /run/systemd/system/varved.service.d
	systemctl daemon-reload
	systemctl restart varved.service
}

@test "systemd starts a killed agent again, and what is read meanwhile is counted" {
	local base id pid before i
	base=$(varve new --retain --description killed)
	echo content > "$(varve mount "$base")/file"
	base=$(varve commit "$base")
	id=$(varve new --retain --parent "$base")
	dir=$(varve mount "$id")
	before=$(opens "$base")
	pid=$(agent_pid)
	kill -9 "$pid"
	for ((i = 0; i < 100; i++)); do
		cat "$dir/file" > /dev/null
	done
	retry 200 other_agent "$pid"
	(($(opens "$base") == before + 100))
	varve umount "$id"
	varve release "$id"
	varve release "$base"
	run varve fsck
	assert_status 0
}
