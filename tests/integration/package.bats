#!/usr/bin/env bats
# requires root overlay jq dh lintian systemd-nspawn
# SPDX-License-Identifier: Apache-2.0
#
# The Debian package: how it is built, and what it does to a system when it is installed, upgraded, removed and
# purged. That two builds give the same bytes is shown by scripts/check-packages. VARVE_DEB names a folder with
# packages that are built already, and VARVE_SYSTEM the root directory of another system than this one
# (scripts/check-packages).

# shellcheck disable=SC2016 # what is expanded in the system, not here

bats_require_minimum_version 1.5.0
load ../lib/helpers
load ../lib/throwaway_system

setup_file() {
	export deb_dir=${VARVE_DEB-}
	[[ -n $(lacking dh) || -n $deb_dir ]] || deb_dir=$BATS_FILE_TMPDIR/deb
	[[ $deb_dir != "$BATS_FILE_TMPDIR/deb" ]] || make_deb "$deb_dir"
}

setup() {
	require
	deb=$(ls "$deb_dir"/varve_*.deb)
	# shellcheck disable=SC2034 # for the environment of system_run
	version=$(dpkg-deb --field "$deb" Version)
}

teardown() {
	system_stop
}

# What is compiled here must be compiled, not taken from a cache. Without optimization, which scripts/check-packages
# has, that takes half the time.
make_deb() {
	CCACHE_DISABLE=1 DEB_BUILD_OPTIONS="nocheck noopt" "$BATS_TEST_DIRNAME/../../scripts/make-deb" "$1" 3>&-
}

# old_deb: a package of an older version, whose configuration has another text; prints its path. On this system, its
# programs are those of the last version that was released.
old_deb() {
	local dir=$BATS_TEST_TMPDIR/old released=
	dpkg-deb --raw-extract "$deb" "$dir"
	if [[ -z ${VARVE_SYSTEM-} && -z $(lacking history) ]]; then
		released=$("$BATS_TEST_DIRNAME/../../scripts/build-version" --last 3>&-)
		cp "$released/varved" "$dir/usr/sbin/varved"
		cp "$released/varve" "$dir/usr/bin/varve"
	fi
	sed -i 's/^Version: .*/Version: 0.0.9/' "$dir/DEBIAN/control"
	sed -i '1s/.*/# Configuration of an older varved./' "$dir/etc/varve/varved.conf"
	dpkg-deb --root-owner-group --build "$dir" "$dir.deb" > /dev/null
	echo "$dir.deb"
}

# install DEB: in the system, as an administrator does with --force-confold or without a terminal.
install() {
	cp "$1" "$system_dir/root/opt/varve.deb"
	system_run dpkg --force-confdef --force-confold --install /opt/varve.deb
}

active() { # UNIT…
	[[ $(system_run systemctl is-active "$@" | sort -u) == active ]]
}

# Has the one line of what the package says about itself.
assert_says() {
	[[ $(grep '^varve: ' <<< "$output") == "$1" ]] || {
		printf 'expected: %s\nin:       %s\n' "$1" "$output"
		return 1
	}
}

assert_says_nothing() {
	! grep '^varve: ' <<< "$output"
}

# workspace: makes a record with a file, and mounts it.
workspace() {
	system_run sh -ec 'id=$(varve new --retain --description workspace)
		echo content > "$(varve mount "$id")/file"
		echo "$id"'
}

counted() { # ID: how often its file was opened
	system_run varve stats --json | jq --arg id "$1" 'select(.id == $id) | .opens'
}

