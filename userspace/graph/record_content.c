/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_content.h"

#include <string.h>

struct record_content *record_content_copy(const struct record_content *content)
{
	cleanup(record_content_free) struct record_content *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *content;
	copy->media_type = strdup(content->media_type ? content->media_type : "");
	copy->registry = strdup(content->registry ? content->registry : "");
	copy->repository = strdup(content->repository ? content->repository : "");
	if (!copy->media_type || !copy->registry || !copy->repository)
		return NULL;
	return take_ptr(copy);
}

void record_content_free(struct record_content *content)
{
	if (!content)
		return;
	free(content->media_type);
	free(content->registry);
	free(content->repository);
	free(content);
}
