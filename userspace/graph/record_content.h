/* SPDX-License-Identifier: Apache-2.0 */
/* How a record is known outside the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/digest.h"

/* How a record is known outside the store: the blob that its layer was extracted from or packed
 * into.
 */
struct record_content {
	struct digest blob, diff_id; /* as it is stored, and of its tar */
	struct digest chain_id, blob_chain_id;
	struct digest config; /* of the image that ends here; "" for none */
	int64_t size_bytes; /* of the blob */
	char *media_type;
	char *registry, *repository; /* where the blob may be fetched; "" for nowhere */
};

/* A copy, with texts of its own; NULL: no memory. A NULL text is an empty one. */
struct record_content *record_content_copy(const struct record_content *content);
void record_content_free(struct record_content *content);
DEFINE_CLEANUP(struct record_content *, record_content_free)

static inline bool record_content_has_source(const struct record_content *content)
{
	return *content->registry;
}
