#!/usr/bin/env bats
# requires root overlay jq skopeo umoci
# SPDX-License-Identifier: Apache-2.0
#
# Which image of a layout or a registry a reference names, and odd images that other tools accept.

load ../lib/helpers
load ../lib/images
load ../lib/registry

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_registry
	agent_teardown
}

import() {
	varve import "$@" 2> /dev/null
}

digest_in() { # LAYOUT NAME
	jq -r --arg t "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest' "$1/index.json"
}

@test "a reference names an image of a layout by its name, by its digest, or by both" {
	make_images
	layout_image "$layout" docker.io/library/alpine:1.0 "$trees/base.tar.gz"
	layout_image "$layout" name "$trees/base.tar.gz" "$trees/other.tar.gz"
	start_agent
	alpine=$(import "oci:$layout:docker.io/library/alpine:1.0")
	[[ $(varve inspect "$alpine" --json | jq -r .chainId) == "$(digest_of < "$trees/base.tar")" ]]
	name=$(import "oci:$layout:name")
	[[ $(import "oci:$layout@$(digest_in "$layout" name)") == "$name" ]]
	[[ $(import "oci:$layout:$(digest_in "$layout" name)") == "$name" ]]
	[[ $(import "oci:$layout:one@$(digest_in "$layout" name)") == "$name" ]]
	run -4 varve import "oci:$layout@sha256:$(printf '%064d' 1)"
	assert_output_has "No such file"
	# skopeo finds it by the same name.
	skopeo inspect "oci:$layout:docker.io/library/alpine:1.0" > /dev/null
	varve export "$alpine" "oci:$PWD/out:docker.io/library/alpine:2.0" 2> /dev/null
	skopeo inspect "oci:$PWD/out:docker.io/library/alpine:2.0" > /dev/null
	varve export "$alpine" "oci-archive:$PWD/out.tar:r.example/a:b" 2> /dev/null
	[[ $(import "oci-archive:$PWD/out.tar:r.example/a:b") == "$alpine" ]]
}

@test "a colon is part of the layout's path when a path of that name exists" {
	make_images
	mkdir a:b
	mv "$layout" a:b/c:d
	start_agent
	id=$(import "oci:$PWD/a:b/c:d:one")
	[[ $(import "oci:$PWD/a:b/c:d@$(digest_in a:b/c:d one)") == "$id" ]]
	varve export "$id" "oci:$PWD/a:b/new:x" 2> /dev/null
	[[ -n $(digest_in a:b/new x) ]]
}

@test "of a reference with a tag and a digest the digest chooses the image" {
	command -v docker-registry > /dev/null || skip "the program docker-registry is not installed"
	make_images
	start_registry
	push_image one lib/it:one
	push_image two lib/it:two
	start_agent
	one=$(import "docker://$registry/lib/it:one")
	digest=$(skopeo inspect --tls-verify=false "docker://$registry/lib/it:one" | jq -r .Digest)
	[[ $(import "docker://$registry/lib/it:two@$digest") == "$one" ]]
	[[ $(import "docker://$registry/lib/it@$digest") == "$one" ]]
}

@test "an import takes the image for this machine from an index and ignores its other entries" {
	make_images
	architecture=$(dpkg --print-architecture)
	jq -c --arg a "$architecture" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: "sha512:strange", size: -1, platform: {os: "linux", architecture: "other"}},
		(.manifests[1] | del(.annotations) + {annotations: {"vnd.docker.reference.type": "attestation-manifest"}, platform: {os: "linux", architecture: $a}}),
		(.manifests[1] | del(.annotations) + {artifactType: "application/vnd.example.sbom"}),
		(.manifests[1] | del(.annotations)),
		7,
		(.manifests[0] | del(.annotations) + {platform: {os: "linux", architecture: $a}})]}' "$layout/index.json" > inner
	inner=$(layout_blob "$layout" inner)
	start_agent
	one=$(import "oci:$layout:one")
	jq -c --argjson d "$inner" '.manifests = [$d + {mediaType: "application/vnd.oci.image.index.v1+json"}]' "$layout/index.json" > index
	mv index "$layout/index.json"
	[[ $(import "oci:$layout") == "$one" ]]
	# A reference can name the inner index by its digest.
	[[ $(import "oci:$layout@$(jq -r .digest <<< "$inner")") == "$one" ]]
}

@test "an import accepts odd JSON in a config that Go's reader accepts, too" {
	make_images
	manifest=$(blob_of "$layout" "$(digest_in "$layout" one)")
	config=$(blob_of "$layout" "$(jq -r .config.digest "$manifest")")
	start_agent
	for odd in '"author": "x\u0000y"' '"author": "one", "author": "two"' '"author": "\xff\xfe"' '"author": "\\ud800"'; do
		{ printf '{'; printf '%b' "${odd/\\u0000/\\\\u0000}"; printf ','; tail -c +2 "$config"; } > odd
		odd_config=$(layout_blob "$layout" odd)
		jq -c --argjson c "$odd_config" '.config += $c' "$manifest" > odd-manifest
		odd_manifest=$(layout_blob "$layout" odd-manifest)
		id=$(import "oci:$layout@$(jq -r .digest <<< "$odd_manifest")")
		rm -rf out
		varve export "$id" "oci:$PWD/out:x" 2> /dev/null
		[[ -e $(blob_of out "$(jq -r .digest <<< "$odd_config")") ]]
		built=$(varve commit "$(varve new --parent "$id" --retain)")
		varve export "$built" "oci:$PWD/out:built" 2> /dev/null
		skopeo inspect --config "oci:$PWD/out:built" > /dev/null
	done
}

@test "a layer file of zero bytes is imported as an empty layer" {
	make_images
	: > "$trees/empty.tar"
	layout_image "$layout" empty "$trees/base.tar.gz" "$trees/empty.tar" "$trees/top.tar"
	start_agent
	id=$(import "oci:$layout:empty")
	diff <(ls "$trees/base/bin") <(ls "$(varve mount "$id" --read-only)/bin")
	varve export "$id" "oci:$PWD/out:x" 2> /dev/null
	[[ -e out/blobs/sha256/$(sha256sum < /dev/null | cut -d ' ' -f 1) ]]
	skopeo inspect "oci:$PWD/out:x" > /dev/null
	if command -v docker-registry > /dev/null; then
		start_registry
		varve push "$id" "$registry/lib/empty:1" 2> /dev/null
		[[ $(varve pull "$registry/lib/empty:1" 2> /dev/null) == "$id" ]]
	fi
}
