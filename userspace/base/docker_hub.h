/* SPDX-License-Identifier: Apache-2.0 */
/* Docker Hub is one registry with several names: references say docker.io, docker login writes
 * index.docker.io, and the registry answers at registry-1.docker.io. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DOCKER_HUB_HOST "registry-1.docker.io" /* where it is asked */

bool docker_hub_is_host(const char *host, size_t length);
