/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/conntrack/show.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned flags_of(const struct request *request)
{
	static const struct {
		unsigned output, flag;
	} pairs[] = {
	    {OUTPUT_EXTENDED, FORMAT_EXTENDED},   {OUTPUT_ID, FORMAT_ID},
	    {OUTPUT_LABELS, FORMAT_LABELS},       {OUTPUT_KTIMESTAMP, FORMAT_KTIMESTAMP},
	    {OUTPUT_TIMESTAMP, FORMAT_TIMESTAMP},
	};
	unsigned flags = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (request->output & pairs[i].output)
			flags |= pairs[i].flag;
	/* who names labels sees them */
	if (request->options & (1u << OPTION_LABEL | 1u << OPTION_LABEL_ADD | 1u << OPTION_LABEL_DEL))
		flags |= FORMAT_LABELS;
	if (request->command == REQUEST_UPDATE || request->command == REQUEST_DELETE)
		flags |= FORMAT_BARE;
	if (request->command == REQUEST_DELETE)
		flags |= FORMAT_DELETED;
	if (request->command == REQUEST_GET)
		flags |= FORMAT_NO_END;
	return flags;
}

void show_start(struct show *show, const struct cli *cli, const struct request *request,
		struct labels *labels)
{
	int error;

	output_start(&show->output, STDOUT_FILENO);
	show->dump = (struct format_dump){
	    .output = &show->output, .now_s = time(NULL), .flags = flags_of(request), .labels = labels};
	show->format = request->output & OUTPUT_XML    ? &format_xml
		       : request->output & OUTPUT_SAVE ? &format_save
		       : request->output & OUTPUT_JSON ? &format_json
						       : &format_default;
	show->flows = 0;
	if (!labels || (!(show->dump.flags & FORMAT_LABELS) && show->format != &format_json))
		return;
	error = labels_open(labels, LABELS_PATH);
	if (error && show->dump.flags & FORMAT_LABELS)
		request_say(cli, "cannot read the names of labels from %s: %s; they are left out",
			    LABELS_PATH, strerror(-error));
}

void show_flow(struct show *show, const struct flow *flow)
{
	show->format->flow(&show->dump, flow);
	show->flows++;
}

int show_flush(struct show *show, const struct cli *cli, int code)
{
	if (output_flush(&show->output) == 0)
		return code;
	/* who has read enough of it needs no word */
	if (show->output.error != EPIPE)
		request_say(cli, "writing the output failed: %s", strerror(show->output.error));
	return CLI_FAILED;
}

int show_end(struct show *show, const struct cli *cli, int code)
{
	if (show->format->end)
		show->format->end(&show->dump);
	return show_flush(show, cli, code);
}
