#!/usr/bin/env bats
# requires systemd-analyze systemd-sysusers scdoc make jq python3
# SPDX-License-Identifier: Apache-2.0
#
# Files that are installed besides the programs: units, sysusers, configuration, man pages, completions. The Debian
# package is tested by package.bats.

bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() {
	require
	prefix=$BATS_TEST_TMPDIR/usr
	conf=$BATS_TEST_TMPDIR/etc/varve/varved.conf
	make_here install-data
	install -D "$VARVE_BUILD/varved" "$prefix/sbin/varved"
	units=$prefix/lib/systemd/system
}

teardown() {
	agent_teardown
}

make_here() { # TARGET
	make -C "$BATS_TEST_DIRNAME/../.." -s "$1" PREFIX="$prefix" CONFIG="$conf" OUT="$BATS_TEST_TMPDIR/out"
}

@test "systemd-analyze accepts the units" {
	run systemd-analyze verify --man=no "$units/varved.service" "$units/varved.socket" "$units/varved-ro.socket"
	[[ $output != *varve* ]] || {
		echo "$output"
		return 1
	}
	assert_status 0
	grep -qx "ExecStart=$prefix/sbin/varved" "$units/varved.service"
}

@test "no setting of the unit gives the agent a mount namespace of its own" {
	run grep -hE '^[A-Z][A-Za-z]*=' "$units"/varved.service
	namespaced='^(Private[A-Za-z]*|Protect[A-Za-z]*|ProcSubset|Root[A-Z][A-Za-z]*|MountAPIVFS|MountFlags|MountImages|Extension[A-Za-z]*|Bind(ReadOnly)?Paths|[A-Za-z]*Paths|[A-Za-z]*Directories|TemporaryFileSystem|DynamicUser|[A-Za-z]*Credential[A-Za-z]*|LogNamespace|[A-Za-z]*NamespacePath)='
	[[ $(grep -E "$namespaced" <<< "$output") == PrivateMounts=no ]]
}

@test "the unit asks for a watchdog, and the agent answers it once it is ready" {
	[[ -z $(lacking root; lacking overlay) ]] || skip "this needs root and overlayfs"
	agent_setup
	grep -qx 'WatchdogSec=3min' "$units/varved.service"
	python3 -c 'import socket, sys
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
said.bind(sys.argv[1])
said.settimeout(100)
print(said.recv(99).decode(), said.recv(99).decode(), said.recv(99).decode())' "$agent_socket_dir/notify" \
		> "$BATS_TEST_TMPDIR/said" 3>&- &
	listener=$!
	retry 50 test -S "$agent_socket_dir/notify"
	agent_launcher="env NOTIFY_SOCKET=$agent_socket_dir/notify WATCHDOG_USEC=200000" start_agent
	wait "$listener"
	[[ $(< "$BATS_TEST_TMPDIR/said") == "READY=1 WATCHDOG=1 WATCHDOG=1" ]]
}

