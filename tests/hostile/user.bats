#!/usr/bin/env bats
# requires root overlay jq python3 python3-grpc setpriv sqlite3
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by unprivileged local users, with and without access to the read-only socket, on the store's files
# and on the socket. The agent must keep running, and answer root as before.

load ../lib/helpers

readers=games
stranger=$(id -u nobody)

setup() {
	agent_setup
	# Every user can reach this place, so only the store's own permissions protect the store.
	chmod 755 "$agent_socket_dir"
	agent_root=$agent_socket_dir/store
	ro=$agent_socket_dir/ro
	printf '[agent]\nread_only_group = %s\nread_only_socket = %s\n[prune]\nautomatic = no\n' "$readers" "$ro" > "$agent_config"
	# The other user runs the tools from here, and reads the descriptions of the messages.
	mkdir "$agent_socket_dir/tools"
	install -m 755 "$BATS_TEST_DIRNAME/../tools/hostile_user" "$agent_socket_dir/tools"
	cp "$VARVE_BUILD/gen/varve_pb2.py" "$agent_socket_dir/tools"
	chmod -R a+rX "$agent_socket_dir/tools"
	idle_pids=()
}

teardown() {
	((${#idle_pids[@]} == 0)) || kill "${idle_pids[@]}"
	agent_teardown
}

# as_stranger COMMAND…: runs the command as a user in no group; as_reader as a user of the readers' group.
as_stranger() {
	setpriv --reuid "$stranger" --regid "$stranger" --clear-groups "$@"
}

as_reader() {
	as_reader_number "$stranger" "$@"
}

as_reader_number() { # UID COMMAND…
	local uid=$1
	shift
	setpriv --reuid "$uid" --regid "$uid" --groups "$(getent group "$readers" | cut -d: -f3)" "$@"
}

attack() { # NAME [ARGUMENT…]
	as_reader env PYTHONDONTWRITEBYTECODE=1 "$agent_socket_dir/tools/hostile_user" "$ro" "$agent_socket_dir/tools" "$@"
}

# attack_in_background UID NAME ARGUMENT WORD: returns when the attack, which goes on, has printed the word.
attack_in_background() {
	# Without a function of ours: the process that is killed at the end must be the attack's own.
	setpriv --reuid "$1" --regid "$1" --groups "$(getent group "$readers" | cut -d: -f3)" \
		env PYTHONDONTWRITEBYTECODE=1 "$agent_socket_dir/tools/hostile_user" "$ro" "$agent_socket_dir/tools" \
		"$2" "$3" > "$BATS_TEST_TMPDIR/$2.$1" 3>&- &
	idle_pids+=($!)
	retry 100 grep -qs "$4" "$BATS_TEST_TMPDIR/$2.$1"
}

# The agent that was started still runs and works.
goes_on() {
	kill -0 "$agent_pid"
	[[ $(varve info --json | jq .pid) == "$agent_pid" ]]
	varve release "$(varve new)"
}

# The records have descriptions that patterns take long to match.
start_with_many_records() {
	start_agent
	stop_agent
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 2000
	sqlite3 "$agent_root/varve.db" "UPDATE records SET description = printf('%.200c', 'x')"
	start_agent
}

# Prints the highest memory use of the agent since its start.
resident_kib() {
	awk '/^VmHWM/ { print $2 }' "/proc/$agent_pid/status"
}

sanitized() {
	ldd "$VARVE_BUILD/varved" | grep -q 'lib[at]san'
}

@test "calls whose connection closes around their deadline do not end the agent" {
	start_with_many_records
	attack deadlines
	goes_on
}

@test "the agent ends with status 0 while connections close around their calls' deadlines" {
	start_with_many_records
	attack deadlines 3>&- &
	attacker=$!
	goes_on
	stop_agent
	wait "$attacker" || true # its last connections are refused
}

@test "a request with thousands of repeated ids does not slow down root's calls or use much memory" {
	start_agent
	id=$(result 1)
	for n in {2..16}; do
		id=$(result "$n" --parent "$id")
	done
	varve mount "$id" --read-only > /dev/null
	attack ids "$id"
	goes_on
	varve stats "$id" > /dev/null
	sanitized || (($(resident_kib) < 300000)) || { resident_kib; return 1; }
}

@test "the agent answers calls with regular expressions that would take minutes to compile" {
	start_with_many_records
	attack patterns
	goes_on
}

@test "slow regular expressions of a user do not make root's calls wait" {
	start_with_many_records
	attack regexes 3>&- &
	attacker=$!
	goes_on
	wait "$attacker"
	goes_on
	sanitized || (($(resident_kib) < 300000)) || { resident_kib; return 1; }
}

@test "idle connections do not keep other users from the read-only socket" {
	start_agent
	local n
	for n in 1 2 3 4; do
		attack_in_background $((60000 + n)) idle 100 connected
	done
	install -m 755 "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	as_reader env ASAN_OPTIONS=detect_leaks=0 "$agent_socket_dir/varve" -H "unix://$ro" ls
	goes_on
}

@test "two users whose calls never end do not make a third user's calls wait" {
	start_agent
	stop_agent
	# A list of them is more than the agent queues for its clients: such a call stays on its worker.
	"$BATS_TEST_DIRNAME/../bench/make_store" "$agent_root" 8000
	sqlite3 "$agent_root/varve.db" "UPDATE records SET description = hex(zeroblob(2000))"
	id=$(sqlite3 "$agent_root/varve.db" "SELECT id FROM records LIMIT 1")
	start_agent
	install -m 755 "$VARVE_BUILD/varve" "$agent_socket_dir/varve"
	reader=(env ASAN_OPTIONS=detect_leaks=0 timeout 100 "$agent_socket_dir/varve" -H "unix://$ro")
	attack_in_background 60001 linger 2 lingering
	attack_in_background 60002 linger 2 lingering
	as_reader "${reader[@]}" info
	as_reader "${reader[@]}" lease ls
	as_reader "${reader[@]}" explain "$id"
	# More users have taken all workers for long calls: methods that take no time have workers of their own.
	for n in 3 4 5 6; do
		attack_in_background $((60000 + n)) linger 1 lingering
	done
	as_reader "${reader[@]}" info
	for pid in "${idle_pids[@]}"; do
		kill -0 "$pid"
	done
	goes_on
}

@test "a user in no group can neither read nor lock the database" {
	start_agent
	for file in "$agent_root"/varve.db*; do
		run ! as_stranger cat "$file"
		[[ $(stat -c %a "$file") == 600 ]]
	done
	run ! as_stranger sqlite3 "$agent_root/varve.db" 'BEGIN IMMEDIATE; SELECT count(*) FROM records'
	run ! as_stranger flock --nonblock --shared "$agent_root/lock" true
	goes_on
}

@test "a user in no group cannot reach a file of a layer or mount, and cannot keep a mount busy" {
	start_agent
	id=$(varve new)
	mountpoint=$(varve mount "$id")
	install -m 4755 "$(command -v id)" "$mountpoint/id"
	echo text > "$mountpoint/file"
	for path in "$mountpoint/file" "$mountpoint" "$agent_root/mnt/." "$agent_root/layers/." "$agent_root/blobs/." "$agent_root/l/." \
		"$agent_root/trash/." "$agent_root/scratch/." "$agent_root/staging/."; do
		[[ -e $path ]]
		run ! as_stranger stat "$path"
		[[ $output == *"Permission denied"* ]]
	done
	# env executes the program, because setpriv itself still has root's capabilities when it executes one.
	run ! as_stranger env "$mountpoint/id" -u
	[[ $output == *"Permission denied"* ]]
	run ! as_stranger env --chdir "$mountpoint" true
	varve umount "$id"
}

@test "at start the agent closes directories that an earlier version left open to others" {
	start_agent
	stop_agent
	chmod 0711 "$agent_root"/{mnt,l}
	chmod 0755 "$agent_root"/{layers,blobs,trash}
	start_agent
	for name in mnt l layers blobs trash scratch staging; do
		[[ $(stat -c %a "$agent_root/$name") == 700 ]]
	done
}
