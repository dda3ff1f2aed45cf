/* SPDX-License-Identifier: Apache-2.0 */
#include "base/docker_hub.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

bool docker_hub_is_host(const char *host, size_t length)
{
	static const char *const names[] = { "docker.io", "index.docker.io", DOCKER_HUB_HOST };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (length == strlen(names[i]) && strncasecmp(host, names[i], length) == 0)
			return true;
	return false;
}
