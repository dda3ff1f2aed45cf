#!/usr/bin/env bats
# requires root overlay bpf jq dpkg systemctl
# SPDX-License-Identifier: Apache-2.0
#
# The package on hosts that lack something, for real: each is said in one line, nothing is broken, and the agent works
# when it is there. package.bats has more cases, in containers of this machine.

load system

setup() {
	require
	run -0 dpkg --purge varve
}

assert_says() { # TEXT
	[[ $(grep '^varve: ' <<< "$output") == "$1" ]] || {
		printf 'expected: %s\nin:       %s\n' "$1" "$output"
		return 1
	}
}

@test "a package on a kernel without overlayfs says so, and its agent runs when the module is there" {
	systemctl stop containerd.service
	rmmod overlay
	echo 'install overlay /bin/false' > /etc/modprobe.d/no-overlay.conf
	run -0 dpkg --install /opt/varve/varve.deb
	rm /etc/modprobe.d/no-overlay.conf
	assert_says "varve: the agent does not run: the kernel has no overlayfs: try modprobe overlay (CONFIG_OVERLAY_FS)"
	systemctl reset-failed varved.service
	modprobe overlay
	systemctl start varved.service
	[[ $(cat "/var/lib/varve/mnt/$(workspace)/file") == content ]]
}

@test "a package on a kernel without BTF says so, and mounts; with BTF, it counts" {
	local id
	mkdir -p "$BATS_TEST_TMPDIR/none"
	mount --bind "$BATS_TEST_TMPDIR/none" /sys/kernel/btf
	run -0 dpkg --install /opt/varve/varve.deb
	assert_says "varve: BTF is degraded (/sys/kernel/btf/vmlinux: No such file or directory): varve doctor says what to do"
	[[ $(varve info --json | jq -r .backend) == none ]]
	id=$(workspace)
	[[ $(cat "/var/lib/varve/mnt/$id/file") == content ]]
	umount /sys/kernel/btf
	systemctl restart varved.service
	[[ $(varve info --json | jq -r .backend) == overlay ]]
	[[ $(cat "/var/lib/varve/mnt/$id/file") == content ]]
	run varve doctor
	assert_status 0
}

@test "a package for a read-only /etc says so, and changes nothing" {
	mount --bind /etc /etc
	mount -o remount,bind,ro /etc
	run ! dpkg --install /opt/varve/varve.deb
	umount /etc
	assert_says "varve: /etc cannot be written to, where the configuration and groups belong: nothing was changed"
	[[ ! -e /usr/sbin/varved && ! -e /etc/varve ]]
}

@test "a package beside another agent of the same store says so, and leaves it alone" {
	local agent id
	dpkg-deb --extract /opt/varve/varve.deb "$BATS_TEST_TMPDIR/other"
	"$BATS_TEST_TMPDIR/other/usr/sbin/varved" --socket /run/other.sock > /dev/null 2>&1 3>&- &
	agent=$!
	other() {
		"$BATS_TEST_TMPDIR/other/usr/bin/varve" -H unix:///run/other.sock "$@"
	}
	retry 300 other info
	id=$(other new)
	run -0 dpkg --install /opt/varve/varve.deb
	assert_says "varve: the agent does not run: the store /var/lib/varve is in use by another varved: stop it, or give this one another --root"
	run -0 dpkg --purge varve
	assert_output_has "varve: the store /var/lib/varve stays, because an agent uses it"
	[[ $(other ls -q --no-trunc) == "$id" && -e /sys/fs/bpf/varve ]]
	kill "$agent"
	wait "$agent"
}
