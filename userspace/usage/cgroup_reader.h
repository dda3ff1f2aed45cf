/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: folds the path of a cgroup to the container or unit that its tasks belong to, by the shapes
 * of the paths that Docker, containerd, Kubernetes, Podman, BuildKit and systemd make. The
 * outermost one counts: what a container or a user's manager makes below its own cgroup cannot look
 * like another container.
 */
#pragma once

/* "docker:ID", "kubernetes:POD/ID", "podman:ID", "crio:ID", "containerd:ID", "nerdctl:ID",
 * "buildkit:ID", "container:ID", "unit:NAME", else "cgroup:" and the first two names of the path.
 * Control characters and bytes that are not UTF-8 are escaped. The caller frees it; NULL: no
 * memory.
 */
char *cgroup_reader_fold(const char *path);
