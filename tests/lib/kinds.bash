# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A store with each kind of record, lease, snapshot and image once, for tests of upgrades: made by one version of the
# agent, and listed by another. For scripts that have sourced images.bash, set agent_root, agent_socket and VARVE_BUILD,
# and have a function varve. kinds_build is the build whose tools are used, unless that is VARVE_BUILD.

: "${agent_root=}" "${agent_socket=}"

kinds_snapshots() { # METHOD [FIELD=VALUE…]
	"${kinds_build-$VARVE_BUILD}/tests/tools/snapshots_call" "$agent_socket" "$@"
}

# kinds_finished NAME [OPTION…]: makes an immutable record with one file that is not held.
kinds_finished() {
	local id name=$1
	shift
	id=$(varve new --retain --description "$name" "$@")
	echo "$name" > "$agent_root/mnt/$id/$name"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

kinds_base() {
	local id dir
	id=$(varve new --retain --description base --label colour=blue --label 'empty=')
	dir=$agent_root/mnt/$id
	mkdir -p "$dir"/{etc,bin,var/old}
	echo program > "$dir/bin/program"
	chmod 4755 "$dir/bin/program"
	ln "$dir/bin/program" "$dir/bin/same"
	ln -s ../bin/program "$dir/etc/link"
	mkfifo "$dir/var/fifo"
	mknod "$dir/var/device" c 1 3
	echo gone > "$dir/etc/gone"
	echo old > "$dir/var/old/file"
	setfattr -n user.colour -v blue "$dir/etc"
	chown 1000:100 "$dir/var/old/file"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

# A whiteout, an opaque directory, and a file that differs from the one in the layer below.
kinds_child() {
	local id dir
	id=$(varve new --retain --parent "$1" --description child)
	dir=$agent_root/mnt/$id
	rm "$dir/etc/gone"
	rm -r "$dir/var/old"
	mkdir "$dir/var/old"
	echo new > "$dir/var/old/new"
	echo more >> "$dir/bin/program"
	id=$(varve commit "$id")
	varve finalize "$id"
	varve release "$id"
	echo "$id"
}

kinds_image_layout() {
	local tree
	layout=$BATS_TEST_TMPDIR/oci
	trees=$BATS_TEST_TMPDIR/trees
	for tree in low high lazy; do
		mkdir -p "$trees/$tree/$tree"
		echo "$tree" > "$trees/$tree/$tree/file"
		touch -d 2020-01-01T00:00:00Z "$trees/$tree/$tree/file" "$trees/$tree/$tree" "$trees/$tree"
		tar_of "$trees/$tree" "$trees/$tree.tar"
	done
	gzip -n "$trees/high.tar" "$trees/lazy.tar"
	layout_new "$layout"
	layout_image "$layout" one "$trees/low.tar" "$trees/high.tar.gz"
	layout_image "$layout" two "$trees/low.tar" "$trees/lazy.tar.gz"
}

kinds_fill() {
	local base child id dir
	base=$(kinds_base)
	child=$(kinds_child "$base")
	varve pin "$child"
	kinds_finished internal --type internal > /dev/null

	# Reads of both layers, in a mount that is unmounted again.
	dir=$(varve mount "$child" --read-only)
	cat "$dir/bin/program" "$dir/bin/same" "$dir/var/old/new" > /dev/null
	varve umount "$child"

	# Two records that are held, mounted and written to: one was never committed, one has a twin.
	id=$(varve new --parent "$base" --description mutable)
	echo mutable > "$agent_root/mnt/$id/mutable"
	echo more >> "$agent_root/mnt/$id/etc/gone"
	id=$(varve new --retain --description twin)
	echo twin > "$agent_root/mnt/$id/twin"
	varve commit "$id" > /dev/null

	varve lease create build --uid-map 0:100000:65536 --gid-map 0:100000:65536
	varve new --parent "$child" --description mapped --lease build > /dev/null
	varve get "$base" --lease build --no-use
	varve lease create other
	varve lease need other "$child" "sha256:$(printf '%064d' 1)"

	kinds_snapshots Prepare key=ns/1/work labels.containerd.io/gc.root=now > /dev/null
	echo snapshot > "$(kinds_snapshots Mounts key=ns/1/work | jq -r '.mounts[0].source')/file"
	kinds_snapshots Commit key=ns/1/work name=ns/2/done labels.kept=yes > /dev/null
	kinds_snapshots View key=ns/3/view parent=ns/2/done > /dev/null
	kinds_snapshots Prepare key=ns/4/active parent=ns/2/done > /dev/null

	kinds_image_layout
	id=$(varve import "oci:$layout:one")
	varve release "$id"
	varve import --lazy "oci:$layout:two" > /dev/null
}

# Writes the listings, each as a sorted array, and the layers' checksums.
kinds_expect() {
	local id
	# du comes first, because it measures the layers whose size is not known yet.
	varve du --json | jq -s 'map(select(.id)) | sort_by(.id)' > "$1/du.json"
	varve ls --json | kinds_as_before > "$1/ls.json"
	varve ls -q --no-trunc | sort | xargs "$VARVE_BUILD/varve" -H "unix://$agent_socket" inspect --json | jq -s 'sort_by(.id)' > "$1/inspect.json"
	varve stats --json | kinds_as_before > "$1/stats.json"
	varve lease ls --json | jq -s 'sort_by(.name)' > "$1/lease.json"
	varve prune --all --dry-run --json | jq -s 'map(select(.id) | .id) | sort' > "$1/prune.json"
	kinds_snapshots List | jq -s '.' > "$1/snapshots.json"
	for id in $(varve ls --json | jq -r 'select(.mutable or .lazy | not) | .id' | sort); do
		printf '%s %s\n' "$id" "$(varve diff "$id" | sha256sum | cut -d ' ' -f 1)"
	done > "$1/diff"
}

# kinds_says FOLDER NAME: standard input has everything that FOLDER/NAME.json has, but forecasts, and mounts, which end
# with a reboot. It may have more keys.
kinds_says() {
	jq -n --slurpfile expected "$1/$2.json" --slurpfile found /dev/stdin '
		def missing($want; $have):
			if ($want | type) == "object" and ($have | type) == "object" then
				$want | keys[] | select(. != "mountpoint" and . != "mountIdMap" and . != "readOnly" and . != "neededAgain") as $key |
					missing($want[$key]; $have[$key]) | "\($key).\(.)"
			elif ($want | type) == "array" and ($have | type) == "array" and ($want | length) == ($have | length) then
				range($want | length) as $n | missing($want[$n]; $have[$n]) | "\($n).\(.)"
			elif $want == $have then empty
			else " expected \($want), found \($have)" end;
		def in_order: walk(if type == "object" and has("holds") then (.holds, .children) |= (. // [] | sort) else . end);
		missing($expected[0] | in_order; $found[0] | in_order)' > "$BATS_TEST_TMPDIR/missing"
	[[ ! -s $BATS_TEST_TMPDIR/missing ]] || {
		printf '%s:\n' "$2"
		cat "$BATS_TEST_TMPDIR/missing"
		return 1
	}
}

# The size of what a client may be writing is not known without measuring: to the old version it was 0.
kinds_as_before() {
	jq -s 'map(if .snapshot.kind == "active" and .size == null then .size = 0 else . end) | sort_by(.id)'
}

kinds_listed() {
	jq -s 'map(select(.description != "read along")) | sort_by(.id)'
}

# kinds_agree FOLDER: the listings are those that kinds_expect has written to the folder, but for records with the
# description "read along".
kinds_agree() {
	local ids
	mapfile -t ids < <(varve ls -q --no-trunc)
	# du measures the layers whose size is not known yet.
	varve du --json | kinds_listed | jq 'map(select(.id))' | kinds_says "$1" du
	varve ls --json | kinds_listed | jq -c '.[]' | kinds_as_before | kinds_says "$1" ls
	varve inspect --json "${ids[@]}" | kinds_listed | kinds_says "$1" inspect
	varve lease ls --json | jq -s 'sort_by(.name)' | kinds_says "$1" lease
	varve prune --all --dry-run --json | jq -s 'map(select(.id) | .id) | sort' | kinds_says "$1" prune
}
