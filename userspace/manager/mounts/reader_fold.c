/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/reader_fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "usage/cgroup_reader.h"
#include "usage/usage_cgroups.h"

struct gathered_reader {
	uint64_t cgroup;
	struct reader_row row;
};

void reader_fold_free(struct reader_fold *f)
{
	for (size_t i = 0; i < f->name_count; i++)
		free(f->names[i]);
	free(f->names);
	free(f->gathered);
	free(f->rows);
}

int reader_fold_add(struct reader_fold *f, const char *layer, const struct usage_file *reader)
{
	struct gathered_reader *gathered = vec_reserve(f->gathered, &f->gathered_capacity,
						       f->gathered_count + 1, sizeof(*gathered));
	int64_t last = clock_boot_to_wall_ns(reader->last_access_boot_ns);

	if (!gathered)
		return -ENOMEM;
	f->gathered = gathered;
	gathered += f->gathered_count++;
	*gathered = (struct gathered_reader){ .cgroup = reader->inode,
					      .row = { .upkeep = reader->upkeep,
						       .opens = reader->opens,
						       .reads = reader->reads,
						       .read_bytes = reader->read_bytes,
						       .first_ns = last,
						       .last_ns = last } };
	memcpy(gathered->row.layer, layer, sizeof(gathered->row.layer));
	return 0;
}

static int by_cgroup(const void *a, const void *b)
{
	uint64_t x = ((const struct gathered_reader *)a)->cgroup,
		 y = ((const struct gathered_reader *)b)->cgroup;

	return (x > y) - (x < y);
}

/* "" for one that is not known. */
static char *find_name(struct manager *m, uint64_t cgroup, struct error *e)
{
	cleanup(free_ptr) char *path = NULL;
	char *name;

	if (usage_cgroups_find_path(m->usage, cgroup, &path, e) < 0)
		return NULL;
	name = path ? cgroup_reader_fold(path) : strdup("");
	if (!name)
		(void)error_set(e, -ENOMEM, "out of memory");
	return name;
}

static int find_names(struct reader_fold *f, struct manager *m, struct error *e)
{
	f->names = calloc(f->gathered_count + 1, sizeof(char *));
	if (!f->names)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f->gathered_count; i++) {
		struct gathered_reader *g = &f->gathered[i];

		if (i == 0 || g->cgroup != g[-1].cgroup) {
			f->names[f->name_count] = find_name(m, g->cgroup, e);
			if (!f->names[f->name_count])
				return e->code;
			f->name_count++;
		}
		g->row.reader = f->names[f->name_count - 1];
	}
	return 0;
}

static void merge(struct reader_fold *f)
{
	size_t kept = 0;

	qsort(f->rows, f->count, sizeof(*f->rows), reader_rows_compare);
	for (size_t i = 1; i < f->count; i++) {
		struct reader_row *to = &f->rows[kept];
		const struct reader_row *from = &f->rows[i];

		if (reader_rows_compare(to, from) != 0) {
			f->rows[++kept] = *from;
			continue;
		}
		to->opens += from->opens;
		to->reads += from->reads;
		to->read_bytes += from->read_bytes;
		if (from->first_ns < to->first_ns)
			to->first_ns = from->first_ns;
		if (from->last_ns > to->last_ns)
			to->last_ns = from->last_ns;
	}
	f->count = kept + 1;
}

int reader_fold_finish(struct reader_fold *f, struct manager *m, struct error *e)
{
	int code;

	if (f->gathered_count == 0)
		return 0;
	qsort(f->gathered, f->gathered_count, sizeof(*f->gathered), by_cgroup);
	code = find_names(f, m, e);
	if (code < 0)
		return code;
	f->rows = calloc(f->gathered_count, sizeof(*f->rows));
	if (!f->rows)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f->gathered_count; i++)
		f->rows[i] = f->gathered[i].row;
	f->count = f->gathered_count;
	merge(f);
	return 0;
}
