/* SPDX-License-Identifier: Apache-2.0 */
/* How a record is known outside the store; see struct record_content. */
#pragma once

#include "base/cleanup.h"
#include "graph/record.h"

/* A copy, with texts of its own; NULL: no memory. A NULL text is an empty one. */
struct record_content *record_content_copy(const struct record_content *content);
void record_content_free(struct record_content *content);
DEFINE_CLEANUP(struct record_content *, record_content_free)

static inline bool record_content_has_source(const struct record_content *content)
{
	return *content->registry;
}

/* The lowest record of the chain whose layer has no files; NULL: all have. Those between it and
 * the record need not be lazy. */
struct record *record_content_lowest_lazy(struct record *r);
