#!/usr/bin/env bats
# requires root dpkg systemctl
# SPDX-License-Identifier: Apache-2.0
#
# Installs the package for the other tests of a part.

load system

@test "the package installs, and the agent is ready" {
	run -0 dpkg --install /opt/varve/varve.deb
	assert_says_nothing
	retry 200 systemctl --quiet is-active varved.service
}