@test "lintian finds nothing wrong with the packages" {
	# shellcheck disable=SC2086
	# lintian leaves its files there.
	TMPDIR=$BATS_TEST_TMPDIR run lintian --allow-root --fail-on error,warning "$deb_dir"/*.changes
	assert_status 0
}

@test "the package has the version of the news, and what the readme promises" {
	local listing path
	heading=$(grep -m 1 '^## [0-9]' "$BATS_TEST_DIRNAME/../../NEWS.md")
	[[ $version == "$(cut -d ' ' -f 2 <<< "$heading")"* ]]
	[[ $heading != *"not released"* || $version == *"~dev"* ]]
	listing=$(dpkg-deb --contents "$deb" | awk '{ print $6 }')
	for path in /usr/sbin/varved /usr/bin/varve /usr/sbin/varve-fetch /etc/varve/varved.conf \
		/usr/lib/sysusers.d/varve.conf /usr/lib/tmpfiles.d/varve.conf \
		/usr/share/man/man1/varve.1.gz /usr/share/man/man8/varved.8.gz /usr/share/man/man8/varve-fetch.8.gz \
		/usr/share/bash-completion/completions/varve /usr/share/zsh/vendor-completions/_varve \
		/usr/share/fish/vendor_completions.d/varve.fish \
		/usr/share/doc/varve/doc/containerd.md /usr/share/doc/varve/doc/buildkit.md /usr/share/doc/varve/NEWS.md; do
		grep -qx ".$path" <<< "$listing" || {
			echo "the package has no $path"
			return 1
		}
	done
	[[ $(dpkg-deb --info "$deb" conffiles) == /etc/varve/varved.conf ]]
	dpkg-deb --contents "$deb_dir"/varve-dbgsym_*.deb | grep -q '/usr/lib/debug/.build-id/.*debug$'
}

@test "an installed agent works at once, also for the members of its groups, and does its main job" {
	system_boot
	run -0 install "$deb"
	assert_says_nothing
	active varved.service varved.socket varved-ro.socket
	[[ $(system_run stat -c '%a %G' /run/varve/varved.sock) == "660 varve" ]]
	[[ $(system_run stat -c '%a %G' /run/varve/varved-ro.sock) == "660 varve-ro" ]]
	[[ $(system_run varve policy show --json | jq -rs '[.[].name] | join(" ")') == "sources old space everything" ]]
	id=$(system_run setpriv --reuid=nobody --regid=nogroup --groups=varve varve new)
	system_run setpriv --reuid=nobody --regid=nogroup --groups=varve-ro varve -H unix:///run/varve/varved-ro.sock ls
	system_run varve release "$id"

	cp "$BATS_TEST_DIRNAME/../../packaging/debian/tests/main-job" "$system_dir/root/opt/"
	system_run /opt/main-job
}

@test "the completions are found by each shell" {
	system_boot
	install "$deb"
	if [[ -e $system_dir/root/usr/share/bash-completion/bash_completion ]]; then
		run -0 system_run bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader varve || true
			COMP_WORDS=(varve pru) COMP_CWORD=1; _varve; echo "${COMPREPLY[@]}"'
		[[ $output == prune ]]
	fi
	if [[ -e $system_dir/root/usr/bin/fish ]]; then
		run -0 system_run fish -c 'complete --do-complete "varve pru"'
		assert_output_has prune
	fi
	if [[ -e $system_dir/root/usr/bin/zsh ]]; then
		run -0 system_run zsh -fc 'autoload -U compinit; compinit -u; echo $_comps[varve]; compadd() { print -l "$@"; }
			words=(varve pru) CURRENT=2; _varve'
		assert_output_has prune
	fi
}

@test "an upgrade keeps running mounts, what is counted meanwhile, and an edited configuration" {
	local id opens
	system_boot
	install "$(old_deb)"
	sed -i 's/^#interval = .*/interval = 15m/' "$system_dir/root/etc/varve/varved.conf"
	id=$(workspace)
	opens=$(counted "$id")
	system_run sh -c "sleep 1000 < /var/lib/varve/mnt/$id/file & echo \$!" > "$BATS_TEST_TMPDIR/user"
	before=$(system_run varve info --json | jq .pid)
	# Somebody reads all the time, and each time is counted.
	echo "i=0; until [ -e /opt/stop ]; do cat /var/lib/varve/mnt/$id/file > /dev/null; i=\$((i + 1)); done; echo \$i > /opt/reads" \
		> "$system_dir/root/opt/read"
	system_run sh /opt/read &
	reader=$!

	run -0 install "$deb"
	assert_says_nothing
	touch "$system_dir/root/opt/stop"
	wait "$reader"
	active varved.service varved.socket varved-ro.socket
	[[ $(system_run varve info --json | jq .pid) != "$before" ]]
	[[ $(system_run dpkg-query -W -f '${Version}' varve) == "$version" ]]
	[[ $(system_run readlink "/proc/$(< "$BATS_TEST_TMPDIR/user")/fd/0") == "/var/lib/varve/mnt/$id/file" ]]
	(($(counted "$id") == opens + 1 + $(< "$system_dir/root/opt/reads")))
	grep -qx 'interval = 15m' "$system_dir/root/etc/varve/varved.conf"
	system_run varved --check-config
	[[ -e $system_dir/root/etc/varve/varved.conf.dpkg-dist ]]
}

