# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests of content: `load ../lib/images` after the helpers. Makes OCI layouts from directories with
# tar and jq, so that the code under test does not write what it reads; calls methods that the command
# line does not have.

# tar_of DIR FILE: writes the directory's files to a tar.
tar_of() {
	tar --create --format=pax --xattrs --xattrs-include='*' --numeric-owner --sort=name --directory "$1" --file "$2" .
}

# layout_new LAYOUT: makes an empty OCI layout.
layout_new() {
	mkdir -p "$1/blobs/sha256"
	printf '{"imageLayoutVersion":"1.0.0"}' > "$1/oci-layout"
	printf '{"schemaVersion":2,"manifests":[]}' > "$1/index.json"
}

# layout_blob LAYOUT FILE: copies the file into the layout; prints its descriptor without a media type.
layout_blob() {
	local hex
	hex=$(sha256sum < "$2" | cut -d ' ' -f 1)
	cp "$2" "$1/blobs/sha256/$hex"
	printf '{"digest":"sha256:%s","size":%s}' "$hex" "$(stat -c %s "$2")"
}

digest_of() {
	echo "sha256:$(sha256sum | cut -d ' ' -f 1)"
}

# layer_media_type FILE: prints the media type that the file's name asks for.
layer_media_type() {
	case $1 in
	*.gz) echo application/vnd.oci.image.layer.v1.tar+gzip ;;
	*.zst) echo application/vnd.oci.image.layer.v1.tar+zstd ;;
	*) echo application/vnd.oci.image.layer.v1.tar ;;
	esac
}

unpacked() {
	case $1 in
	*.gz) gzip -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*) cat "$1" ;;
	esac
}

# layout_image LAYOUT TAG LAYER…: adds an image of these layer files, lowest first, to the layout. Its config
# has the diff ids of $image_diff_ids when that is set, else the right ones.
layout_image() {
	local layout=$1 tag=$2 layer layers='[]' diff_ids='[]' config manifest work
	shift 2
	work=$(mktemp -d "$BATS_TEST_TMPDIR/image.XXXXXX")
	for layer; do
		layers=$(jq -c --argjson d "$(layout_blob "$layout" "$layer")" --arg t "$(layer_media_type "$layer")" \
			'. + [$d + {mediaType: $t}]' <<< "$layers")
		diff_ids=$(jq -c --arg d "$(unpacked "$layer" | digest_of)" '. + [$d]' <<< "$diff_ids")
	done
	jq -nc --argjson d "${image_diff_ids-$diff_ids}" '{architecture: "amd64", os: "linux", config: {Cmd: ["/bin/sh"], Env: ["A=b"]},
		rootfs: {type: "layers", diff_ids: $d}, history: [$d[] | {created: "2024-01-02T03:04:05Z", created_by: "a test"}]}' > "$work/config"
	config=$(layout_blob "$layout" "$work/config")
	jq -nc --argjson c "$config" --argjson l "$layers" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: ($c + {mediaType: "application/vnd.oci.image.config.v1+json"}), layers: $l}' > "$work/manifest"
	manifest=$(layout_blob "$layout" "$work/manifest")
	jq -c --argjson m "$manifest" --arg t "$tag" '.manifests += [$m + {mediaType: "application/vnd.oci.image.manifest.v1+json",
		annotations: {"org.opencontainers.image.ref.name": $t}}]' "$layout/index.json" > "$work/index"
	mv "$work/index" "$layout/index.json"
}

# blob_of LAYOUT DIGEST: prints the path of the blob.
blob_of() {
	echo "$1/blobs/sha256/${2#sha256:}"
}

