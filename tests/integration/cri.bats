#!/usr/bin/env bats
# requires root overlay bpf jq containerd-1.7 ctr runc busybox docker-registry skopeo python3-grpc protoc
# SPDX-License-Identifier: Apache-2.0
#
# What kubelet does with the CRI of the real containerd on the agent's snapshots: pulls, runs a pod, asks for usage,
# removes, as doc/kubernetes.md configures it.

# jq's variables look like the shell's.
# shellcheck disable=SC2016

load ../lib/helpers
load ../lib/containerd
load ../lib/images
load ../lib/registry

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	agent_setup
	containerd_setup
	PATH=$("$BATS_TEST_DIRNAME/../../scripts/fetch-containerd"):$PATH
	protoc --proto_path="$BATS_TEST_DIRNAME/../data" --python_out="$BATS_TEST_TMPDIR" cri.proto
	export PYTHONPATH=$BATS_TEST_TMPDIR PYTHONDONTWRITEBYTECODE=1 CONTAINERD_NAMESPACE=k8s.io
}

teardown() {
	stop_registry
	containerd_teardown
	agent_teardown
}

cri() {
	"$BATS_TEST_DIRNAME/../tools/cri" "$CONTAINERD_ADDRESS" "$@"
}

# start_cri: a registry with the images "pause" and "app", and containerd with its CRI plugin.
start_cri() {
	local program
	mkdir -p pause/bin app/bin
	cp "$(command -v busybox)" pause/bin/busybox
	printf '#!/bin/busybox sh\nexec /bin/busybox sleep 100000\n' > pause/bin/sh # the command of both images
	chmod +x pause/bin/sh
	ln -s busybox app/bin/sh
	ln -s busybox app/bin/cat
	ln -s busybox app/bin/sleep
	head -c 300000 /dev/urandom > app/bin/read
	head -c 700000 /dev/urandom > app/bin/unread
	layout_new oci
	for program in pause app; do
		tar_of "$program" "$program.tar"
		gzip "$program.tar"
	done
	layout_image oci pause pause.tar.gz
	layout_image oci app pause.tar.gz app.tar.gz
	start_registry
	for program in pause app; do
		skopeo copy --quiet --dest-tls-verify=false "oci:oci:$program" "docker://$registry/$program:1"
	done
	sed -i '/^disabled_plugins/d' "$containerd_dir/config.toml"
	cat >> "$containerd_dir/config.toml" <<- END
		  [proxy_plugins.varve.exports]
		    root = "$agent_root"
		[proxy_plugins.varve-diff]
		  type = "diff"
		  address = "$agent_socket"
		[plugins."io.containerd.service.v1.diff-service"]
		  default = ["varve-diff", "walking"]
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "$registry/pause:1"
		  restrict_oom_score_adj = true
		[plugins."io.containerd.grpc.v1.cri".containerd]
		  snapshotter = "varve"
		  disable_snapshot_annotations = false
	END
	printf '[snapshots]\nkeep_free = 0\n[containerd]\naddress = %s\nevict = images\n' "$CONTAINERD_ADDRESS" >> "$agent_config"
	start_agent
	start_containerd
}

# call_id METHOD REQUEST REPLY FIELD ID: a call that names one thing.
call_id() {
	cri "RuntimeService.$1" "$2" "$3" "{\"$4\": \"$5\"}"
}

written() { # CONTAINER: bytes in its writable layer, as CRI has asked for them
	call_id ContainerStats ContainerId ContainerStatsReply container_id "$1" | jq -r '.stats.writableLayer.usedBytes.value // 0'
}

images_of_cri() {
	cri ImageService.ListImages Empty ListImagesReply | jq -r '.images[].repoTags[]' | sort | xargs
}

@test "kubelet's calls work on the agent's snapshots: pull, run, usage, image file system, remove" {
	start_cri
	image='{"image": {"image": "'$registry/app:1'"}}'
	host='"namespace_options": {"network": 2}' # there is no CNI here
	pod='{"metadata": {"name": "p", "uid": "u1", "namespace": "default"}, "log_directory": "'$BATS_TEST_TMPDIR/logs'",
		"linux": {"security_context": {'$host'}}}'
	cri ImageService.PullImage PullImageRequest PullImageReply "$image"
	[[ $(varve ls --json | jq -r 'select(.snapshot.kind == "committed") | .snapshot.key' | cut -d / -f 1 | sort -u) == k8s.io ]]
	pod_id=$(cri RuntimeService.RunPodSandbox RunPodRequest PodId "{\"config\": $pod}" | jq -r .podSandboxId)
	id=$(cri RuntimeService.CreateContainer CreateContainerRequest ContainerId "{\"pod_sandbox_id\": \"$pod_id\", \"sandbox_config\": $pod,
		\"config\": {\"metadata\": {\"name\": \"c\"}, \"image\": {\"image\": \"$registry/app:1\"}, \"log_path\": \"c.log\",
		\"command\": [\"/bin/sh\", \"-c\", \"cat /bin/read > /copy; exec sleep 1000\"],
		\"linux\": {\"security_context\": {$host}}}}" | jq -r .containerId)
	call_id StartContainer ContainerId Empty container_id "$id"
	retry 100 eval '[[ $(written "$id") -gt 300000 ]]'
	run -0 cri ImageService.ImageFsInfo Empty ImageFsInfoReply
	assert_json '.imageFilesystems[0].fsId.mountpoint == $root and (.imageFilesystems[0].usedBytes.value | tonumber) > 1000000' \
		--arg root "$agent_root"
	# Of the layer of the image only one of the large files was read.
	top=$(varve images --json | jq -r --arg t "$registry/app:1" 'select(.tags | index($t)) | .record')
	run -0 varve files "$top" --json
	assert_json_lines 'map(select(.readBytes > 0) | .path) | (index("bin/read") and (index("bin/unread") | not))'
	run -0 varve explain "$top"
	assert_output_has "the container ${id:0:12} of containerd needs it (image $registry/app:1)"
	run -0 varve prune --owner containerd --json
	assert_json_lines 'length == 1' # both images have containers, and that of the pod is pinned
	call_id StopContainer StopContainerRequest Empty container_id "$id"
	call_id RemoveContainer ContainerId Empty container_id "$id"
	# containerd keeps the container's snapshot until its collection.
	retry 100 eval '[[ $(varve prune --owner containerd --dry-run -q) == k8s.io/$registry/app:1 ]]'
	run -0 varve prune --owner containerd --json
	assert_json_lines '.[0].refused == null and .[0].recordType == "image" and length == 2'
	retry 100 eval '[[ $(images_of_cri) == "$registry/pause:1" ]]'
	# The layers have stayed as a cache: kubelet's next pull makes the same records snapshots again.
	cri ImageService.PullImage PullImageRequest PullImageReply "$image"
	[[ $(varve images --json | jq -r --arg t "$registry/app:1" 'select(.tags | index($t)) | .record') == "$top" ]]
	cri ImageService.RemoveImage ImageRequest Empty "$image"
	[[ $(images_of_cri) == "$registry/pause:1" ]]
	call_id StopPodSandbox PodId Empty pod_sandbox_id "$pod_id"
	call_id RemovePodSandbox PodId Empty pod_sandbox_id "$pod_id"
	run -0 varve owners --json
	assert_json '.records == 1 and .evictable == 0'
}
