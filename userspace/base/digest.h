/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 digests, written as OCI writes them ("sha256:" and 64 lower-case hex digits; image spec
 * 1.1, descriptor.md), and the running hash that gives one. Another algorithm is refused by name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define DIGEST_TEXT_SIZE 72 /* with the NUL */

struct digest {
	char text[DIGEST_TEXT_SIZE]; /* "" for none */
};

/* -EINVAL: malformed; -EOPNOTSUPP: well formed, of another algorithm. The text is quoted. */
int digest_parse(const char *text, struct digest *ret_digest, struct error *e);
static inline const char *digest_hex(const struct digest *d)
{
	return d->text + 7;
}
bool digest_equal(const struct digest *a, const struct digest *b);

/* A hash under way. */
struct digest_sum;

struct digest_sum *digest_sum_new(void); /* NULL: no memory */
void digest_sum_free(struct digest_sum *s);
DEFINE_CLEANUP(struct digest_sum *, digest_sum_free)
/* -ENOMEM. */
int digest_sum_add(struct digest_sum *s, const void *bytes, size_t length);
/* Of all that was added; the sum then starts anew. -ENOMEM. */
int digest_sum_end(struct digest_sum *s, struct digest *ret_digest);
int digest_of(const void *bytes, size_t length, struct digest *ret_digest);
