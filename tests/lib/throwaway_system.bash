# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A Debian system with systemd as its first process, in namespaces of its own (systemd-nspawn), whose changes
# are thrown away: an overlay on this host's root directory, or on the one that VARVE_SYSTEM names. It has no
# network, its own /sys/fs/bpf, and a file system of its own for the store, because an overlay cannot be
# mounted on an overlay. For bats files that call system_stop in their teardown().

system_dir=
system_cgroup=varve-system-$$

# system_boot [OPTION…]: options of systemd-nspawn. Returns when the system has started.
system_boot() {
	local hierarchy
	system_dir=$(mktemp -d -t varve-system.XXXXXX)
	mount -t tmpfs -o mode=0755 varve-system "$system_dir"
	mkdir "$system_dir"/{changes,work,root}
	mount -t overlay varve-system "$system_dir/root" \
		-o "lowerdir=${VARVE_SYSTEM:-/},upperdir=$system_dir/changes,workdir=$system_dir/work"
	# What the host starts by itself is not wanted here, but what a package starts is.
	find "$system_dir/root/etc/systemd/system" -path '*.wants/*' -delete
	rm -f "$system_dir"/root/{etc/machine-id,usr/sbin/policy-rc.d,var/lib/man-db/auto-update}
	for hierarchy in $(system_hierarchies); do
		mkdir "$hierarchy/$system_cgroup"
	done
	(
		for hierarchy in $(system_hierarchies); do
			echo "$BASHPID" > "$hierarchy/$system_cgroup/cgroup.procs"
		done
		# systemd-nspawn's own private network comes without most of /sys.
		exec unshare --net env SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes systemd-nspawn --quiet \
			--directory="$system_dir/root" --boot --keep-unit --register=no \
			--console=pipe --tmpfs=/var/lib/varve:mode=0711 "$@" systemd.unit=basic.target
	) > "$system_dir/console" 2>&1 < /dev/null 3>&- &
	system_nspawn=$!
	retry 300 system_find_first || system_failed "did not start"
	retry 300 system_run systemctl --quiet is-active basic.target 2> /dev/null || system_failed "did not reach basic.target"
	system_run mount -t bpf bpf /sys/fs/bpf || system_failed "cannot mount /sys/fs/bpf"
}

system_failed() {
	echo "the system $1; it said:"
	tail -n 40 "$system_dir/console"
	return 1
}

# The hierarchies that systemd uses.
system_hierarchies() {
	awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd/) { print $2 }' /proc/mounts
}

# The child of systemd-nspawn that is the first process there, which is what it runs by now.
system_find_first() {
	local child
	for child in $(< "/proc/$system_nspawn/task/$system_nspawn/children"); do
		[[ $(readlink "/proc/$child/exe") == */systemd/systemd ]] || continue
		system_first=$child
		return
	done
	return 1
}

# system_run COMMAND…: in the system, as its root.
system_run() {
	nsenter --target "$system_first" --mount --uts --ipc --net --pid --cgroup --root \
		env -i --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@" 3>&-
}

system_stop() {
	local hierarchy
	[[ -n $system_dir ]] || return 0
	kill -9 "$system_first" 2> /dev/null || kill "$system_nspawn"
	wait "$system_nspawn" || true
	umount -R "$system_dir"
	rmdir "$system_dir"
	for hierarchy in $(system_hierarchies); do
		find "$hierarchy/$system_cgroup" -depth -type d -exec rmdir {} +
	done
	system_dir=
}
