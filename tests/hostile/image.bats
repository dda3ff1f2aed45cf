#!/usr/bin/env bats
# requires root overlay jq
# SPDX-License-Identifier: Apache-2.0
#
# Attacks by an image, or by a prepared directory, on the host whose root imports or exports. The devices
# have no driver and the socket has no listener, so opening them would fail with another error.

load ../lib/helpers
load ../lib/images

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
}

# make_node KIND PATH
make_node() {
	case $1 in
	device) mknod "$2" c 240 200 ;;
	disk) mknod "$2" b 240 200 ;;
	pipe) mkfifo "$2" ;;
	socket) python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$2" ;;
	esac
}

# refuses SOURCE TEXT: the import fails with this text, without waiting, and makes no record.
refuses() {
	run ! timeout 20 "$VARVE_BUILD/varve" -H "unix://$agent_socket" import "$1"
	[[ $status -ne 124 ]]
	assert_output_has "$2"
	[[ -z $(varve ls -q) ]]
}

@test "an import refuses devices and pipes in an OCI archive, whatever their names" {
	start_agent
	for kind in device disk pipe; do
		for name in index.json oci-layout blobs/sha256/x other; do
			rm -rf evil
			layout_new evil
			rm -f "evil/$name"
			make_node "$kind" "evil/$name"
			tar -C evil -cf evil.tar .
			refuses "oci-archive:$PWD/evil.tar" "$name': it is a device or a pipe"
		done
	done
	[[ -z $(find "$agent_root/scratch" -mindepth 1) ]]
}

@test "an import does not open a device, pipe or socket in a layout" {
	make_images
	digest=$(jq -r '.manifests[0].digest' "$layout/index.json")
	start_agent
	for kind in device disk pipe socket; do
		for name in index.json oci-layout "blobs/sha256/${digest#sha256:}"; do
			rm -rf evil
			cp -a "$layout" evil
			rm "evil/$name"
			make_node "$kind" "evil/$name"
			refuses "oci:$PWD/evil:one" "$name of the layout is not a regular file"
		done
	done
}

@test "an import does not open a tar or archive that is not a regular file" {
	start_agent
	for kind in device disk pipe socket; do
		make_node "$kind" "$PWD/$kind"
		refuses "tar:$PWD/$kind" "$PWD/$kind is not a regular file"
		refuses "oci-archive:$PWD/$kind" "$PWD/$kind is not a regular file"
	done
}

@test "an export stays in its directory whatever links were prepared there" {
	start_agent
	id=$(result exported)
	mkdir victim
	for link in blobs blobs/sha256; do
		rm -rf out
		mkdir out
		echo '{"imageLayoutVersion":"1.0.0"}' > out/oci-layout
		mkdir -p "out/$(dirname "$link")"
		ln -s "$PWD/victim" "out/$link"
		run -1 varve export "$id" "oci:$PWD/out:x"
		assert_output_has "of the layout leads through a symbolic link"
		[[ -z $(ls -A victim) ]]
	done
	# An export replaces links in the place of its files, and does not write to their targets.
	rm -rf out
	mkdir out
	echo keep > victim/file
	ln -s "$PWD/victim/file" out/oci-layout
	ln -s "$PWD/victim/file" out/oci-layout.new
	ln -s "$PWD/victim/file" out/index.json.new
	varve export "$id" "oci:$PWD/out:x"
	[[ $(< victim/file) == keep && ! -L out/oci-layout && ! -L out/index.json ]]
	# An existing index is read only when it lies in the directory.
	ln -sf "$PWD/victim/file" out/index.json
	run -1 varve export "$id" "oci:$PWD/out:y"
	assert_output_has "index.json"
	[[ $(< victim/file) == keep ]]
	# A link in the place of an archive or tar is replaced, too.
	ln -s "$PWD/victim/file" archive.tar
	varve export "$id" "oci-archive:$PWD/archive.tar"
	[[ $(< victim/file) == keep && ! -L archive.tar ]]
}

