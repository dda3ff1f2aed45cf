#!/usr/bin/env bats
# requires root overlay jq runc busybox
# SPDX-License-Identifier: Apache-2.0
#
# Containers in user namespaces, as doc/containerd.md describes them: only root reaches below mnt/.
# What a container reads through overlays that it makes itself is counted as well.

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
		jq --arg rootfs "$1" --arg command "$2" --argjson user "${attacker:-0}" '.process.terminal = false
			| .process.args = ["/bin/busybox", "sh", "-c", $command]
			| .process.user = { uid: $user, gid: $user }
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

secret_counts() { # ID: opens, bytes read and uses
	varve stats "$1" --json | jq -r '"\(.opens) \(.readBytes)"' | tr '\n' ' '
	varve inspect "$1" --json | jq .usageCount
}

@test "what a container reads through overlays that it stacks on its root is counted once, as one use" {
	local opens bytes uses
	bundle=$(mktemp -d /run/varve-bundle.XXXXXX)
	chmod 0711 "$bundle"
	mkdir "$bundle/rootfs"
	count_accesses
	start_agent
	base=$(varve new --retain)
	mountpoint=$(varve mount "$base")
	mkdir "$mountpoint"/{bin,proc,dev,sys,data,empty,one,two}
	cp "$(command -v busybox)" "$mountpoint/bin/busybox"
	printf secret > "$mountpoint/data/secret"
	# A user without capabilities gets them in a user namespace of its own.
	cat > "$mountpoint/attack" <<- 'END'
		for i in 1 2 3 4 5; do
			/bin/busybox mount -t overlay overlay -o lowerdir=/data:/empty /one || exit 3
			/bin/busybox cat /one/secret || exit 4
			/bin/busybox umount /one
		done
		/bin/busybox mount -t overlay overlay -o lowerdir=/data:/empty /one || exit 5
		/bin/busybox mount -t overlay overlay -o lowerdir=/one:/empty /two 2> /dev/null && exit 6
		exec /bin/busybox cat /one/secret
	END
	base=$(varve commit "$base")
	# A layer of its own, so that the program that the container runs is not among what is counted.
	file=$(varve new --parent "$base" --retain)
	mountpoint=$(varve mount "$file")
	printf secret > "$mountpoint/data/secret"
	file=$(varve commit "$file")
	mountpoint=$(varve mount "$(varve new --parent "$file" --retain --uid-map 0:100000:65536 --gid-map 0:100000:65536)")
	read -r opens bytes uses <<< "$(secret_counts "$file")"
	attacker=1000
	make_bundle rootfs 'exec /bin/busybox unshare -U -r -m /bin/busybox sh /attack'
	mount --bind "$mountpoint" "$bundle/rootfs"
	run runc run --bundle "$bundle" "varve-$BASHPID"
	assert_status 0
	[[ $output == secretsecretsecretsecretsecretsecret ]]
	umount "$bundle/rootfs"
	[[ $(secret_counts "$file") == "$((opens + 6)) $((bytes + 36)) $((uses + 1))" ]] || {
		echo "before: $opens $bytes $uses; after: $(secret_counts "$file")"
		false
	}
	[[ $(varve info --json | jq .lost) == 0 ]]
}
