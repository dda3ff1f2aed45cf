/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/record_content.h"

#include <string.h>

/* Most texts are empty: they share this one, which is not freed. */
static char empty[1];

static char *copy_text(const char *text)
{
	return text && *text ? strdup(text) : empty;
}

static void free_text(char *text)
{
	if (text != empty)
		free(text);
}

struct record_content *record_content_copy(const struct record_content *content)
{
	cleanup(record_content_free) struct record_content *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *content;
	copy->media_type = copy_text(content->media_type);
	copy->registry = copy_text(content->registry);
	copy->repository = copy_text(content->repository);
	if (!copy->media_type || !copy->registry || !copy->repository)
		return NULL;
	return take_ptr(copy);
}

void record_content_free(struct record_content *content)
{
	if (!content)
		return;
	free_text(content->media_type);
	free_text(content->registry);
	free_text(content->repository);
	free(content);
}