# image_with CONFIG-FILTER TAG: adds an image like `one` whose config the jq filter has changed.
image_with() {
	local work descriptor manifest
	work=$(mktemp -d "$BATS_TEST_TMPDIR/with.XXXXXX")
	manifest=$(blob_of "$layout" "$(jq -r '.manifests[0].digest' "$layout/index.json")")
	jq -c "$1" "$(blob_of "$layout" "$(jq -r .config.digest "$manifest")")" > "$work/config"
	descriptor=$(layout_blob "$layout" "$work/config")
	jq -c --argjson c "$descriptor" '.config += $c' "$manifest" > "$work/manifest"
	descriptor=$(layout_blob "$layout" "$work/manifest")
	jq -c --argjson m "$descriptor" --arg t "$2" \
		'.manifests += [.manifests[0] + $m + {annotations: {"org.opencontainers.image.ref.name": $t}}]' "$layout/index.json" > "$work/index"
	mv "$work/index" "$layout/index.json"
}

# exported_env ID: exports the record, and prints the environment of the config in the export.
exported_env() {
	rm -rf exported
	varve export "$1" "oci:$PWD/exported:x" > /dev/null 2>&1 || return
	local manifest
	manifest=$(blob_of exported "$(jq -r '.manifests[0].digest' exported/index.json)")
	jq -r '.config.Env // [] | join(" ")' "$(blob_of exported "$(jq -r .config.digest "$manifest")")"
}

@test "an image with the same layers and another config is a record of its own" {
	make_images
	image_with '.config.Env = ["LD_PRELOAD=/evil.so"]' evil
	start_agent
	evil=$(varve import "oci:$layout:evil" 2> /dev/null)
	layers=$(count_layers)
	one=$(varve import "oci:$layout:one" 2> /dev/null)
	# The images have records of their own and share the layers, whichever is imported first.
	[[ $one != "$evil" && $(count_layers) -eq $layers ]]
	[[ $(varve inspect "$one" "$evil" --json | jq -r .layer | sort -u | wc -l) -eq 1 ]]
	[[ $(exported_env "$one") == A=b && $(exported_env "$evil") == LD_PRELOAD=/evil.so ]]
	[[ $(varve import "oci:$layout:one" 2> /dev/null) == "$one" ]]
	[[ $(varve import "oci:$layout:evil" 2> /dev/null) == "$evil" ]]
	# A record that is built on one of them gets the right config, also after a restart.
	built=$(varve commit "$(varve new --parent "$one" --retain)")
	stop_agent
	start_agent
	[[ $(exported_env "$built") == A=b ]]
	[[ $(exported_env "$one") == A=b && $(exported_env "$evil") == LD_PRELOAD=/evil.so ]]
	# The layer stays as long as one of them does.
	varve release "$evil" && varve release "$evil"
	varve rm "$evil"
	[[ -e $(varve mount "$one" --read-only)/etc/top ]]
	[[ $(varve fsck | tail -n 1) == *" 0 problems found"* ]]
}

@test "a tar and an image of the same layer do not share a config" {
	make_images
	layout_image "$layout" single "$trees/base.tar.gz"
	start_agent
	tar=$(varve import "tar:$trees/base.tar.gz" 2> /dev/null)
	single=$(varve import "oci:$layout:single" 2> /dev/null)
	[[ $tar != "$single" && $(count_layers) -eq 1 ]]
	[[ $(exported_env "$single") == A=b && $(exported_env "$tar") == "" ]]
	gzip -dc "$trees/middle.tar.gz" | gzip -1 > "$trees/again.tar.gz"
	layout_image "$layout" again "$trees/again.tar.gz"
	single=$(varve import "oci:$layout:again" 2> /dev/null)
	tar=$(varve import "tar:$trees/again.tar.gz" 2> /dev/null)
	[[ $tar != "$single" ]]
	[[ $(exported_env "$single") == A=b && $(exported_env "$tar") == "" ]]
}
