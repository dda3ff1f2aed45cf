/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The file `usage` in the pin folder: reading it prints the cells, without any agent. */
#pragma once

#include "usage_count.h"

static __always_inline void sum_part(struct usage_counts *sum, const struct usage_counts *part)
{
	sum->opens += part->opens;
	sum->execs += part->execs;
	sum->reads += part->reads;
	sum->read_bytes += part->read_bytes;
	sum->writes += part->writes;
	sum->written_bytes += part->written_bytes;
	sum->mmaps += part->mmaps;
	sum->stats += part->stats;
	sum->copy_ups += part->copy_ups;
	if (part->last_read > sum->last_read)
		sum->last_read = part->last_read;
	if (part->last_write > sum->last_read)
		sum->last_read = part->last_write;
}

/* The sum of all parts; false when this is not the first of them, which has printed it. */
static __always_inline bool sum_parts(const struct usage_cell_key *first, struct usage_counts *sum)
{
	struct usage_cell_key key = *first;
	struct usage_counts *part;

	for (__u32 i = 0; i < USAGE_MAX_PARTS; i++) {
		key.part = i;
		part = bpf_map_lookup_elem(&usage_cells, &key);
		if (part && i < first->part)
			return 0;
		if (part)
			sum_part(sum, part);
	}
	return 1;
}

/* Twelve values are the most that a line can have. */
static __always_inline int print_cell(struct seq_file *out, bool first,
				      const struct usage_cell_key *key)
{
	struct usage_counts sum = {};

	if (first)
		BPF_SEQ_PRINTF(out, "mount layer opens execs reads read_bytes writes written_bytes "
				    "mmaps stats copy_ups last_access_boot_ns\n");
	if (!key || key->layer & USAGE_UPKEEP || !sum_parts(key, &sum))
		return 0;
	BPF_SEQ_PRINTF(out, "%llu %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
		       key->owner, key->layer, sum.opens, sum.execs, sum.reads, sum.read_bytes,
		       sum.writes, sum.written_bytes, sum.mmaps, sum.stats, sum.copy_ups,
		       sum.last_read);
	return 0;
}

SEC("iter/bpf_map_elem")
int usage_table(struct bpf_iter__bpf_map_elem *context)
{
	return print_cell(context->meta->seq, !context->meta->seq_num, context->key);
}
