# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Image layers that the agent unpacks into snapshots, as containerd has them unpacked, from the content of
# tests/tools/fake_containerd.py. For bats files that have loaded helpers, images and snapshots: they call
# layers_setup after snapshots_setup, and layers_teardown before snapshots_teardown.

: "${agent_socket_dir=}" "${agent_config=}" "${agent_root=}" "${agent_socket=}"

# The whole setup and teardown of a file whose tests use all of that. A test may have mounted something at the store.
layers_test_setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	agent_setup
	snapshots_setup
	layers_setup
}

layers_test_teardown() {
	local status=0
	layers_teardown
	snapshots_teardown
	agent_teardown || status=1
	! mountpoint -q "$agent_root" || umount "$agent_root"
	return "$status"
}

# Makes the layers 1.tar.gz, 2.tar.gz and 3.tar.gz, of a file of 400 KB each, which has the layer's number as name.
layers_setup() {
	local n
	layers_containerd=$agent_socket_dir/containerd
	layers_content=$BATS_TEST_TMPDIR/content
	layers_log=$BATS_TEST_TMPDIR/calls
	layers_pid=
	mkdir -p "$layers_content/blobs/sha256"
	: > "$layers_log"
	for n in 1 2 3; do
		mkdir -p "tree$n"
		head -c 400000 /dev/urandom > "tree$n/$n"
		tar_of "tree$n" "$n.tar"
		gzip -k "$n.tar"
		cp "$n.tar.gz" "$layers_content/blobs/sha256/$(sha256sum < "$n.tar.gz" | cut -d ' ' -f 1)"
	done
}

layers_teardown() {
	[[ -z ${layers_pid-} ]] || {
		kill -9 "$layers_pid"
		wait "$layers_pid" 2> /dev/null || true
	}
	layers_pid=
}

# start_with LINE…: starts the agent with these lines in its section [snapshots], and the fake containerd.
start_with() {
	printf '[prune]\nautomatic = no\n[containerd]\naddress = %s\n[snapshots]\nkeep_free = 0\n' "$layers_containerd" > "$agent_config"
	printf '%s\n' "$@" >> "$agent_config"
	start_agent
	[[ -z $layers_pid ]] || return 0
	"$BATS_TEST_DIRNAME/../tools/fake_containerd.py" "$layers_containerd" "$layers_content" "$layers_log" good \
		> "$BATS_TEST_TMPDIR/fake" 2>&1 3>&- &
	layers_pid=$!
	retry 100 grep -q ready "$BATS_TEST_TMPDIR/fake"
}

# chain_of CHAIN TAR: the chain id of the tar on top of the chain ('' for none).
chain_of() {
	local diff_id
	diff_id=$(digest_of < "$2")
	[[ -n $1 ]] || {
		echo "$diff_id"
		return
	}
	printf '%s %s' "$1" "$diff_id" | digest_of
}

# apply_to KEY BLOB: has the agent unpack the blob into the active snapshot.
apply_to() {
	"$BATS_TEST_DIRNAME/../tools/diff_calls" "$agent_socket" apply "$1" "$2" | jq -e '.status == "OK"' > /dev/null
}

# layer_files KEY: where the files of the snapshot's layer are.
layer_files() {
	echo "$agent_root/layers/$(varve inspect "$(record_of "$1")" --json | jq -r .layer)/fs"
}

# prepare_unpacked NAMESPACE NUMBER CHAIN BLOB.tar.gz: an active snapshot NAMESPACE/NUMBER/work that has the blob, on
# top of the snapshot of the chain ('' for none) with the number before. Sets $chain to what it will be.
prepare_unpacked() {
	call Prepare "key=$1/$2/work" "parent=${3:+$1/$(($2 - 1))/$3}" > /dev/null
	apply_to "$1/$2/work" "$4"
	chain=$(chain_of "$3" "${4%.gz}")
}

# unpack NAMESPACE NUMBER CHAIN BLOB.tar.gz: the same, committed as NAMESPACE/NUMBER/CHAIN-ID.
unpack() {
	prepare_unpacked "$@"
	call Commit "key=$1/$2/work" "name=$1/$2/$chain" "labels.containerd.io/snapshot.ref=$chain"
}

# Removes all snapshots, children first.
remove_all() {
	local key
	while read -r key; do
		call Remove "key=$key"
	done < <(varve ls --json | jq -rs 'sort_by(.created) | reverse | .[].snapshot.key // empty')
}
