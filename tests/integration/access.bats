#!/usr/bin/env bats
# requires root overlay jq python3 setpriv systemd-socket-activate
# SPDX-License-Identifier: Apache-2.0
#
# Access control: by the permissions of the sockets' files, and by the caller's credentials in each call.

load ../lib/helpers

# Groups and a user that every Debian system has take the place of Varve's own.
group=daemon
readers=games
stranger=$(id -u nobody)

setup() {
	agent_setup
	chmod 755 "$agent_socket_dir"
	ro=$agent_socket_dir/ro
	may_use "$readers"
}

# may_use GROUP: configures the group that may use the read-only socket.
may_use() {
	printf '[agent]\ngroup = %s\nread_only_group = %s\nread_only_socket = %s\n[prune]\nautomatic = no\n' \
		"$group" "$1" "$ro" > "$agent_config"
}

# as GROUP[,GROUP…]|- COMMAND…: runs the command as another user in these groups, or in no group.
as() {
	local groups=$1
	shift
	if [[ $groups == - ]]; then
		setpriv --reuid "$stranger" --regid "$stranger" --clear-groups "$@"
	else
		setpriv --reuid "$stranger" --regid "$stranger" --groups "$groups" "$@"
	fi
}

gid() {
	getent group "$1" | cut -d: -f3
}

# stranger_varve GROUPS SOCKET ARGUMENT…: runs a copy of varve, which other users can execute, as another user.
stranger_varve() {
	[[ -x $agent_socket_dir/varve ]] || install -m 755 "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	as "$1" env ASAN_OPTIONS=detect_leaks=0 "$agent_socket_dir/varve" -H "unix://$2" "${@:3}"
}

@test "only root and each socket's group can connect to that socket" {
	start_agent
	[[ $(stat -c '%a %U %G' "$agent_socket") == "660 root $group" ]]
	[[ $(stat -c '%a %U %G' "$ro") == "660 root $readers" ]]
	run -6 stranger_varve - "$agent_socket" ls
	run -6 stranger_varve - "$ro" ls
	stranger_varve "$(gid "$group")" "$agent_socket" new
	stranger_varve "$(gid "$readers")" "$ro" ls
	stop_agent
	[[ ! -e $agent_socket && ! -e $ro ]]
}

@test "a socket has its group and mode from the start, and nothing at its path is changed later" {
	umask 077
	# Where the agent does not own the directory, another file may be at the path by then.
	agent_launcher="$VARVE_BUILD/tests/tools/without_calls chown,lchown,fchownat" start_agent
	[[ $(stat -c '%a %U %G' "$agent_socket") == "660 root $group" ]]
	[[ $(stat -c '%a %U %G' "$ro") == "660 root $readers" ]]
}

@test "the agent refuses a user outside the groups even when the socket's mode lets the user connect" {
	start_agent
	chmod 666 "$agent_socket" "$ro"
	run -6 stranger_varve - "$agent_socket" ls
	assert_output_has "uid $stranger may not use this: the socket is for root and members of the group $group"
	assert_output_has "$ro"
	run -6 stranger_varve "$(gid "$readers")" "$agent_socket" ls
	run -6 stranger_varve - "$ro" ls
	assert_output_has "members of the group $readers"
	stranger_varve "$(gid tty),$(gid "$group")" "$agent_socket" ls
	stranger_varve "$(gid tty),$(gid "$group")" "$ro" ls
}

@test "the read-only socket refuses calls that may change something, even from root" {
	start_agent
	id=$(varve new --retain)
	before=$(varve ls --json)
	ro_varve() { "$VARVE_BUILD/varve" -H "unix://$ro" "$@"; }
	for command in "new" "mount $id" "umount $id" "commit $id" "finalize $id" "get $id" "release $id" "rm $id" \
		"pin $id" "unpin $id" "label $id a=b" "prune" "prune --dry-run" "fsck" "backup x" "lease create x" "lease rm cli"; do
		# shellcheck disable=SC2086
		run -6 ro_varve $command
		assert_output_has "this socket is read-only"
		assert_output_has "$agent_socket, as root or as a member of the group $group"
	done
	for command in ls du tree stats "stats --mounts" "files $id" "inspect $id" "explain $id" "policy show" "lease ls" info; do
		# shellcheck disable=SC2086
		ro_varve $command
	done
	run -8 ro_varve doctor || [[ $status == 0 ]]
	[[ $(varve ls --json) == "$before" ]]
}

