/* SPDX-License-Identifier: Apache-2.0 */
#include "store/usage_rows.h"

#include <stdio.h>
#include <string.h>

#include "store/statement.h"

void usage_rows_insert_mount(struct change_set *c, const struct mount_row *row)
{
	change_set_add(c,
		       "INSERT INTO mounts(id, record, writable, boot, layers, uid_map, gid_map)"
		       " VALUES(:id, :record, :writable, :boot, :layers, :uid_map, :gid_map)",
		       "ititttt", row->id, row->record, (int64_t)row->writable, row->boot,
		       row->layers, row->uid_map, row->gid_map);
}

/* The columns of a cell, which both tables have. */
#define CELL_COLUMNS                                                                                  \
	"opens, execs, reads, read_bytes, writes, written_bytes, mmaps, stats,"                       \
	" readlinks, copy_ups, copied_up_bytes, upper_changes, read_opens, mapped_bytes, first_boot," \
	" last_boot, last_use_boot, uses, last_write_boot"

static void set_cell(struct change_set *c, const char *statement, const struct usage_row *r)
{
	const uint64_t *n = r->counters;

	change_set_add(c, statement, "iitiiiiiiiiiiiiiiiiiii", r->mount_id, r->index, r->layer,
		       (int64_t)n[0], (int64_t)n[1], (int64_t)n[2], (int64_t)n[3], (int64_t)n[4],
		       (int64_t)n[5], (int64_t)n[6], (int64_t)n[7], (int64_t)n[8], (int64_t)n[9],
		       (int64_t)n[10], (int64_t)n[11], (int64_t)n[12], (int64_t)n[13],
		       r->first_read_boot_ns, r->last_read_boot_ns, r->last_use_boot_ns,
		       (int64_t)r->uses, r->last_write_boot_ns);
}

#define CELL_VALUES                                                                   \
	" VALUES(:owner, :idx, :layer, :opens, :execs, :reads, :read_bytes, :writes," \
	" :written, :mmaps, :stats, :readlinks, :copy_ups, :copied, :changes,"        \
	" :read_opens, :mapped, :first, :last, :last_use, :uses, :last_write)"

void usage_rows_set_layer(struct change_set *c, const struct usage_row *r)
{
	set_cell(c,
		 "INSERT OR REPLACE INTO mount_layers(mount, idx, layer, " CELL_COLUMNS
		 ")" CELL_VALUES,
		 r);
}

void usage_rows_set_watch(struct change_set *c, const struct usage_row *r)
{
	set_cell(c,
		 "INSERT OR REPLACE INTO watch_layers(watch, idx, layer, " CELL_COLUMNS
		 ")" CELL_VALUES,
		 r);
}

void usage_rows_delete_watch(struct change_set *c, int64_t owner)
{
	change_set_add(c, "DELETE FROM watch_layers WHERE watch = :owner", "i", owner);
}

void usage_rows_delete_mount(struct change_set *c, int64_t mount_id)
{
	change_set_add(c, "DELETE FROM mount_layers WHERE mount = :id", "i", mount_id);
	change_set_add(c, "DELETE FROM mounts WHERE id = :id", "i", mount_id);
}

struct visit {
	union {
		int (*mount)(const struct mount_row *row, void *user);
		int (*layer)(const struct usage_row *row, void *user);
	};
	void *user;
};

static int visit_mount(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct mount_row r = {
		.id = sqlite3_column_int64(row, 0),
		.record = statement_text(row, 1),
		.boot = statement_text(row, 3),
		.layers = statement_text(row, 4),
		.uid_map = statement_text(row, 5),
		.gid_map = statement_text(row, 6),
		.writable = sqlite3_column_int64(row, 2) != 0,
	};
	int code = v->mount(&r, v->user);

	return code < 0 ? error_set(e, code, "mounts: %s", strerror(-code)) : 0;
}

int usage_rows_load_mounts(sqlite3 *db, int (*visit)(const struct mount_row *row, void *user),
			   void *user, struct error *e)
{
	struct visit v = { .mount = visit, .user = user };

	return statement_query(
		db, visit_mount, &v, e,
		"SELECT id, record, writable, boot, layers, uid_map, gid_map FROM mounts", "");
}

static int visit_layer(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct usage_row r = { .mount_id = sqlite3_column_int64(row, 0),
			       .index = sqlite3_column_int64(row, 1) };
	int code;

	(void)snprintf(r.layer, sizeof(r.layer), "%s", statement_text(row, 2)); /* ours: it fits */
	for (int i = 0; i < LAYER_COUNTERS; i++)
		r.counters[i] = (uint64_t)sqlite3_column_int64(row, 3 + i);
	r.first_read_boot_ns = sqlite3_column_int64(row, 3 + LAYER_COUNTERS);
	r.last_read_boot_ns = sqlite3_column_int64(row, 4 + LAYER_COUNTERS);
	r.last_use_boot_ns = sqlite3_column_int64(row, 5 + LAYER_COUNTERS);
	r.uses = (uint64_t)sqlite3_column_int64(row, 6 + LAYER_COUNTERS);
	r.last_write_boot_ns = sqlite3_column_int64(row, 7 + LAYER_COUNTERS);
	code = v->layer(&r, v->user);
	return code < 0 ? error_set(e, code, "mount layers: %s", strerror(-code)) : 0;
}

int usage_rows_load_layers(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			   void *user, struct error *e)
{
	struct visit v = { .layer = visit, .user = user };

	return statement_query(db, visit_layer, &v, e,
			       "SELECT mount, idx, layer, " CELL_COLUMNS
			       " FROM mount_layers ORDER BY mount, idx",
			       "");
}

int usage_rows_load_watches(sqlite3 *db, int (*visit)(const struct usage_row *row, void *user),
			    void *user, struct error *e)
{
	struct visit v = { .layer = visit, .user = user };

	return statement_query(db, visit_layer, &v, e,
			       "SELECT watch, idx, layer, " CELL_COLUMNS " FROM watch_layers", "");
}
