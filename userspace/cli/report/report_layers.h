/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts the layers of a store by what is to be done about them. Pure. */
#pragma once

#include "base/hashmap.h"
#include "cli/report/report_facts.h"

struct report_layer {
	const Varve__V1__Record *record;
	const Varve__V1__Stats *stats;
};

struct report_layers {
	struct report_layer *items;
	size_t count;
	struct hashmap *by_id, *by_layer; /* struct report_layer */
};

/* `stats` are those of the listed records; `records` all of them. Both must outlive the result. */
int report_layers_join(const Varve__V1__Record *const *records, size_t record_count,
		       Varve__V1__Stats *const *stats, size_t stats_count,
		       struct report_layers *ret_layers);
void report_layers_free(struct report_layers *layers);
DEFINE_CLEANUP_VALUE(struct report_layers, report_layers_free)

/* Adds up, and proposes changes. -ENOMEM. */
int report_layers_count(const struct report_layers *layers, struct report_facts *f);
/* How many files of the image were read, and how large its layers are. False: not all is known. */
bool report_layers_image(const struct report_layers *layers, const char *top, uint64_t *ret_files,
			 int64_t *ret_bytes);
/* Adds to the bytes of a change, which is new or there already. -ENOMEM. */
int report_layers_propose(struct report_facts *f, const char *what, const char *command,
			  int64_t bytes);
