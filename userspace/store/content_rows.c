/* SPDX-License-Identifier: Apache-2.0 */
#include "store/content_rows.h"

#include <string.h>

#include "base/text_copy.h"
#include "store/statement.h"

void content_rows_set(struct change_set *c, const char *record,
		      const struct record_content *content)
{
	change_set_add(c,
		       "INSERT OR REPLACE INTO contents(record, blob, size, media_type, diff_id,"
		       " chain_id, blob_chain_id, config, registry, repository)"
		       " VALUES(:record, :blob, :size, :media_type, :diff_id, :chain_id,"
		       " :blob_chain_id, :config, :registry, :repository)",
		       "ttittttttt", record, content->blob.text, content->size_bytes,
		       content->media_type, content->diff_id.text, content->chain_id.text,
		       content->blob_chain_id.text, content->config.text, content->registry,
		       content->repository);
}

struct visit {
	union {
		int (*content)(const char *record, const struct record_content *content,
			       void *user);
		int (*digest)(const char *digest, void *user);
	};
	void *user;
};

static struct digest read_digest(sqlite3_stmt *row, int column)
{
	struct digest d;

	/* Written by content_rows_set(): it fits. */
	text_copy(d.text, sizeof(d.text), statement_text(row, column));
	return d;
}

static int visit_content(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	struct record_content content = {
		.blob = read_digest(row, 1),
		.size_bytes = sqlite3_column_int64(row, 2),
		.media_type = (char *)statement_text(row, 3),
		.diff_id = read_digest(row, 4),
		.chain_id = read_digest(row, 5),
		.blob_chain_id = read_digest(row, 6),
		.config = read_digest(row, 7),
		.registry = (char *)statement_text(row, 8),
		.repository = (char *)statement_text(row, 9),
	};
	int code = v->content(statement_text(row, 0), &content, v->user);

	return code < 0 ? error_set(e, code, "contents: %s", strerror(-code)) : 0;
}

int content_rows_load(sqlite3 *db,
		      int (*visit)(const char *record, const struct record_content *content,
				   void *user),
		      void *user, struct error *e)
{
	struct visit v = { .content = visit, .user = user };

	return statement_query(db, visit_content, &v, e,
			       "SELECT record, blob, size, media_type, diff_id, chain_id,"
			       " blob_chain_id, config, registry, repository FROM contents"
			       " ORDER BY record",
			       "");
}

static int visit_digest(sqlite3_stmt *row, void *user, struct error *e)
{
	struct visit *v = user;
	int code = v->digest(statement_text(row, 0), v->user);

	return code < 0 ? error_set(e, code, "contents: %s", strerror(-code)) : 0;
}

int content_rows_load_needed(sqlite3 *db, bool lazy_only,
			     int (*visit)(const char *digest, void *user), void *user,
			     struct error *e)
{
	struct visit v = { .digest = visit, .user = user };

	return statement_query(db, visit_digest, &v, e,
			       "SELECT c.blob FROM contents c JOIN records r ON r.id = c.record"
			       " JOIN layers l ON l.name = r.layer WHERE l.lazy >= :lazy"
			       " UNION ALL SELECT config FROM contents WHERE config <> ''",
			       "i", (int64_t)lazy_only);
}