@test "an upgrade replaces a configuration that nobody edited, and starts no agent that is disabled" {
	system_boot
	install "$(old_deb)"
	system_run systemctl disable --quiet --now varved.service varved.socket varved-ro.socket
	run -0 install "$deb"
	assert_says_nothing
	[[ $(head -n 1 "$system_dir/root/etc/varve/varved.conf") == "# Configuration of varved."* ]]
	[[ $(system_run systemctl is-active varved.service varved.socket varved-ro.socket | sort -u) == inactive ]]
}

@test "a package says so when a policy of the host forbids to start its agent" {
	system_boot
	printf '#!/bin/sh\nexit 101\n' > "$system_dir/root/usr/sbin/policy-rc.d"
	chmod 755 "$system_dir/root/usr/sbin/policy-rc.d"
	run -0 install "$deb"
	assert_says "varve: the agent was not started: 'systemctl start varved' does"
	system_run systemctl start varved
	active varved.service varved.socket varved-ro.socket
}

@test "a removal ends the agent and its counting, and leaves the store and its mounts" {
	local id
	system_boot
	install "$deb"
	id=$(workspace)
	run -0 system_run dpkg --remove varve
	assert_says "varve: the store /var/lib/varve stays until varve is purged; mounted records: 1"
	run ! system_run pgrep -x varved
	[[ $(system_run cat "/var/lib/varve/mnt/$id/file") == content ]]
	system_run sh -c '[ ! -e /sys/fs/bpf/varve ] && [ ! -e /run/varve ] && [ -e /etc/varve/varved.conf ]'

	# As if it had only been stopped.
	run -0 install "$deb"
	assert_says_nothing
	[[ $(system_run varve ls -q --no-trunc) == "$id" ]]
	[[ $(system_run varve info --json | jq .mounts) == 1 ]]
}

@test "a purge says what it deletes, and leaves nothing" {
	system_boot
	install "$deb"
	workspace
	run -0 system_run dpkg --purge varve
	assert_output_has "varve: deleting the store /var/lib/varve with 1 layers"
	system_run sh -c '[ ! -e /etc/varve ] && [ ! -e /sys/fs/bpf/varve ] && [ ! -e /run/varve ]'
	[[ -z $(system_run find /var/lib/varve -mindepth 1) ]]
	run ! system_run grep /var/lib/varve/ /proc/self/mountinfo
	[[ -z $(system_run find /etc/systemd /var/lib/systemd -name '*varve*') ]]
}

@test "a purge leaves a store whose mounts are in use, here or in another mount namespace" {
	local id user
	system_boot
	install "$deb"
	id=$(workspace)
	user=$(system_run sh -c "cd /var/lib/varve/mnt/$id && sleep 1000 > /dev/null & echo \$!")
	system_run dpkg --remove varve
	run -0 system_run dpkg --purge varve
	assert_says "varve: the store /var/lib/varve stays, because its layers are mounted at /var/lib/varve/mnt/$id: delete it by hand when this has ended"
	[[ $(system_run cat "/var/lib/varve/mnt/$id/file") == content ]]
	system_run kill "$user"

	install "$deb"
	user=$(system_run sh -c 'unshare --mount --propagation private sleep 1000 > /dev/null & echo $!')
	retry 50 system_run sh -c "[ \"\$(readlink /proc/$user/ns/mnt)\" != \"\$(readlink /proc/self/ns/mnt)\" ]"
	system_run dpkg --remove varve
	run -0 system_run dpkg --purge varve
	assert_says "varve: the store /var/lib/varve stays, because process $user (sleep) has its layers mounted: delete it by hand when this has ended"
	[[ $(system_run nsenter --target "$user" --mount cat "/var/lib/varve/mnt/$id/file") == content ]]
	system_run kill "$user"
}

