# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A private containerd whose snapshotter is the test's agent, and images for it. For bats files that have
# loaded ../lib/helpers: they call containerd_setup after agent_setup, and containerd_teardown before
# agent_teardown.

# agent_setup sets these.
: "${agent_socket_dir=}" "${agent_socket=}"

containerd_setup() {
	containerd_dir=$BATS_TEST_TMPDIR/containerd
	containerd_pid=
	mkdir -p "$containerd_dir"
	export CONTAINERD_ADDRESS=$agent_socket_dir/containerd
	# Shims and runc use folders that all instances of containerd share, with the namespace in their names.
	export CONTAINERD_NAMESPACE=varve-$$-$BATS_TEST_NUMBER
	cat > "$containerd_dir/config.toml" <<- END
		version = 2
		root = "$containerd_dir/root"
		state = "$containerd_dir/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$CONTAINERD_ADDRESS"
		[proxy_plugins.varve]
		  type = "snapshot"
		  address = "$agent_socket"
	END
}

# containerd_diff DIFFER…: the order in which containerd asks its differs; varve-diff is the test's agent.
# Wants containerd 1.7.
containerd_diff() {
	sed -i '/^# differs/,$d' "$containerd_dir/config.toml"
	cat >> "$containerd_dir/config.toml" <<- END
		# differs
		[proxy_plugins.varve-diff]
		  type = "diff"
		  address = "$agent_socket"
		[plugins."io.containerd.service.v1.diff-service"]
		  default = [$(printf '"%s",' "$@")]
	END
}

start_containerd() {
	containerd -c "$containerd_dir/config.toml" >> "$containerd_dir/log" 2>&1 3>&- &
	containerd_pid=$!
	retry 100 ctr version > /dev/null 2>&1
}

stop_containerd() { # [SIGNAL]
	local pid=$containerd_pid
	containerd_pid=
	kill -"${1:-TERM}" "$pid"
	wait "$pid" 2> /dev/null || true
}

# Prints the shims of the private containerd: processes that have its socket among their arguments.
containerd_processes() {
	local cmdline
	for cmdline in /proc/[0-9]*/cmdline; do
		[[ $(tr '\0' ' ' 2> /dev/null < "$cmdline") != *"$CONTAINERD_ADDRESS"* ]] || echo "${cmdline//[^0-9]/}"
	done
}

containerd_teardown() {
	local id pid
	[[ -n ${containerd_dir-} ]] || return 0
	[[ -z $containerd_pid ]] || stop_containerd KILL
	if [[ -d $containerd_dir/state ]]; then
		while read -r pid; do
			kill -9 "$pid" 2> /dev/null
		done < <(awk 1 "$containerd_dir"/state/io.containerd.runtime.v2.task/*/*/init.pid 2> /dev/null)
		for pid in $(containerd_processes); do
			kill -9 "$pid" 2> /dev/null
			timeout 100 tail --pid="$pid" -s 0.05 -f /dev/null
		done
		while read -r id; do
			umount -l "$id"
		done < <(awk -v dir="$containerd_dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac)
		for id in "/run/containerd/runc/$CONTAINERD_NAMESPACE"/*; do
			[[ ! -d $id ]] || runc --root "${id%/*}" delete --force "${id##*/}" 2> /dev/null
		done
		rm -rf "/run/containerd/runc/$CONTAINERD_NAMESPACE"
		# The shims made these cgroups, and were killed before they removed them.
		find /sys/fs/cgroup -depth -type d -path "*/$CONTAINERD_NAMESPACE*" -exec rmdir {} + 2> /dev/null
	fi
	[[ ! -s $containerd_dir/log ]] || sed -n '/level=\(error\|fatal\)/s/^/containerd: /p' "$containerd_dir/log" | tail -n 10
	rm -rf "${containerd_dir:?}"
}

# make_image ARCHIVE NAME DIRECTORY…: writes an OCI archive with a layer for each directory.
make_image() {
	local archive=$1 name=$2 oci digest directory layers='[]' diff_ids='[]'
	shift 2
	oci=$(mktemp -d "$BATS_TEST_TMPDIR/oci.XXXXXX")
	mkdir -p "$oci/blobs/sha256"
	add_blob() { # prints digest and size
		local hash
		hash=$(sha256sum < "$1")
		hash=${hash%% *}
		mv "$1" "$oci/blobs/sha256/$hash"
		echo "sha256:$hash" "$(stat -c %s "$oci/blobs/sha256/$hash")"
	}
	for directory; do
		tar --sort=name --numeric-owner --xattrs --xattrs-include='*' -C "$directory" -cf "$oci/layer" .
		read -r digest size < <(add_blob "$oci/layer")
		layers=$(jq --arg d "$digest" --argjson s "$size" \
			'. + [{mediaType: "application/vnd.oci.image.layer.v1.tar", digest: $d, size: $s}]' <<< "$layers")
		diff_ids=$(jq --arg d "$digest" '. + [$d]' <<< "$diff_ids")
	done
	jq -n --argjson d "$diff_ids" '{architecture: "amd64", os: "linux", config: {Env: ["PATH=/bin"]},
		rootfs: {type: "layers", diff_ids: $d}}' | sed "s/amd64/$(dpkg --print-architecture)/" > "$oci/config"
	read -r digest size < <(add_blob "$oci/config")
	jq -n --argjson l "$layers" --arg d "$digest" --argjson s "$size" '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.manifest.v1+json", layers: $l,
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $s}}' > "$oci/manifest"
	read -r digest size < <(add_blob "$oci/manifest")
	jq -n --arg n "$name" --arg d "$digest" --argjson s "$size" '{schemaVersion: 2, manifests: [{
		mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
		annotations: {"io.containerd.image.name": $n}}]}' > "$oci/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' > "$oci/oci-layout"
	tar -C "$oci" -cf "$archive" .
	rm -rf "$oci"
}
