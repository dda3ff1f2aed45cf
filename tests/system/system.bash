# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For the tests of a whole system (tests/system/guest): the agent, containerd and the store are the host's, and stay
# from test to test and from file to file.

bats_require_minimum_version 1.5.0
load ../lib/helpers
load ../lib/containerd

# shellcheck disable=SC2034 # for ../lib/helpers
agent_root=/var/lib/varve
state=/opt/varve/state # what a file leaves for one after the reboot
# shellcheck disable=SC2034 # for the tests
image=test.local/three:latest
mkdir -p "$state"

setup() {
	require
}

teardown() {
	journalctl --quiet --unit=varved --lines=20 --output=cat | sed 's/^/agent: /' # shown when the test has failed
}

varve() {
	command varve "$@"
}

# The package has nothing to say of this host, after `run`.
assert_says_nothing() {
	# shellcheck disable=SC2154
	! grep '^varve: ' <<< "$output"
}

agent_pid() {
	systemctl show --property=MainPID --value varved.service
}

# other_agent PID: an agent that is ready, and another one.
other_agent() {
	[[ $(agent_pid) != "$1" && $(agent_pid) != 0 ]] && systemctl --quiet is-active varved.service
}

# Configures containerd as the documents say.
configure_containerd() {
	sed -n '/^   version = 2/,/^   ```/p' /opt/varve/containerd.md | sed '/```/d; s/^   //' > /etc/containerd/config.toml
	grep -q proxy_plugins.varve /etc/containerd/config.toml
	systemctl restart containerd.service
	run -0 command ctr plugins ls
	grep -E ' varve +\S+ +ok' <<< "$output" || {
		echo "$output"
		return 1
	}
}

# workspace: makes a record with a file, and mounts it; prints its id.
workspace() {
	local id
	id=$(varve new --retain --description workspace)
	echo content > "$(varve mount "$id")/file"
	echo "$id"
}

opens() { # ID
	varve stats "$1" --json | jq .opens
}

ctr() {
	command ctr "$@" 3>&-
}