@test "the read-only socket refuses containerd's Mounts, which may mount" {
	start_agent
	call() { "$VARVE_BUILD/tests/tools/snapshots_call" "$@"; }
	call "$agent_socket" Prepare key=work > /dev/null
	mounts=$(count_mounts)
	run call "$ro" Mounts key=work
	[[ $status != 0 ]]
	assert_output_has PERMISSION_DENIED
	assert_output_has "Snapshots/Mounts may change something"
	call "$ro" Stat key=work
	[[ $(count_mounts) == "$mounts" ]]
}

@test "one user gets at most 64 connections to the read-only socket, and other users still connect" {
	may_use '*'
	start_agent
	run as - /usr/bin/python3 -c '
import socket, sys
sockets = [socket.socket(socket.AF_UNIX) for _ in range(70)]
for s in sockets:
    s.connect(sys.argv[1])
print(sum(s.recv(1) == b"" for s in sockets), "of 70 were closed")' "$ro"
	assert_output_has "6 of 70 were closed"
	"$VARVE_BUILD/varve" -H "unix://$ro" ls
}

count_mounts() {
	grep -c " $agent_root/" /proc/self/mountinfo || true
}

# crowd KIND SOCKET COMMAND…: runs the command while four users have as many connections as they can get: of
# the kind idle, or begun, with an incomplete request on each.
crowd() {
	/usr/bin/python3 - "$@" <<- 'END'
		import os, socket, subprocess, sys
		kind, path, command = sys.argv[1], sys.argv[2], sys.argv[3:]
		greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
		block = b"\x83\x86\x01\x01t\x04\x14/varve.v1.Cache/List\x0f\x10\x10application/grpc"
		headers = bytes([0, 0, len(block), 1, 4, 0, 0, 0, 1]) + block
		held = []
		for uid in range(70001, 70005):
		    os.seteuid(uid)
		    for _ in range(64):
		        s = socket.socket(socket.AF_UNIX)
		        s.connect(path)
		        held.append(s)
		        s.sendall(greeting + (headers if kind == "begun" else b""))
		    os.seteuid(0)
		for s in held:
		    s.settimeout(10)
		    s.recv(1)
		sys.exit(subprocess.call(command))
	END
}

@test "idle connections and incomplete requests of some users do not lock other users out of the read-only socket" {
	may_use '*'
	start_agent
	install -m 755 "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	for kind in idle begun; do
		crowd "$kind" "$ro" setpriv --reuid "$stranger" --regid "$stranger" --clear-groups \
			env ASAN_OPTIONS=detect_leaks=0 "$agent_socket_dir/varve" -H "unix://$ro" ls
		crowd "$kind" "$ro" "$VARVE_BUILD/varve" -H "unix://$ro" ls
	done
}

@test "read_only_group = * lets every user call the read-only socket" {
	may_use '*'
	start_agent
	[[ $(stat -c '%a' "$ro") == 666 && $(stat -c '%a' "$agent_socket") == 660 ]]
	stranger_varve - "$ro" ls
	run -6 stranger_varve - "$ro" new
}

@test "varve falls back to the read-only socket when the user may not use the other one" {
	start_agent
	mount -t tmpfs run /run
	mkdir /run/varve
	ln -s "$agent_socket" /run/varve/varved.sock
	ln -s "$ro" /run/varve/varved-ro.sock
	unset VARVE_ADDRESS
	install -m 755 "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	as "$(gid "$readers")" "$agent_socket_dir/varve" ls
	run -6 as "$(gid "$readers")" "$agent_socket_dir/varve" new
	assert_output_has "this socket is read-only"
	run -6 as - "$agent_socket_dir/varve" ls
	assert_output_has "is for root and the group varve"
	umount /run
}

@test "the agent refuses a configured group that does not exist, and starts without the default groups" {
	may_use no-such-group
	run -1 "$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --config "$agent_config"
	assert_output_has "group 'no-such-group' does not exist"
	[[ ! -e $agent_root && ! -e $agent_socket ]]
	run -1 "$VARVE_BUILD/varved" --config "$agent_config" --check-config
	assert_output_has "group 'no-such-group' does not exist"
	printf '[agent]\nread_only_socket = none\n[prune]\nautomatic = no\n' > "$agent_config"
	start_agent
	[[ ! -e $ro ]]
}

@test "the agent tells sockets that systemd passes apart by their names" {
	agent_launcher="systemd-socket-activate -l $ro -l $agent_socket --fdname=varved-ro:varved"
	start_agent
	run -6 "$VARVE_BUILD/varve" -H "unix://$ro" new
	assert_output_has "this socket is read-only"
	varve new
	stop_agent
	# The agent does not remove sockets that systemd made.
	[[ -S $agent_socket && -S $ro ]]
}
