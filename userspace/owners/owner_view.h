/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An owner's records joined with their layers: which of them the owner could remove, as the planner
 * of prune/ wants it. Sizes and uses are the store's. What the owner says about itself counts only
 * against eviction: that a record is in use, shared, or below another one.
 */
#pragma once

#include "manager/eviction/eviction_owned.h"
#include "owners/image_space.h"
#include "owners/owner_answer.h"
#include "prune/prune_rule.h"

/* Why the owner is not asked to remove a record; the first that applies. */
enum owner_keep {
	OWNER_KEEP_NOT,
	OWNER_KEEP_IN_USE,
	OWNER_KEEP_UNLEASED,
	OWNER_KEEP_ELSEWHERE,
	OWNER_KEEP_MOUNTED,
	OWNER_KEEP_HERE,
	OWNER_KEEP_BELOW,
	OWNER_KEEP_SHARED,
	OWNER_KEEP_TYPE,
	OWNER_KEEP_YOUNG,
	OWNER_KEEP_FILTERED,
	OWNER_KEEP_ODD,
	OWNER_KEEP_PINNED,
	OWNER_KEEP_SETTING,
	OWNER_KEEP_UNLISTED,
	OWNER_KEEP_COUNT,
};

struct owner_view {
	struct owner_answer answer;
	struct eviction_owned_list layers;
	/* By the answer's records: */
	const struct eviction_owned **layer_of; /* NULL: the store has no such snapshot */
	const struct eviction_owned **container_layer; /* by the answer's containers; may be NULL */
	struct image_tops_found *images; /* by the answer's records */
	struct image_space *space; /* what images alone need; NULL: there are none */
	struct prune_record *records;
	enum owner_keep *kept;
	size_t count;
	int64_t used_bytes; /* of layers, each once; those that are shared are left out */
	int64_t disk_inodes; /* of the same layers */
	int64_t kept_bytes[OWNER_KEEP_COUNT]; /* of used_bytes, by reason */
};

/* Whether the record is an image of which the store has layers. */
static inline bool owner_view_is_image(const struct owner_view *v, size_t record)
{
	return v->answer.records[record].image && v->images[record].count > 0;
}

/* Joins an answer, which it takes, with the store's layers. -ENOMEM, -ECANCELED. */
int owner_view_make(struct manager *m, const struct owner_settings *o, struct owner_answer *answer,
		    const struct prune_rule *rule, const atomic_bool *cancelled,
		    struct owner_view *ret_view, struct error *e);
void owner_view_free(struct owner_view *v); /* what it points to */
DEFINE_CLEANUP_VALUE(struct owner_view, owner_view_free)

/* A phrase such as "in use", for "3 GiB in use". */
const char *owner_view_reason(enum owner_keep keep);
