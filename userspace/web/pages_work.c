/* SPDX-License-Identifier: Apache-2.0 */
#include "web/pages_work.h"

#include <errno.h>

#include "page/page_events.h"
#include "page/page_images.h"
#include "page/page_policies.h"

int pages_work_images(const struct page_request *r, struct strbuf *out, struct error *e)
{
	const struct image_list_options options = { .manager = r->sources->manager,
						    .containerd = r->sources->containerd,
						    .owners = r->sources->owners_settings,
						    .patience_ns = r->sources->patience_ns,
						    .cancelled = r->request->cancelled };
	cleanup(image_list_free) struct image_list images = { 0 };
	cleanup(free_ptr) struct owner_state *owners = NULL;
	struct page_images page = { .images = &images };
	struct error late = { 0 };
	int code = image_list_get(&options, &images, e);

	if (code < 0)
		return code;
	if (owners_list(r->sources->owners, r->request->cancelled, &owners, &page.owner_count,
			&late) < 0)
		page.problem = late.text;
	page.owners = owners;
	page_images_write(out, &r->status, &page);
	return 0;
}

static int add_step(const struct evicted_record *record, void *user)
{
	return page_plan_add(user, record);
}

/* The plan is not kept: that would make room for it among those of people. */
static int plan_policy(const struct page_request *r, const struct eviction_policy_view *v,
		       struct page_plan *plan, struct error *e)
{
	struct eviction_options options = eviction_policies_options_of(v->policy);

	if (*v->policy->owner) {
		plan->problem = "It is about records of an owner: varve prune --policy NAME "
				"--dry-run asks it.";
		return 0;
	}
	options.dry_run = true;
	options.forget_plan = true;
	options.cancelled = r->request->cancelled;
	return eviction_run(r->sources->manager, &options, add_step, plan, &plan->summary, e);
}

static int write_policy(const struct page_request *r, const struct eviction_policy_view *v,
			struct strbuf *out, struct error *e)
{
	struct page_plan *plan = calloc(1, sizeof(*plan));
	int code;

	if (!plan)
		return error_set(e, -ENOMEM, "out of memory");
	code = plan_policy(r, v, plan, e);
	if (code == -EBUSY) {
		plan->problem = e->text;
		code = 0;
	}
	if (code == 0)
		page_policies_add(out, &r->status, v, plan);
	page_plan_free(plan);
	free(plan);
	return code;
}

int pages_work_policies(const struct page_request *r, struct strbuf *out, struct error *e)
{
	struct manager *m = r->sources->manager;
	cleanup(free_ptr) struct eviction_policy_view *policies = NULL;
	size_t count = 0;
	int code = eviction_policies_list(m, EVICTION_POLICIES_NO_USAGE, r->request->cancelled,
					  &policies, &count, e);

	if (code < 0)
		return code;
	page_policies_begin(out, &r->status, eviction_policies_are_automatic(m));
	for (size_t i = 0; i < count && code == 0; i++)
		code = write_policy(r, &policies[i], out, e);
	if (count == 0)
		page_note(out, "There are no policies.");
	page_end(out);
	return code;
}

int pages_work_regrets(const struct page_request *r, struct strbuf *out, struct error *e)
{
	cleanup(free_ptr) struct history_regret *regrets = NULL;
	size_t count = 0;
	int64_t since_ns = 0;
	int code = eviction_history_regrets(r->sources->manager, true, r->request->cancelled,
					    &regrets, &count, &since_ns, e);

	if (code < 0)
		return code;
	page_regrets_write(out, &r->status, regrets, count, since_ns);
	return 0;
}

int pages_work_events(const struct page_request *r, struct strbuf *out, struct error *e)
{
	struct event_ring *ring = manager_events(r->sources->manager);
	cleanup(free_ptr) struct ring_event *events = calloc(EVENT_RING_SIZE, sizeof(*events));
	uint64_t missed;
	size_t count;

	if (!events)
		return error_set(e, -ENOMEM, "out of memory");
	count = event_ring_read(ring, 0, events, EVENT_RING_SIZE, &missed);
	page_events_write(out, &r->status, events, count, page_request_parameter(r, "record"));
	return 0;
}
