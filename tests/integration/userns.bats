#!/usr/bin/env bats
# requires root overlay jq runc busybox
# SPDX-License-Identifier: Apache-2.0
#
# Containers in user namespaces, as doc/containerd.md describes them: only root reaches below mnt/.

load ../lib/helpers

teardown() {
	umount "$bundle/rootfs" 2> /dev/null || true
	rm -rf "$bundle"
	agent_teardown
}

# make_bundle ROOTFS COMMAND: configures a container that runs the shell command; its root is 100000 on the host.
make_bundle() {
	(
		cd "$bundle" || exit
		rm -f config.json
		runc spec
		jq --arg rootfs "$1" --arg command "$2" '.process.terminal = false
			| .process.args = ["/bin/busybox", "sh", "-c", $command]
			| .root = { path: $rootfs, readonly: false }
			| .linux.namespaces += [{ type: "user" }]
			| .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
			| .linux.gidMappings = .linux.uidMappings
			| del(.linux.resources)
			| .mounts |= map(select(.type != "cgroup" and .type != "mqueue"))' config.json > config.json.new
		mv config.json.new config.json
	)
}

@test "a container in a user namespace can run on a bind mount of a record" {
	bundle=$(mktemp -d /run/varve-bundle.XXXXXX)
	chmod 0711 "$bundle"
	mkdir "$bundle/rootfs"
	start_agent
	base=$(varve new --retain)
	mountpoint=$(varve mount "$base")
	mkdir "$mountpoint"/{bin,proc,dev,sys}
	cp "$(command -v busybox)" "$mountpoint/bin/busybox"
	base=$(varve commit "$base")
	id=$(varve new --parent "$base" --uid-map 0:100000:65536 --gid-map 0:100000:65536)
	mountpoint=$(varve mount "$id")

	make_bundle "$mountpoint" true
	run runc run --bundle "$bundle" "varve-$BASHPID"
	[[ $status -ne 0 && $output == *"permission denied"* ]]

	make_bundle rootfs '/bin/busybox id -u; echo new > /new'
	mount --bind "$mountpoint" "$bundle/rootfs"
	run -0 runc run --bundle "$bundle" "varve-$BASHPID"
	[[ $output == 0 ]]
	umount "$bundle/rootfs"
	[[ $(stat -c %u "$mountpoint/new") -eq 100000 ]]
	id=$(varve commit "$id")
	[[ $(stat -c %u "$(varve mount "$id" --read-only)/new") -eq 100000 ]]
}
