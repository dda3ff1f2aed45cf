# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Power cuts, for scripts/run-power. record() runs a workload on a disk that writes down what it gets
# (tests/tools/power_disk), and notes before and after each call of the agent what a client is shown.
# check_state() makes the disk as a cut leaves it (tests/tools/power_image), and starts the agent on it. A client
# must then be shown what it was shown after the last call before the cut that promises durability, or after a
# later call.

# start_agent's arguments are optional.
# shellcheck disable=SC2119

# scripts/run-power sets these.
: "${file_system=}" "${mebibytes=}" "${seed=}" "${log=}"

BATS_TEST_DIRNAME=$PWD/tests/power
export BATS_TEST_FILENAME=/dev/null
bats_require_minimum_version() { :; }
# shellcheck source=tests/lib/helpers.bash
source tests/lib/helpers.bash
# shellcheck source=tests/lib/images.bash
source tests/lib/images.bash
# shellcheck source=tests/lib/snapshots.bash
source tests/lib/snapshots.bash
# The helpers set these.
: "${agent_log=}" "${agent_socket=}"

# Sets up the agent of this process. Its store is on the file system that is mounted on $disk.
power_setup() { # DIRECTORY
	export BATS_TEST_TMPDIR=$1
	mkdir -p "$1/disk" "$1/fuse"
	disk=$1/disk
	agent_setup
	snapshots_setup
	agent_root=$disk/store
	complaints=$1/complaints
	: > "$complaints"
}

make_file_system() { # DEVICE
	case $file_system in
	ext4) mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 -J size=4 -O ^resize_inode -N 8192 "$1" ;;
	xfs) mkfs.xfs -q -K "$1" ;;
	btrfs) mkfs.btrfs -q -K "$1" ;;
	esac
}

# facts: prints what a client is shown, one fact in a line, the files of committed layers, and the blobs of records.
# Other blobs, and unfinished ones, may stay for the next import, which the agent deletes after an hour; but each
# must be whole. Left out are mounts, sizes and statistics, which are not promised, and what follows from other facts.
facts() {
	local ids
	mapfile -t ids < <("$VARVE_BUILD/varve" ls -q)
	{
		((${#ids[@]} == 0)) || "$VARVE_BUILD/varve" inspect --json "${ids[@]}"
		"$VARVE_BUILD/varve" lease ls --json
	} > "$BATS_TEST_TMPDIR/seen"
	{
		jq -r 'if .id then
				del(.access, .lastUsedAt, .usageCount, .refUsageCount, .refLastUsedAt, .cost, .neededAgain, .keptLonger, .children,
					.mountpoint, .readOnly, .mountIdMap, .size, .apparentSize, .inodes, .shared, .inUse, .owners, .imageRefs) |
				(.holds[] |= .lease)
			else del(.expiresAt, .holds) end |
			(.id // .name) as $who | del(.id) | to_entries[] | .key as $key |
			if $key == "labels" then .value | to_entries[] | "\($who) label \(.key)=\(.value)"
			elif .value | type == "array" then .value[] | "\($who) \($key) \(.)"
			else "\($who) \($key)=\(.value)" end' "$BATS_TEST_TMPDIR/seen"
		layer_files
		(cd "$agent_root/blobs/sha256" && find . -type f -printf '%P\0' | xargs -0r sha256sum) | blob_facts
	} | LC_ALL=C sort
}

blob_facts() {
	jq -r 'select(.blob).blob.digest' "$BATS_TEST_TMPDIR/seen" | sort -u > "$BATS_TEST_TMPDIR/blobs"
	awk 'NR == FNR { needed[$1] = 1; next } $1 != $2 { print "damaged blob " $2 } "sha256:" $2 in needed { print "blob " $2 }' \
		"$BATS_TEST_TMPDIR/blobs" -
}

# Those of layers that have been committed; clients still write into the others.
layer_files() {
	jq -r 'select(.id and (.mutable | not) and (.lazy | not)) | .layer' "$BATS_TEST_TMPDIR/seen" | sort -u > "$BATS_TEST_TMPDIR/layers"
	(
		cd "$agent_root/layers" || exit
		find . -mindepth 3 -path './*/fs/*' -printf '%P %y %m %U:%G %l\n'
		find . -type f -path './*/fs/*' -printf '%P\0' | xargs -0r sha256sum | awk '{ print $2 " " $1 }'
	) | awk -F/ 'NR == FNR { layers[$1] = 1; next } $1 in layers' "$BATS_TEST_TMPDIR/layers" -
}

# ---- recording ----

mark() {
	[[ ! -e $BATS_TEST_TMPDIR/fuse/mark ]] || echo "$1" > "$BATS_TEST_TMPDIR/fuse/mark"
}

# step KIND COMMAND…: a call of the agent. Its KIND says what its answer promises: durable, relaxed (it may be lost
# until the next durable call), or parts (durable, and a cut before the answer may leave some of its parts).
step() {
	local number status=0
	number=$(($(cat "$steps/count") + 1))
	echo "$number" > "$steps/count"
	echo "$*" > "$steps/$number.call"
	mark "begin $number"
	"${@:2}" || status=$?
	mark "end $number"
	facts > "$steps/$number.facts"
	return "$status"
}

# The operations of tests/crash call this, with a verb. Those of the checks, which run side by side, are not steps.
varve() {
	local kind=durable
	[[ ${working-} ]] || {
		"$VARVE_BUILD/varve" "$@"
		return
	}
	case "$1 ${2-}" in
	"release "* | "mount "* | "umount "* | "du "*) kind=relaxed ;;
	"new "* | "get "* | "lease rm" | "import "* | "extract "* | "prune "* | "fsck "* | "rm "*) kind=parts ;;
	"ls "* | "inspect "* | "info "*)
		"$VARVE_BUILD/varve" "$@"
		return
		;;
	esac
	step "$kind" "$VARVE_BUILD/varve" "$@"
}

call() { # METHOD [FIELD=VALUE…]
	local kind=durable
	case $1 in
	Prepare | View) kind=relaxed ;;
	esac
	step "$kind" "$VARVE_BUILD/tests/tools/snapshots_call" "$agent_socket" "$@"
}