# Makes a layout $layout with the images "one", which has three layers with all kinds of files, and "two",
# which shares two of them. $trees has the directories and tars of the layers.
make_images() {
	layout=$BATS_TEST_TMPDIR/oci
	trees=$BATS_TEST_TMPDIR/trees
	mkdir -p "$trees"/{base,middle,top,other}/etc "$trees/base/bin" "$trees/base/var/old" "$trees/middle/var"
	head -c 200K /dev/urandom > "$trees/base/bin/program"
	chmod 4755 "$trees/base/bin/program"
	ln "$trees/base/bin/program" "$trees/base/bin/same"
	ln -s ../bin/program "$trees/base/etc/link"
	mkfifo "$trees/base/var/fifo"
	mknod "$trees/base/var/device" c 1 3
	echo old > "$trees/base/var/old/file"
	echo gone > "$trees/base/etc/gone"
	setfattr -n user.colour -v blue "$trees/base/etc"
	chown 1000:100 "$trees/base/var/old/file"
	touch -d 2020-01-01T00:00:00.123456789 "$trees/base/var/old/file"
	echo middle > "$trees/middle/etc/middle"
	: > "$trees/middle/etc/.wh.gone"
	mkdir "$trees/middle/var/old"
	: > "$trees/middle/var/old/.wh..wh..opq"
	echo new > "$trees/middle/var/old/new"
	echo top > "$trees/top/etc/top"
	echo other > "$trees/other/etc/other"
	for tree in base middle top other; do
		tar_of "$trees/$tree" "$trees/$tree.tar"
	done
	gzip -nk "$trees/base.tar" "$trees/middle.tar" "$trees/other.tar"
	zstd -qk "$trees/middle.tar" # only as a file: umoci cannot read zstd
	layout_new "$layout"
	layout_image "$layout" one "$trees/base.tar.gz" "$trees/middle.tar.gz" "$trees/top.tar"
	layout_image "$layout" two "$trees/base.tar.gz" "$trees/middle.tar.gz" "$trees/other.tar.gz"
}

# describe_tree DIR: prints each file's path, kind, mode, owner, links, times, content and attributes.
describe_tree() {
	(
		cd "$1" || exit
		find . -mindepth 1 -printf '%P|%y|%m|%U:%G|%n|%l|%T@\n' | sed 's/|d|\([^|]*\)|\([^|]*\)|[0-9]*|/|d|\1|\2|-|/' | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
		find . \( -type c -o -type b \) -printf '%P ' -exec stat -c '%t:%T' {} \; | LC_ALL=C sort
		getfattr -Rhd -m '^user\.|^security\.' . 2> /dev/null
	)
}

# grpc METHOD REQUEST REPLY: calls a method of varve.v1.Cache with a request in protobuf's text format
# from standard input; prints the reply, or "grpc-status: N" and the message on failure.
grpc() {
	local work status
	work=$(mktemp -d "$BATS_TEST_TMPDIR/grpc.XXXXXX")
	protoc -I "$BATS_TEST_DIRNAME/../../userspace/proto" --encode="varve.v1.$2" varve.proto > "$work/message"
	printf '%010x' "$(stat -c %s "$work/message")" | xxd -r -p > "$work/request"
	cat "$work/message" >> "$work/request"
	# shellcheck disable=SC2154
	curl -sS --http2-prior-knowledge --unix-socket "$agent_socket" -H 'content-type: application/grpc' -H 'te: trailers' \
		--data-binary "@$work/request" -D "$work/head" -o "$work/reply" "http://varve/varve.v1.Cache/$1" || return
	status=$(tr -d '\r' < "$work/head" | sed -n 's/^grpc-status: //p')
	if [[ $status != 0 ]]; then
		tr -d '\r' < "$work/head" | sed -n '/^grpc-/p' | sed 's/%2[cC]/,/g; s/%3[aA]/:/g'
		return 1
	fi
	tail -c +6 "$work/reply" | protoc -I "$BATS_TEST_DIRNAME/../../userspace/proto" --decode="varve.v1.$3" varve.proto
}

# push_image TAG NAME: copies the image from $layout to the registry of ../lib/registry.
push_image() {
	# shellcheck disable=SC2154
	skopeo copy --quiet --dest-tls-verify=false "oci:$layout:$1" "docker://$registry/$2" > /dev/null
}
