/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_missing.h"

#include <errno.h>
#include <stdio.h>

#include "graph/record_content.h"
#include "manager/content/content_blobs.h"

static bool is_missing(struct manager *m, const struct record *r, bool unreachable)
{
	return r->layer->lazy && r->content && !content_blobs_has(m, &r->content->blob) &&
	       (unreachable || !record_content_has_source(r->content));
}

/* Names all of them where they fit into a message; else shortens them, and counts the rest. */
static void list_missing(struct manager *m, const struct record *r, bool unreachable, size_t count,
			 char *text, size_t size)
{
	int digits = count * (DIGEST_TEXT_SIZE + 1) < size ? 64 : 12;
	size_t used = 0, left = count;

	for (; r && left > 0; r = r->parent) {
		if (!is_missing(m, r, unreachable))
			continue;
		if (used + (size_t)digits + 40 > size)
			break;
		used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "",
					 7 + digits, r->content->blob.text);
		left--;
	}
	if (left > 0)
		(void)snprintf(text + used, size - used, " and %zu more", left);
}

int content_missing_check(struct manager *m, const struct record *r, const char *unreachable,
			  struct error *e)
{
	char digests[800] = "";
	size_t count = 0;

	manager_assert_locked(m);
	for (const struct record *at = r; at; at = at->parent)
		count += is_missing(m, at, unreachable);
	if (count == 0)
		return 0;
	list_missing(m, r, unreachable, count, digests, sizeof(digests));
	if (unreachable)
		return error_set(e, -ENODATA, "%zu blob%s missing: %s; %s", count,
				 count == 1 ? " is" : "s are", digests, unreachable);
	return error_set(e, -ENODATA, "%zu blob%s not in the store and ha%s no source: %s", count,
			 count == 1 ? " is" : "s are", count == 1 ? "s" : "ve", digests);
}
