#!/usr/bin/env bats
# requires root docker-registry skopeo umoci jq perl
# SPDX-License-Identifier: Apache-2.0
#
# varve-fetch with Debian's docker-registry on loopback, and images that umoci has made and skopeo pushed.

load ../lib/helpers
load ../lib/registry

setup() {
	content_setup
	mkdir rootfs
}

teardown() {
	stop_registry
}

tool() {
	content_tool "$@"
}

# An image of two layers, pushed as lib/image:v1.
push_image() {
	umoci init --layout image
	umoci new --image image:v1
	head -c 2000000 /dev/urandom > rootfs/random
	umoci insert --image image:v1 rootfs /first
	head -c 9000000 /dev/zero > rootfs/zeros
	umoci insert --image image:v1 rootfs /second
	skopeo copy --quiet --dest-tls-verify=false "$@" oci:image:v1 "docker://$registry/lib/image:v1"
}

# pull [OPTION…]: manifest, config and layers of lib/image:v1.
pull() {
	local digest size
	tool "$@" fetch-manifest "$registry" lib/image v1 > answer
	tail -n +2 answer > manifest
	while read -r digest size; do
		tool "$@" fetch-blob "$registry" lib/image "$digest" "$size"
	done < <(jq -r '.config, .layers[] | "\(.digest) \(.size)"' manifest)
}

@test "varve-fetch fetches an image that skopeo pushed byte for byte" {
	start_registry
	push_image
	pull
	[[ $(head -n 1 answer) == "sha256:$(sha256sum manifest | cut -d' ' -f1) application/vnd.oci.image.manifest.v1+json $(stat -c %s manifest)" ]]
	[[ $(tool list | wc -l) == 3 ]]
	for blob in store/blobs/sha256/*; do
		cmp "$blob" "image/blobs/sha256/${blob##*/}"
	done
	[[ -z $(ls store/ingest) ]]
	tool fetch-manifest "$registry" lib/image "sha256:$(sha256sum manifest | cut -d' ' -f1)" | tail -n +2 | cmp - manifest
}

@test "varve-fetch fetches images with Docker's media types" {
	start_registry
	push_image --format v2s2
	pull
	[[ $(head -n 1 answer) == *" application/vnd.docker.distribution.manifest.v2+json "* ]]
	[[ $(tool list | wc -l) == 3 ]]
}

@test "the error about a missing manifest or blob names it and quotes the registry" {
	start_registry
	push_image
	run -1 tool fetch-manifest "$registry" lib/image v2
	[[ $output == "ENOENT: $registry/lib/image: manifest v2: the registry answers with 404: manifest unknown" ]]
	run -1 tool fetch-manifest "$registry" lib/none v1
	assert_output_has "ENOENT: $registry/lib/none: manifest v1: the registry answers with 404: "
	missing=sha256:$(sha256sum < /dev/null | cut -d' ' -f1)
	run -1 tool fetch-blob "$registry" lib/image "$missing" 10
	[[ $output == "ENOENT: $registry/lib/image: blob $missing: the registry answers with 404: blob unknown to registry" ]]
}

@test "B47 a download from a registry that was restarted half way resumes by range" {
	start_registry
	push_image
	tool fetch-manifest "$registry" lib/image v1 | tail -n +2 > manifest
	read -r digest size < <(jq -r '.layers[0] | "\(.digest) \(.size)"' manifest)
	run -1 tool --cancel fetch-blob "$registry" lib/image "$digest" "$size"
	assert_output_has "ECANCELED"
	part=$(stat -c %s "store/ingest/${digest#*:}")
	((part > 0 && part < size))
	stop_registry
	run -1 tool fetch-blob "$registry" lib/image "$digest" "$size"
	assert_output_has "ECONNREFUSED: $registry/lib/image: blob $digest: "
	[[ $(stat -c %s "store/ingest/${digest#*:}") == "$part" ]]
	start_registry
	tool fetch-blob "$registry" lib/image "$digest" "$size"
	cmp "store/blobs/sha256/${digest#*:}" "image/blobs/sha256/${digest#*:}"
	grep -Eq '"GET /v2/lib/image/blobs/[^ ]* HTTP/1.1" 206 '"$((size - part)) " registry.log
}

@test "skopeo and umoci accept an image that varve-fetch pushed" {
	start_registry
	push_image
	pull
	while read -r digest; do
		tool push-blob "$registry" lib/copy "$digest"
		tool push-blob "$registry" lib/copy "$digest"
	done < <(jq -r '.config.digest, .layers[].digest' manifest)
	tool push-manifest "$registry" lib/copy v1 application/vnd.oci.image.manifest.v1+json manifest
	skopeo copy --quiet --src-tls-verify=false "docker://$registry/lib/copy:v1" oci:copied:v1
	umoci unpack --rootless --image copied:v1 bundle
	cmp rootfs/random bundle/rootfs/second/random
	cmp rootfs/zeros bundle/rootfs/second/zeros

	run -1 tool push-manifest "$registry" lib/empty v1 application/vnd.oci.image.manifest.v1+json manifest
	assert_output_has "EBADMSG: $registry/lib/empty: manifest v1: the registry answers with 400: "
}

@test "varve-fetch logs in with a given password or one of docker's file" {
	# shellcheck disable=SC2016
	perl -e 'print "user:", crypt("secret", q($2y$05$abcdefghijklmnopqrstuu)), "\n"' > htpasswd
	start_registry "auth: {htpasswd: {realm: here, path: $PWD/htpasswd}}"
	push_image --dest-creds user:secret
	run -1 tool fetch-manifest "$registry" lib/image v1
	[[ $output == "EACCES: $registry/lib/image: manifest v1: the registry asks for a password" ]]
	run -1 tool --auth user:wrong fetch-manifest "$registry" lib/image v1
	[[ $output == "EACCES: $registry/lib/image: manifest v1: the registry answers with 401: authentication required" ]]
	pull --auth user:secret
	[[ $(tool list | wc -l) == 3 ]]
	skopeo login --tls-verify=false --authfile auth.json -u user -p secret "$registry"
	rm -r store
	mkdir store
	pull --credentials auth.json
	[[ $(tool list | wc -l) == 3 ]]
	digest=$(tool list | cut -d' ' -f1 | head -n 1)
	tool --credentials auth.json push-blob "$registry" lib/new "$digest"
}