record() {
	local disk_pid loop
	steps=$BATS_TEST_TMPDIR/steps
	mkdir "$steps"
	echo 0 > "$steps/count"
	"$VARVE_BUILD/tests/tools/power_disk" "$BATS_TEST_TMPDIR/fuse" "$mebibytes" "$BATS_TEST_TMPDIR/log" &
	disk_pid=$!
	retry 20 test -e "$BATS_TEST_TMPDIR/fuse/disk"
	loop=$(losetup --find --show "$BATS_TEST_TMPDIR/fuse/disk")
	make_file_system "$loop"
	mount "$loop" "$disk"
	start_agent
	facts > "$steps/0.facts"
	echo "durable start" > "$steps/0.call"
	sync -f "$disk"
	mark start
	mark "end 0"
	working=yes
	workload > "$BATS_TEST_TMPDIR/workload" 2>&1
	working=
	stop_agent
	"$VARVE_BUILD/varved" --root "$agent_root" --socket "$agent_socket" --teardown
	umount "$disk"
	losetup -d "$loop"
	umount "$BATS_TEST_TMPDIR/fuse"
	wait "$disk_pid"
}

# ---- checking ----

complain() {
	printf 'state %s of seed %s (%s): %s\n' "$state" "$seed" "$cut" "$1" >> "$complaints"
}

# shown_between BEFORE AFTER SHOWN: nothing is missing that both have, and nothing is there that neither has. A layer
# may be lazy in between.
shown_between() {
	local before=$BATS_TEST_TMPDIR/before after=$BATS_TEST_TMPDIR/after between=$BATS_TEST_TMPDIR/between
	grep -v ' lazy=' "$1" > "$before"
	grep -v ' lazy=' "$2" > "$after"
	grep -v ' lazy=' "$3" > "$between"
	[[ -z $(LC_ALL=C comm -13 <(LC_ALL=C sort -u "$before" "$after") "$between") &&
		-z $(LC_ALL=C comm -23 <(LC_ALL=C comm -12 "$before" "$after") "$between") ]]
}

