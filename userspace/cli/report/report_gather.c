/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report/report_gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "cli/cli_call.h"
#include "cli/cli_records.h"
#include "cli/report/report_layers.h"

/* What callers with read-only access cannot ask is missing from the report, and not an error. */
static bool is_refused(struct cli *c, int code)
{
	if (code != -EACCES && code != -EPERM && code != -EOPNOTSUPP)
		return false;
	c->exit = CLI_EXIT_DONE;
	return true;
}

static int keep_text(const char *text, char **ret_copy, struct error *e)
{
	*ret_copy = strdup(text);
	return *ret_copy ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* ---- layers and images ---- */

static int name_image(const Varve__V1__Image *image, char **ret_name)
{
	const char *name = image->n_tags > 0 ? image->tags[0] : image->digest;

	*ret_name = strdup(name[0] ? name : image->record);
	return *ret_name ? 0 : -ENOMEM;
}

static int by_bytes(const void *a, const void *b)
{
	const struct report_image *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int count_images(struct cli *c, const struct report_layers *layers, struct report_facts *f,
			struct error *e)
{
	cleanup(free_reply) Varve__V1__ImagesReply *reply = NULL;
	Varve__V1__ImagesRequest request = VARVE__V1__IMAGES_REQUEST__INIT;

	reply = cli_call_one(c, "Images", &request.base, &varve__v1__images_reply__descriptor, e);
	if (!reply)
		return is_refused(c, e->code) ? keep_text(e->text, &f->images_problem, e) : e->code;
	if (reply->problem[0] && keep_text(reply->problem, &f->images_problem, e) < 0)
		return e->code;
	f->images = calloc(reply->n_images + 1, sizeof(*f->images));
	if (!f->images)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < reply->n_images; i++) {
		struct report_image *image = &f->images[f->image_count];
		uint64_t files = 0;

		if (!report_layers_image(layers, reply->images[i]->record, &files, &image->bytes) ||
		    files != 1)
			continue;
		image->last_read_ns = reply->images[i]->last_read_ns;
		if (name_image(reply->images[i], &image->name) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		f->image_count++;
	}
	qsort(f->images, f->image_count, sizeof(*f->images), by_bytes);
	return 0;
}

static int take_stats(struct cli_replies *replies, Varve__V1__Stats ***ret_stats, size_t *ret_count)
{
	size_t count = 0;

	for (size_t i = 0; i < replies->count; i++)
		count += ((Varve__V1__StatsBatch *)replies->items[i])->n_stats;
	*ret_stats = calloc(count + 1, sizeof(Varve__V1__Stats *));
	if (!*ret_stats)
		return -ENOMEM;
	for (size_t i = 0; i < replies->count; i++) {
		const Varve__V1__StatsBatch *b = (Varve__V1__StatsBatch *)replies->items[i];

		for (size_t k = 0; k < b->n_stats; k++)
			(*ret_stats)[(*ret_count)++] = b->stats[k];
	}
	return 0;
}

static int count_layers(struct cli *c, struct report_facts *f, struct error *e)
{
	cleanup(cli_records_free) struct cli_records records = { 0 };
	cleanup(cli_call_free_replies) struct cli_replies replies = { 0 };
	cleanup(report_layers_free) struct report_layers layers = { 0 };
	cleanup(free_ptr) Varve__V1__Stats **stats = NULL;
	Varve__V1__ListRequest list = VARVE__V1__LIST_REQUEST__INIT;
	Varve__V1__StatsRequest request = VARVE__V1__STATS_REQUEST__INIT;
	size_t count = 0;
	int code = cli_records_fetch(c, &list, &records, e);

	if (code == 0)
		code = cli_call_all(c, "Stats", &request.base, &varve__v1__stats_batch__descriptor,
				    &replies, e);
	if (code < 0)
		return code;
	if (take_stats(&replies, &stats, &count) < 0 ||
	    report_layers_join(records.items, records.count, stats, count, &layers) < 0 ||
	    report_layers_count(&layers, f) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return count_images(c, &layers, f, e);
}

/* ---- eviction ---- */

static int add_event(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__HistoryBatch *batch = (const Varve__V1__HistoryBatch *)reply;
	struct report_facts *f = user;

	(void)e;
	for (size_t i = 0; i < batch->n_events; i++) {
		const Varve__V1__HistoryEvent *event = batch->events[i];
		bool evicted = strcmp(event->event, "evicted") == 0;
		struct report_amount *a = evicted ? &f->evicted : &f->regretted;

		if (!evicted && event->regret_ns == 0)
			continue;
		a->layers++;
		a->bytes += event->size > 0 ? event->size : 0;
		if (!evicted)
			f->regretted_cost_ns += event->cost_ns;
	}
	return 0;
}

static int count_evictions(struct cli *c, struct report_facts *f, struct error *e)
{
	Varve__V1__HistoryRequest request = VARVE__V1__HISTORY_REQUEST__INIT;

	request.id = (char *)"";
	request.since_ns = f->now_ns - REPORT_COLD_NS;
	return cli_call_each(c, "History", &request.base, &varve__v1__history_batch__descriptor,
			     add_event, f, e);
}

static int add_step(const ProtobufCMessage *reply, void *user, struct error *e)
{
	const Varve__V1__PruneEvent *event = (const Varve__V1__PruneEvent *)reply;
	struct report_policy *p = user;

	(void)e;
	if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_PRUNED)
		p->records++;
	else if (event->event_case == VARVE__V1__PRUNE_EVENT__EVENT_SUMMARY)
		p->bytes = event->summary->predicted;
	return 0;
}

static int plan_policy(struct cli *c, char *name, struct report_policy *p, struct error *e)
{
	Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
	int code = keep_text(name, &p->name, e);

	if (code < 0)
		return code;
	request.policy = name;
	request.dry_run = true;
	code = cli_call_each(c, "Prune", &request.base, &varve__v1__prune_event__descriptor,
			     add_step, p, e);
	return is_refused(c, code) ? keep_text(e->text, &p->problem, e) : code;
}

static int plan_policies(struct cli *c, struct report_facts *f, struct error *e)
{
	cleanup(free_reply) Varve__V1__PolicyReply *reply = NULL;
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;

	reply = cli_call_one(c, "PolicyList", &empty.base, &varve__v1__policy_reply__descriptor, e);
	if (!reply)
		return e->code;
	f->policies = calloc(reply->n_policies + 1, sizeof(*f->policies));
	if (!f->policies)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < reply->n_policies; i++) {
		int code;

		if (reply->policies[i]->owner[0])
			continue; /* these are about records of others */
		code = plan_policy(c, reply->policies[i]->name, &f->policies[f->policy_count++], e);
		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- the rest ---- */

static int sample_duplicates(struct cli *c, struct report_facts *f, struct error *e)
{
	Varve__V1__DuplicatesRequest request = VARVE__V1__DUPLICATES_REQUEST__INIT;

	f->duplicates = cli_call_one(c, "Duplicates", &request.base,
				     &varve__v1__duplicates_reply__descriptor, e);
	if (!f->duplicates)
		return is_refused(c, e->code) ? keep_text(e->text, &f->duplicates_problem, e)
					      : e->code;
	if (f->duplicates->duplicate_bytes == 0)
		return 0;
	return report_layers_propose(f, "build images on common layers: files are in several", NULL,
				     f->duplicates->duplicate_bytes) < 0
		       ? error_set(e, -ENOMEM, "out of memory")
		       : 0;
}

static int ask_agent(struct cli *c, struct report_facts *f, struct error *e)
{
	cleanup(free_reply) Varve__V1__InfoReply *info = NULL;
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;

	info = cli_call_one(c, "Info", &empty.base, &varve__v1__info_reply__descriptor, e);
	if (!info)
		return e->code;
	f->lost = info->lost;
	return keep_text(info->backend, &f->backend, e);
}

static int by_saving(const void *a, const void *b)
{
	const struct report_change *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->what, y->what);
}

int report_gather(struct cli *c, int64_t older_than_ns, struct report_facts *ret_facts,
		  struct error *e)
{
	cleanup(report_facts_free) struct report_facts f = { .now_ns = clock_wall_ns(),
							     .older_than_ns = older_than_ns };
	int code = ask_agent(c, &f, e);

	if (code == 0)
		code = count_layers(c, &f, e);
	if (code == 0)
		code = plan_policies(c, &f, e);
	if (code == 0)
		code = count_evictions(c, &f, e);
	if (code == 0)
		code = sample_duplicates(c, &f, e);
	if (code < 0)
		return code;
	if (f.change_count > 0)
		qsort(f.changes, f.change_count, sizeof(*f.changes), by_saving);
	*ret_facts = f;
	f = (struct report_facts){ 0 };
	return 0;
}
