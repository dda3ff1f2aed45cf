/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/chain_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

int chain_index_init(struct chain_index *x)
{
	*x = (struct chain_index){ .bucket_count = FIRST_BUCKETS };
	x->buckets = calloc(x->bucket_count, sizeof(*x->buckets));
	return x->buckets ? 0 : -ENOMEM;
}

void chain_index_free(struct chain_index *x)
{
	free(x->buckets);
	*x = (struct chain_index){ 0 };
}

static bool is_indexed(const struct record *r)
{
	return r->content && *r->content->chain_id.text;
}

/* A digest is random enough in its last digits. A text that is not one has whatever lies behind its
 * end left out. */
static size_t bucket_of(const struct chain_index *x, const struct digest *chain)
{
	size_t length = strnlen(chain->text, sizeof(chain->text));
	uint64_t last[2] = { length, 0 };
	size_t part = length < sizeof(last) ? length : sizeof(last);

	memcpy(last, chain->text + length - part, part);
	last[0] = (last[0] * 0x9e3779b97f4a7c15) ^ last[1];
	last[0] = (last[0] ^ (last[0] >> 32)) * 0x9e3779b97f4a7c15;
	return (last[0] >> 32) & (x->bucket_count - 1);
}

static void link_record(struct chain_index *x, struct record *r)
{
	struct record **bucket = &x->buckets[bucket_of(x, &r->content->chain_id)];

	r->previous_of_chain = NULL;
	r->next_of_chain = *bucket;
	if (*bucket)
		(*bucket)->previous_of_chain = r;
	*bucket = r;
}

/* Without memory the lists only become longer. */
static void widen(struct chain_index *x, size_t bucket_count)
{
	struct chain_index wider = { .bucket_count = bucket_count, .count = x->count };

	wider.buckets = calloc(wider.bucket_count, sizeof(*wider.buckets));
	if (!wider.buckets)
		return;
	for (size_t i = 0; i < x->bucket_count; i++) {
		for (struct record *r = x->buckets[i], *next; r; r = next) {
			next = r->next_of_chain;
			link_record(&wider, r);
		}
	}
	free(x->buckets);
	*x = wider;
}

void chain_index_reserve(struct chain_index *x, size_t count)
{
	size_t wanted = x->bucket_count;

	while (wanted < count)
		wanted *= 2;
	if (wanted > x->bucket_count)
		widen(x, wanted);
}

void chain_index_add(struct chain_index *x, struct record *r)
{
	if (!is_indexed(r))
		return;
	if (x->count >= x->bucket_count)
		widen(x, 2 * x->bucket_count);
	link_record(x, r);
	x->count++;
}

void chain_index_remove(struct chain_index *x, struct record *r)
{
	if (!is_indexed(r))
		return;
	if (r->previous_of_chain)
		r->previous_of_chain->next_of_chain = r->next_of_chain;
	else
		x->buckets[bucket_of(x, &r->content->chain_id)] = r->next_of_chain;
	if (r->next_of_chain)
		r->next_of_chain->previous_of_chain = r->previous_of_chain;
	r->next_of_chain = r->previous_of_chain = NULL;
	x->count--;
}

/* From this record on. */
static struct record *find_chain(struct record *r, const struct digest *chain)
{
	while (r && !digest_equal(&r->content->chain_id, chain))
		r = r->next_of_chain;
	return r;
}

struct record *chain_index_first(const struct chain_index *x, const struct digest *chain)
{
	return *chain->text ? find_chain(x->buckets[bucket_of(x, chain)], chain) : NULL;
}

struct record *chain_index_next(const struct record *r)
{
	return find_chain(r->next_of_chain, &r->content->chain_id);
}
