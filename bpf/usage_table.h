/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The file `usage` in the pin folder: reading it prints the cells, without any agent. */
#pragma once

#include "usage_count.h"

#define MAX_CPUS 4096

const volatile __u32 possible_cpus = 1;

static __always_inline void sum_cpu(struct usage_counts *sum, const struct usage_counts *part)
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
	if (part->last_access > sum->last_access)
		sum->last_access = part->last_access;
}

/* Twelve values are the most that a line can have. */
static __always_inline int print_cell(struct seq_file *out, bool first,
				      const struct usage_counts *parts)
{
	struct usage_counts sum = {};

	if (first)
		BPF_SEQ_PRINTF(out, "mount layer opens execs reads read_bytes writes written_bytes "
				    "mmaps stats copy_ups last_access_boot_ns\n");
	if (!parts || !parts->mount_id)
		return 0;
	for (__u32 cpu = 0; cpu < MAX_CPUS && cpu < possible_cpus; cpu++)
		sum_cpu(&sum, parts + cpu);
	BPF_SEQ_PRINTF(out, "%llu %u %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
		       parts->mount_id, parts->layer, sum.opens, sum.execs, sum.reads,
		       sum.read_bytes, sum.writes, sum.written_bytes, sum.mmaps, sum.stats,
		       sum.copy_ups, sum.last_access);
	return 0;
}

SEC("iter/bpf_map_elem")
int usage_table(struct bpf_iter__bpf_map_elem *context)
{
	return print_cell(context->meta->seq, !context->meta->seq_num, context->value);
}