# What is shown must be what a client was shown after one of these calls: the last that promised durability before
# the cut, those after it, and the one that was not answered yet.
judge() { # SHOWN
	local last first under_way='' n kind calls
	last=${cut#mark=\'}
	last=${last%%\'*}
	[[ $last != begin* ]] || under_way=${last#* }
	last=$((${last#* } - (${#under_way} > 0)))
	first=$last
	while read -r kind _ < "$steps/$first.call" && [[ $kind == relaxed ]]; do
		first=$((first - 1))
	done
	for ((n = ${under_way:-$last}; n >= first; n--)); do
		! cmp -s "$steps/$n.facts" "$1" || return 0
	done
	if [[ -n $under_way ]]; then
		read -r kind _ < "$steps/$under_way.call"
		[[ $kind != parts ]] || ! shown_between "$steps/$last.facts" "$steps/$under_way.facts" "$1" || return 0
	fi
	calls="after '$(< "$steps/$last.call")'"
	[[ -z $under_way ]] || calls+=", during '$(< "$steps/$under_way.call")'"
	complain "$calls:
$(diff "$steps/$last.facts" "$1" | grep '^[<>]' | sed 's/^</lost:  /; s/^>/leaked:/')"
}

no_trash() {
	[[ -z $(ls "$agent_root/trash") ]]
}

# nothing_is_left: in the store's directories, of what no record has.
nothing_is_left() {
	local rows layers
	retry 50 no_trash || complain "the trash is not emptied"
	"$VARVE_BUILD/varve" fsck > "$BATS_TEST_TMPDIR/fsck" || complain "$(< "$BATS_TEST_TMPDIR/fsck")"
	rows=$(stored "SELECT name FROM layers ORDER BY name; SELECT 'unfinished ' || id FROM records WHERE state != 1;
		SELECT 'unowned ' || name FROM layers WHERE name NOT IN (SELECT layer FROM records); SELECT 'mount of ' || record FROM mounts")
	layers=$(jq -r 'select(.id and .lazy) | .layer' "$BATS_TEST_TMPDIR/seen" | cat - <(ls "$agent_root/layers") | sort -u)
	[[ $rows == "$layers" ]] || complain "leaked: in the database: ${rows//$'\n'/ }; in layers/: ${layers//$'\n'/ }"
	layers=$(cd "$agent_root" && find mnt staging scratch quarantine -mindepth 1 2> /dev/null)
	[[ -z $layers ]] || complain "leaked: ${layers//$'\n'/ }"
}

# check_state NUMBER: appends to $complaints what is wrong in this state.
check_state() {
	local shown=$BATS_TEST_TMPDIR/shown options=loop
	state=$1
	cut=$("$VARVE_BUILD/tests/tools/power_image" "$log" "$mebibytes" "$seed" "$state" "$BATS_TEST_TMPDIR/image")
	[[ $cut != "mark='start'"* ]] || cut="mark='end 0'${cut#*\'*\'}"
	# XFS refuses a second file system with the same UUID, as another part of the run has it.
	[[ $file_system != xfs ]] || options+=,nouuid
	if ! mount -o "$options" "$BATS_TEST_TMPDIR/image" "$disk"; then
		complain "the file system cannot be mounted"
		return
	fi
	: > "$agent_log"
	if start_agent > "$BATS_TEST_TMPDIR/said"; then
		facts > "$shown"
		judge "$shown"
		nothing_is_left
		stop_agent || complain "the agent ends badly"
		: > "$agent_log"
		start_agent
		facts > "$shown.again"
		cmp -s "$shown" "$shown.again" || complain "a second start changes: $(diff "$shown" "$shown.again")"
		! grep -v ' ready$' "$agent_log" || complain "a second start has something to do: $(< "$agent_log")"
		kill_agent
	else
		complain "the agent does not start: $(< "$BATS_TEST_TMPDIR/said")"
	fi
	umount "$disk" || umount -l "$disk"
}
