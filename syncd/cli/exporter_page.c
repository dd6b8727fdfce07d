/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/exporter_page.h"

#include "syncd/cli/json.h"
#include "syncd/cli/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLOT_WIDTH = 300, PLOT_HEIGHT = 64 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"refresh\" content=\"5\">\n<title>Twintrack</title>\n<style>\n"
    ":root{--ink:#1c2430;--soft:#5b6675;--paper:#f4f6f8;--card:#fff;--line:#dde3ea;--good:#1a7f4b;--warn:#a86400;"
    "--bad:#b3261e;--plot:#2864c8}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#98a4b3;--paper:#12161c;--card:#1b212a;"
    "--line:#2d3642;--good:#4cc38a;--warn:#e8a33d;--bad:#f2786f;--plot:#7aa8f7}}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,sans-serif}\n"
    "main{max-width:1000px;margin:0 auto;padding:20px}\n"
    ".verdict{padding:14px 18px;border-radius:10px;color:#fff;font-size:1.15em;font-weight:600}\n"
    ".good{background:#1a7f4b}.warn{background:#a86400}.bad{background:#b3261e}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:14px;margin-top:14px}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}\n"
    "h1{font-size:1.1em;margin:0 0 12px;font-weight:600}h2{font-size:.95em;margin:0 0 8px;color:var(--soft);"
    "font-weight:600}\n"
    "table{border-collapse:collapse;width:100%}td{padding:3px 0;vertical-align:top}"
    "td+td{text-align:right;font-variant-numeric:tabular-nums}\n"
    ".yes{color:var(--good)}.no{color:var(--bad)}.soft{color:var(--soft)}\n"
    "svg{width:100%;height:64px;display:block}polyline{fill:none;stroke:var(--plot);stroke-width:1.6}"
    "line{stroke:var(--line)}\nul{margin:0;padding-left:18px}.wide{grid-column:1/-1}\n</style></head><body><main>\n";

/* Words of a peer's, or of the configuration's, never become markup. */
static void print_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		case '"':
			fputs("&quot;", to);
			break;
		default:
			putc(*text, to);
		}
	}
}