@test "the units use the groups and sockets that sysusers creates and the agent expects" {
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

@test "man pages, completions and documents are installed" {
	local file
	for file in man/man1/varve.1 man/man8/varved.8 man/man8/varve-fetch.8 doc/varve/README.md \
		doc/varve/doc/containerd.md doc/varve/doc/buildkit.md doc/varve/doc/install.md doc/varve/doc/metrics.md \
		varve/prometheus/varve.rules.yml varve/grafana/varve.json \
		bash-completion/completions/varve fish/vendor_completions.d/varve.fish zsh/site-functions/_varve; do
		[[ -s $prefix/share/$file ]] || {
			echo "$file is missing"
			return 1
		}
	done
}

# Makes $BATS_TEST_TMPDIR/all.conf: the configuration with all its defaults as settings. The file for passwords,
# the owner of a policy and the port of the metrics are not defaults, and this machine need not have the groups.
uncomment() {
	sed -E '/^#(credentials|owner|address = 127)/d; s/^#([a-z_]* = |\[(policy|buildkit|docker))/\1/; s/^((read_only_)?group) = .*/\1 = root/' "$conf" \
		> "$BATS_TEST_TMPDIR/all.conf"
	[[ $(grep -c '^[a-z]' "$BATS_TEST_TMPDIR/all.conf") -ge 25 ]]
}

@test "the configuration has each key of the parser, and its comments are lines that the parser takes" {
	local key keys
	keys=$(grep -oh 'strcmp(name, "[a-z_]*")' "$BATS_TEST_DIRNAME"/../../userspace/daemon/config_*.c | cut -d '"' -f 2 | sort -u)
	[[ $(wc -w <<< "$keys") -ge 31 ]]
	for key in $keys; do
		grep -qE "^#$key = " "$conf" || {
			echo "no $key"
			return 1
		}
	done
	run -0 "$VARVE_BUILD/varved" --config "$conf" --check-config
	assert_output_has "with 4 policies"
	uncomment
	run -0 "$VARVE_BUILD/varved" --config "$BATS_TEST_TMPDIR/all.conf" --check-config
	assert_output_has "with 4 policies"
}

@test "the defaults in the comments of the configuration are the agent's" {
	local setting name value file
	for setting in root:ROOT socket:SOCKET read_only_socket:READ_ONLY_SOCKET group:GROUP read_only_group:READ_ONLY_GROUP; do
		name=${setting%:*}
		value=$(sed -z 's/\\\n//g' "$BATS_TEST_DIRNAME/../../userspace/daemon/config.h" |
			sed -n "s/^#define CONFIG_DEFAULT_${setting#*:}[ \t]*\"\([^\"]*\)\".*/\1/p")
		[[ -n $value ]]
		grep -qxF "#$name = $value" "$conf" || {
			echo "the default of $name is $value"
			return 1
		}
	done

	# What the man page says of each key. The last one is of a policy, and one of the default policies has another.
	perl -0ne '($_) = /# CONFIGURATION(.*?)# ACCESS/s;
		for (split /\+\+\n|\n\n|\*\n\t/) {
			print "#$1 = $2\n" if /^\s*\*([a-z_]+)\*.*?\(default:\s+[*_](.+?)[*_]\)/s;
		}' "$BATS_TEST_DIRNAME/../../doc/varved.8.scd" | grep -v '^#all = ' > "$BATS_TEST_TMPDIR/documented"
	[[ $(wc -l < "$BATS_TEST_TMPDIR/documented") -ge 8 ]]
	if grep -vxFf "$conf" "$BATS_TEST_TMPDIR/documented"; then
		echo "these are the documented defaults, and not those of the configuration"
		return 1
	fi

	[[ $EUID == 0 ]] || skip "not root"
	agent_setup
	uncomment
	for file in "$conf" "$BATS_TEST_TMPDIR/all.conf"; do
		agent_config=$BATS_TEST_TMPDIR/agent.conf
		grep -Ev '^(root|socket|read_only_socket|backend) = ' "$file" > "$agent_config"
		start_agent
		# What the store uses is another amount each time.
		varve policy show --json | command jq -S 'del(.used, .keep)' > "$file.policies"
		stop_agent
	done
	[[ $(jq -s length "$conf.policies") == 4 ]]
	cmp "$conf.policies" "$BATS_TEST_TMPDIR/all.conf.policies"
}

@test "an installation leaves a configuration that is there, and an uninstallation nothing else" {
	echo "# mine" > "$conf"
	make_here install-data
	[[ $(< "$conf") == "# mine" ]]
	rm "$prefix/sbin/varved"
	make_here uninstall
	[[ -z $(find "$prefix" ! -type d) && $(< "$conf") == "# mine" ]]
}

@test "systemd-analyze rates the unit's exposure at most 6.0" {
	exposure=$(systemd-analyze security --offline=true "$units/varved.service" |
		sed -n 's/.*Overall exposure level for varved.service: \([0-9.]*\).*/\1/p')
	awk -v exposure="$exposure" 'BEGIN { exit !(exposure > 0 && exposure <= 6.0) }' || {
		echo "exposure is $exposure"
		return 1
	}
	grep -qx 'UMask=0077' "$units/varved.service"
	# The unit has a comment on each of these settings. Removing one needs a reason, and a change here.
	for setting in CapabilityBoundingSet SystemCallFilter RestrictNamespaces RestrictAddressFamilies NoNewPrivileges; do
		grep -q "^$setting=" "$units/varved.service"
	done
}

@test "the unit's capabilities suffice for the agent and for containers' changes in their mounts" {
	[[ $EUID == 0 ]] || skip "not root"
	command -v setpriv > /dev/null || skip "no setpriv"
	agent_setup
	capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$units/varved.service" | tr ' ' '\n' |
		sed 's/^CAP_/+/' | tr '[:upper:]' '[:lower:]' | paste -sd,)
	agent_launcher="setpriv --no-new-privs --bounding-set=-all,$capabilities" start_agent
	base=$(varve new --retain)
	mount=$(varve mount "$base")
	echo x > "$mount/file"
	mkdir "$mount/dir"
	mknod "$mount/device" c 1 3
	chown 1000:1000 "$mount/file"
	chmod 4755 "$mount/file"
	base=$(varve commit "$base")
	id=$(varve new --parent "$base")
	mount=$(varve mount "$id")
	rm -r "$mount/dir" "$mount/device" # whiteouts
	chown 1001:1001 "$mount/file" # this copies up a file of another user
	setfattr -n trusted.x -v 1 "$mount/file" 2> /dev/null || true
	[[ $(stat -c '%u %g' "$mount/file") == "1001 1001" && ! -e $mount/dir ]]
	# shellcheck disable=SC2217 # sleep only keeps the file open
	sleep 60 < "$mount/file" 3>&- &
	user=$!
	run -5 varve umount "$id"
	assert_output_has "$user"
	kill "$user"
	wait "$user" || true
	varve umount "$id"
}
