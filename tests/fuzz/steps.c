/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/steps.h"

bool step_read(struct reader *r, struct step *step)
{
	if (reader_left(r) < STEP_HEADER_SIZE)
		return false;
	step->kind = reader_u8(r);
	step->argument = reader_u16(r);
	step->length = reader_u16(r);
	if (step->length > reader_left(r))
		step->length = reader_left(r);
	step->bytes = reader_skip(r, step->length);
	return true;
}

void step_write(struct writer *w, const struct step *step)
{
	writer_u8(w, step->kind);
	writer_u16(w, step->argument);
	writer_u16(w, (uint16_t)step->length);
	writer_bytes(w, step->bytes, step->length);
}
