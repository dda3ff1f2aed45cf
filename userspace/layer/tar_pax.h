/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a pax header. If a key occurs twice, the last value counts; an empty value leaves
 * the entry's own header as it is. Keys and values point into the header's text.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

struct tar_pax_record {
	const char *key; /* both end in a NUL, and a value may have more of them */
	const char *value;
	size_t length;
};

struct tar_pax {
	struct strbuf text;
	struct tar_pax_record *records;
	size_t count, capacity;
};

/* Reads the records of p->text, which it changes. -EBADMSG, -ENOMEM. */
int tar_pax_parse(struct tar_pax *p, struct error *e);
/* NULL when there is none, or when its value is empty. */
const struct tar_pax_record *tar_pax_find(const struct tar_pax *p, const char *key);
void tar_pax_reset(struct tar_pax *p);
void tar_pax_free(struct tar_pax *p);