static void print_row(FILE *to, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void print_row(FILE *to, const char *name, const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	fputs("<tr><td>", to);
	print_text(to, name);
	fputs("</td><td>", to);
	print_text(to, text);
	fputs("</td></tr>\n", to);
}

static void print_yes_no(FILE *to, const char *name, bool good, const char *yes, const char *no)
{
	fputs("<tr><td>", to);
	print_text(to, name);
	fprintf(to, "</td><td class=\"%s\">", good ? "yes" : "no");
	print_text(to, good ? yes : no);
	fputs("</td></tr>\n", to);
}

/* Counts whole, and measures to three digits. */
static void print_value(FILE *to, double value, const char *unit)
{
	if (value < 0)
		fputs("unknown", to);
	else if (*unit)
		fprintf(to, "%.3g%s", value, unit);
	else
		fprintf(to, "%.0f", value);
}

/* A gap where nothing is known: one line for each run of known values. */
static void print_plot(FILE *to, const struct history *history, const char *title, const char *unit,
		       size_t offset)
{
	double most = 0, last = -1;
	bool drawing = false;

	for (size_t i = 0; i < history->count; i++) {
		last = history_value(&history->sample[i], offset);
		most = last > most ? last : most;
	}
	fprintf(to, "<div class=\"card\"><h2>%s</h2><table><tr><td class=\"soft\">last 5 minutes, up to ",
		title);
	print_value(to, most, unit);
	fputs("</td><td>", to);
	print_value(to, last, unit);
	fputs("</td></tr></table>\n", to);
	fprintf(to,
		"<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s\">"
		"<line x1=\"0\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>",
		PLOT_WIDTH, PLOT_HEIGHT, title, PLOT_HEIGHT - 1, PLOT_WIDTH, PLOT_HEIGHT - 1);
	for (size_t i = 0; i < history->count; i++) {
		double value = history_value(&history->sample[i], offset);
		size_t place = HISTORY_SAMPLES - history->count + i;

		if (value < 0 && drawing)
			fputs("\"/>", to);
		else if (value >= 0)
			fprintf(to, "%s%.1f,%.1f ", drawing ? "" : "<polyline points=\"",
				(double)place * PLOT_WIDTH / (HISTORY_SAMPLES - 1),
				PLOT_HEIGHT - 2 - (most > 0 ? value / most * (PLOT_HEIGHT - 4) : 0));
		drawing = value >= 0;
	}
	fputs(drawing ? "\"/></svg></div>\n" : "</svg></div>\n", to);
}

static void print_proof(FILE *to, const char *name, const json_t *proof)
{
	char text[200];

	if (json_flag(proof, "in_sync", false))
		snprintf(text, sizeof(text), "in sync, proven %lld ms ago",
			 (long long)json_number(proof, "age_ms", 0));
	else
		snprintf(text, sizeof(text), "not proven: %s", json_words(proof, "reason"));
	print_yes_no(to, name, json_flag(proof, "in_sync", false), text, text);
}

static void print_node(FILE *to, const json_t *status)
{
	const json_t *internal = json_object_get(status, "internal"),
		     *fence = json_object_get(status, "fence");
	const json_t *kernel = json_object_get(status, "kernel");

	fprintf(to, "<div class=\"card\"><h2>This node, %lld</h2><table>\n",
		(long long)json_number(status, "node", 0));
	print_row(to, "role", "%s", json_words(status, "role"));
	print_row(to, "term", "%lld", (long long)json_number(status, "term", 0));
	print_row(to, "flows of its own", "%lld of at most %lld",
		  (long long)json_number(internal, "flows", 0),
		  (long long)json_number(internal, "max_flows", 0));
	print_yes_no(to, "kernel's table",
		     json_flag(kernel, "complete", false) && !json_flag(kernel, "suspect", true), "followed",
		     json_flag(kernel, "complete", false) ? "events were lost" : "being read");
	print_row(to, "fence", "%s", json_words(fence, "state"));
	print_row(to, "version", "%s", json_words(status, "software"));
	print_row(to, "up for", "%lld min", (long long)json_number(status, "uptime_ms", 0) / 60000);
	fputs("</table></div>\n", to);
}

static void print_peer(FILE *to, const json_t *peer)
{
	json_int_t lag_us = json_number(peer, "lag_us", -1);

	fprintf(to, "<div class=\"card\"><h2>Peer %lld</h2><table>\n",
		(long long)json_number(peer, "node", 0));
	print_yes_no(to, "heard", json_flag(peer, "alive", false), "alive", "silent");
	print_row(to, "role", "%s, term %lld", json_words(peer, "role"),
		  (long long)json_number(peer, "term", 0));
	print_row(to, "flows held for it", "%lld", (long long)json_number(peer, "flows", 0));
	print_proof(to, "its flows here", json_object_get(peer, "holds"));
	print_proof(to, "our flows there", json_object_get(peer, "held"));
	if (lag_us >= 0)
		print_row(to, "lag", "%.3g ms", (double)lag_us / 1000);
	print_row(to, "divergences", "%lld", (long long)json_number(peer, "divergences", 0));
	fputs("</table></div>\n", to);
}

static void print_links(FILE *to, const json_t *status)
{
	const json_t *link;
	size_t i;

	fputs("<div class=\"card\"><h2>Links</h2><table>\n", to);
	json_array_foreach(json_object_get(status, "links"), i, link)
	    print_yes_no(to, json_words(link, "interface"), json_flag(link, "up", false), "up",
			 json_words(link, "problem"));
	fputs("</table></div>\n", to);
}

static void print_problems(FILE *to, const json_t *status)
{
	const json_t *problems = json_object_get(status, "problems"), *problem;
	size_t i;

	if (!json_array_size(problems))
		return;
	fputs("<div class=\"card wide\"><h2>Problems</h2><ul>\n", to);
	json_array_foreach(problems, i, problem)
	{
		fputs("<li>", to);
		print_text(to, json_string_value(problem) ? json_string_value(problem) : "");
		fputs("</li>\n", to);
	}
	fputs("</ul></div>\n", to);
}

static void print_verdict(FILE *to, const json_t *status, const char *why)
{
	struct verdict verdict = {.kind = VERDICT_UNSAFE};
	const char *class = "bad";

	if (status)
		verdict = verdict_of(status);
	if (status && verdict.kind != VERDICT_UNSAFE)
		class = verdict.kind == VERDICT_SAFE ? "good" : "warn";
	fprintf(to, "<div class=\"verdict %s\">", class);
	print_text(to, status ? verdict.text : why);
	fputs("</div>\n", to);
}

static void print_body(FILE *to, const json_t *status, const struct history *history)
{
	const json_t *peer;
	size_t i;

	fputs("<div class=\"grid\">\n", to);
	print_node(to, status);
	json_array_foreach(json_object_get(status, "peers"), i, peer) print_peer(to, peer);
	print_links(to, status);
	print_problems(to, status);
	fputs("</div>\n<div class=\"grid\">\n", to);
	print_plot(to, history, "Flows of this node", "", offsetof(struct history_sample, flows));
	print_plot(to, history, "Flows held for peers", "", offsetof(struct history_sample, held));
	print_plot(to, history, "Changes a second", "", offsetof(struct history_sample, changes));
	print_plot(to, history, "Lag", " ms", offsetof(struct history_sample, lag_ms));
	print_plot(to, history, "Loss on the links", " %", offsetof(struct history_sample, loss_percent));
	fputs("</div>\n", to);
}

char *exporter_page(const json_t *status, const char *why, const struct history *history)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs(head, to);
	fputs("<h1>Twintrack</h1>\n", to);
	print_verdict(to, status, why);
	if (status)
		print_body(to, status, history);
	fputs("<p class=\"soft\">Looked at anew every 5 seconds. <a href=\"/metrics\">metrics</a></p>\n"
	      "</main></body></html>\n",
	      to);
	if (fclose(to)) {
		free(text);
		return NULL;
	}
	return text;
}
