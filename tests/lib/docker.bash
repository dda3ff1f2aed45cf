# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A private dockerd on the private containerd of ../lib/containerd, with its containerd image store and builder on the
# test's agent. For bats files that have loaded ../lib/helpers and ../lib/containerd: they call docker_setup after
# containerd_setup, and docker_teardown before containerd_teardown.

# agent_setup and containerd_setup set these.
: "${agent_socket_dir=}" "${containerd_dir=}"

docker_setup() {
	local root
	root=$("$BATS_TEST_DIRNAME/../../scripts/fetch-docker")
	PATH=$("$BATS_TEST_DIRNAME/../../scripts/fetch-containerd"):$root/usr/bin:$root/usr/sbin:$PATH
	docker_dir=$BATS_TEST_TMPDIR/docker
	docker_socket=$agent_socket_dir/docker
	docker_pid=
	mkdir -p "$docker_dir/config/cli-plugins"
	ln -s "$root/usr/libexec/docker/cli-plugins/docker-buildx" "$docker_dir/config/cli-plugins/"
	export DOCKER_HOST=unix://$docker_socket DOCKER_CONFIG=$docker_dir/config DOCKER_BUILDKIT=1 BUILDX_CONFIG=$docker_dir/buildx
	cat > "$docker_dir/daemon.json" <<- END
		{ "features": { "containerd-snapshotter": true }, "storage-driver": "varve", "userland-proxy": false }
	END
}

start_docker() {
	dockerd --config-file "$docker_dir/daemon.json" --host "$DOCKER_HOST" --data-root "$docker_dir/root" \
		--exec-root "$docker_dir/exec" --pidfile "$docker_dir/pid" --containerd "$CONTAINERD_ADDRESS" \
		--containerd-namespace "$CONTAINERD_NAMESPACE" --containerd-plugins-namespace "$CONTAINERD_NAMESPACE-plugins" \
		--iptables=false --ip6tables=false --bridge=none --group "" >> "$docker_dir/log" 2>&1 3>&- &
	docker_pid=$!
	retry 200 docker version > /dev/null 2>&1
}

stop_docker() {
	local pid=$docker_pid
	docker_pid=
	kill "$pid"
	wait "$pid" 2> /dev/null || true
}

docker_teardown() {
	local point
	[[ -n ${docker_dir-} ]] || return 0
	[[ -z $docker_pid ]] || stop_docker
	while read -r point; do
		umount -l "$point"
	done < <(awk -v dir="$docker_dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac)
	[[ ! -s $docker_dir/log ]] || sed -n '/level=\(error\|fatal\)/s/^/dockerd: /p' "$docker_dir/log" | tail -n 10
	rm -rf "${docker_dir:?}"
}
