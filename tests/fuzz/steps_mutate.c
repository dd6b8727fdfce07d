/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/steps.h"

#include "proto/record.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/random_flow.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 256, STEP_BYTES_MAX = 9000 };

/* Inserts a good record, or cuts some bytes out, anywhere in the step's bytes, which lie in `room`. */
static size_t splice(struct random *random, uint8_t *room, size_t length)
{
	size_t at = random_below(random, (uint32_t)length + 1), cut = 0, put = 0;
	uint8_t record[RECORD_MAX];

	if (random_below(random, 3)) {
		struct flow flow =
		    random_below(random, 2) ? random_flow(random) : plain_flow(random_below(random, 16));

		put = record_encode(&flow, record);
	} else {
		cut = random_below(random, (uint32_t)(length - at) + 1);
	}
	memmove(room + at + put, room + at + cut, length - at - cut);
	memcpy(room + at, record, put);
	return length + put - cut;
}

static void mutate_step(struct random *random, struct step *step, uint8_t *room)
{
	if (step->length > STEP_BYTES_MAX - RECORD_MAX)
		step->length = STEP_BYTES_MAX - RECORD_MAX;
	memcpy(room, step->bytes, step->length);
	step->bytes = room;
	switch (random_below(random, 8)) {
	case 0:
		step->argument = (uint16_t)random_u64(random);
		break;
	case 1:
		step->argument = (uint16_t)(step->argument ^ 1u << random_below(random, 16));
		break;
	case 2:
		step->kind = (uint8_t)random_below(random, 16);
		break;
	case 3:
		step->length = splice(random, room, step->length);
		break;
	default:
		step->length = LLVMFuzzerMutate(room, step->length, STEP_BYTES_MAX);
	}
}

/* One change of the list; returns how many there are then. */
static size_t mutate_list(struct random *random, struct step *steps, size_t count, uint8_t *room)
{
	size_t i = random_below(random, (uint32_t)count), j = random_below(random, (uint32_t)count);
	struct step moved = steps[i];

	switch (random_below(random, 12)) {
	case 0: /* twice */
		if (count == STEPS_MAX)
			break;
		memmove(&steps[j + 1], &steps[j], (count - j) * sizeof(*steps));
		steps[j] = moved;
		return count + 1;
	case 1: /* gone */
		memmove(&steps[i], &steps[i + 1], (count - i - 1) * sizeof(*steps));
		return count - 1;
	case 2: /* elsewhere */
		steps[i] = steps[j];
		steps[j] = moved;
		break;
	default:
		mutate_step(random, &steps[i], room);
	}
	return count;
}

size_t steps_mutate(uint8_t *bytes, size_t length, size_t max, unsigned seed)
{
	struct random random = {seed};
	struct reader r = reader_over(bytes, length);
	uint8_t room[STEP_BYTES_MAX], *result;
	struct step steps[STEPS_MAX];
	struct writer w;
	size_t count = 0;

	while (count < STEPS_MAX && step_read(&r, &steps[count]))
		count++;
	if (!count || random_below(&random, 16) == 0)
		return LLVMFuzzerMutate(bytes, length, max);
	count = mutate_list(&random, steps, count, room);
	result = malloc(max);
	if (!result)
		return length;
	w = writer_over(result, max);
	for (size_t i = 0; i < count; i++) {
		if (writer_room(&w) < steps[i].length + STEP_HEADER_SIZE)
			break;
		step_write(&w, &steps[i]);
	}
	length = writer_length(&w);
	memcpy(bytes, result, length);
	free(result);
	return length;
}