@test "a package on a kernel without BTF says so, and mounts" {
	system_boot
	system_run mkdir /tmp/none
	system_run mount --bind /tmp/none /sys/kernel/btf
	run -0 install "$deb"
	assert_says "varve: BTF is degraded (/sys/kernel/btf/vmlinux: No such file or directory): varve doctor says what to do"
	active varved.service
	workspace
}

@test "a package on a kernel without overlayfs says so" {
	system_boot
	# What the kernel answers when it does not know a file system's type.
	mkdir -p "$system_dir/root/etc/systemd/system/varved.service.d"
	printf '[Service]\nSystemCallFilter=~fsopen:ENODEV mount:ENODEV\n' > "$system_dir/root/etc/systemd/system/varved.service.d/none.conf"
	run -0 install "$deb"
	assert_says "varve: the agent does not run: the kernel has no overlayfs: try modprobe overlay (CONFIG_OVERLAY_FS)"
}

@test "a package in a container without systemd says so, and its agent says what it may not do" {
	system_boot
	cp "$deb" "$system_dir/root/opt/varve.deb"
	# shellcheck disable=SC2016
	run -0 system_run unshare --mount sh -ec 'mount -t tmpfs none /run
		exec setpriv --bounding-set=-sys_admin,-bpf,-perfmon dpkg --install /opt/varve.deb'
	assert_says "varve: systemd does not run here, so the agent was not started: run 'varved' as root"
	run -6 system_run setpriv --bounding-set=-sys_admin,-bpf,-perfmon varved --socket /tmp/sock
	[[ $output == *"no permission to mount file systems: the agent has to be root, with CAP_SYS_ADMIN" ]]
	run -0 system_run dpkg --purge varve
}

@test "a package for a read-only /etc says so, and changes nothing" {
	local id
	system_boot
	system_run mount --bind /etc /etc
	system_run mount -o remount,bind,ro /etc
	run ! install "$deb"
	assert_says "varve: /etc cannot be written to, where the configuration and groups belong: nothing was changed"
	[[ ! -e $system_dir/root/usr/sbin/varved ]]
	system_run umount /etc
	install "$(old_deb)"
	id=$(workspace)
	system_run mount --bind /etc /etc
	system_run mount -o remount,bind,ro /etc
	run ! install "$deb"
	assert_says "varve: /etc cannot be written to, where the configuration and groups belong: nothing was changed"
	active varved.service
	[[ $(system_run dpkg-query -W -f '${db:Status-Status} ${Version}' varve) == "installed 0.0.9" ]]
	[[ $(system_run cat "/var/lib/varve/mnt/$id/file") == content ]]
	system_run umount /etc
	install "$deb"
	active varved.service
}

@test "a package beside another agent of the same store says so, and leaves it alone" {
	system_boot
	dpkg-deb --extract "$deb" "$system_dir/root/opt/other"
	system_run sh -c '/opt/other/usr/sbin/varved --socket /run/other.sock > /dev/null 2>&1 &'
	retry 300 system_run /opt/other/usr/bin/varve -H unix:///run/other.sock info
	id=$(system_run /opt/other/usr/bin/varve -H unix:///run/other.sock new)
	run -0 install "$deb"
	assert_says "varve: the agent does not run: the store /var/lib/varve is in use by another varved: stop it, or give this one another --root"
	run -0 system_run dpkg --purge varve
	assert_output_has "varve: the store /var/lib/varve stays, because an agent uses it"
	[[ $(system_run /opt/other/usr/bin/varve -H unix:///run/other.sock ls -q --no-trunc) == "$id" ]]
	system_run test -e /sys/fs/bpf/varve
}
