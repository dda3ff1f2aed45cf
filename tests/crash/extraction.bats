#!/usr/bin/env bats
# requires root overlay bpf jq sqlite3 skopeo failpoints
# SPDX-License-Identifier: Apache-2.0
#
# Extractions in which a step fails.

load crash
load ../lib/images

@test "an extraction that fails with EAGAIN reports that error and can be tried again" {
	make_images
	start
	id=$(varve import --lazy "oci:$layout:one" 2> /dev/null)
	arm layer.made 1 11
	run ! varve extract "$id"
	[[ $output == *"Resource temporarily unavailable"* ]]
	disarm
	varve extract "$id"
	[[ $(varve ls --json | jq -s 'map(select(.lazy)) | length') -eq 0 ]]
	whole
}
