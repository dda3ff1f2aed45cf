/* SPDX-License-Identifier: Apache-2.0 */
#include "regex/regex_program.h"

#include <errno.h>
#include <string.h>

#include "base/vec.h"

void regex_program_free(struct regex_program *p)
{
	if (!p)
		return;
	free(p->steps);
	free(p->ranges);
	free(p);
}

static int reserve_steps(struct regex_program *p, size_t more)
{
	struct regex_step *steps;

	if (more > REGEX_STEPS_MAX - p->count)
		return -E2BIG;
	steps = vec_reserve(p->steps, &p->capacity, p->count + more, sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	p->steps = steps;
	return 0;
}

int regex_program_append(struct regex_program *p, struct regex_step step)
{
	return regex_program_insert(p, p->count, step);
}

int regex_program_insert(struct regex_program *p, size_t at, struct regex_step step)
{
	int code = reserve_steps(p, 1);

	if (code < 0)
		return code;
	memmove(p->steps + at + 1, p->steps + at, (p->count - at) * sizeof(*p->steps));
	p->steps[at] = step;
	p->count++;
	return 0;
}

int regex_program_append_class(struct regex_program *p, const struct regex_class *c)
{
	size_t count = p->range_count + c->count;
	struct regex_range *ranges =
		vec_reserve(p->ranges, &p->range_capacity, count, sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	p->ranges = ranges;
	if (c->count > 0)
		memcpy(ranges + p->range_count, c->ranges, c->count * sizeof(*ranges));
	p->range_count = count;
	return regex_program_append(p, (struct regex_step){
					       .operation = REGEX_CLASS,
					       .value = (uint32_t)(count - c->count),
					       .count = (uint32_t)c->count,
				       });
}

/* The repeated steps are written by the caller of these, who has made room. */
static void put(struct regex_program *p, const struct regex_step *steps, size_t count)
{
	memcpy(p->steps + p->count, steps, count * sizeof(*steps));
	p->count += count;
}

static void put_jump(struct regex_program *p, enum regex_operation operation, size_t from,
		     size_t to)
{
	const struct regex_step step = { .operation = operation,
					 .distance = (int32_t)((ptrdiff_t)to - (ptrdiff_t)from) };

	put(p, &step, 1);
}

int regex_program_repeat(struct regex_program *p, size_t start, int least, int most)
{
	size_t length = p->count - start, optional = most < 0 ? 0 : (size_t)(most - least);
	size_t total = (size_t)least * length + optional * (length + 1) + 2, end;
	cleanup(free_ptr) struct regex_step *copy = NULL;
	int code;

	if (length == 0)
		return 0;
	copy = malloc(length * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, p->steps + start, length * sizeof(*copy));
	p->count = start;
	code = reserve_steps(p, total + (most < 0 ? length : 0));
	if (code < 0)
		return code;

	for (int i = 0; i < least; i++)
		put(p, copy, length);
	if (most < 0 && least > 0) {
		put_jump(p, REGEX_FORK, p->count, p->count - length);
	} else if (most < 0) {
		put_jump(p, REGEX_FORK, start, start + length + 2);
		put(p, copy, length);
		put_jump(p, REGEX_JUMP, p->count, start);
	}
	end = p->count + optional * (length + 1);
	while (p->count < end) {
		put_jump(p, REGEX_FORK, p->count, end);
		put(p, copy, length);
	}
	return 0;
}
