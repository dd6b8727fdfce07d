/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb exporter: serves metrics, health and a page over HTTP, to whoever reaches the address.  A process
 * of its own without any right: it asks the daemon over the control socket like every other reader.  One
 * thread.
 */
#include "syncd/cli/client.h"
#include "syncd/cli/exporter_page.h"
#include "syncd/cli/json.h"
#include "syncd/cli/metrics_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 32, CONNECTION_TIMEOUT_S = 10, PATIENCE_S = 3, ADDRESS_SIZE = 64 };

struct exporter {
	const struct cli *cli;
	struct history history;
};

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
			      char *text)
{
	static char none[] = "out of memory\n";
	bool owns = text != NULL;
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(strlen(owns ? text : none), owns ? text : none,
					    owns ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				owns ? type : "text/plain; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'; style-src 'unsafe-inline'");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, owns ? status : MHD_HTTP_INTERNAL_SERVER_ERROR, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
	char *line = NULL;

	if (asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	return answer(connection, status, "text/plain; charset=utf-8", line);
}

/* Asks for text; what the daemon said is the caller's (client_reply_free()). */
static void ask(const struct exporter *exporter, const char *verb, struct client_reply *reply,
		struct client_answer *from)
{
	struct client_question question = {
	    .verb = verb, .patience_s = PATIENCE_S, .receive = client_keep, .context = reply};

	client_ask(exporter->cli, &question, from);
}

/* Whether the asker knows OpenMetrics; who does not say what it takes gets it, too. */
static bool takes_openmetrics(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return !accept || strstr(accept, "application/openmetrics-text") || !strstr(accept, "text/plain");
}

static enum MHD_Result serve_metrics(struct exporter *exporter, struct MHD_Connection *connection)
{
	struct client_reply reply = {0};
	struct client_answer from;
	enum MHD_Result result;

	ask(exporter, "metrics", &reply, &from);
	if (from.outcome != CLIENT_ANSWERED || from.code || !reply.text.text) {
		result = answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, from.message);
	} else if (takes_openmetrics(connection)) {
		result =
		    answer(connection, MHD_HTTP_OK,
			   "application/openmetrics-text; version=1.0.0; charset=utf-8", reply.text.text);
		reply.text.text = NULL; /* the response frees it */
	} else {
		result = answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
				metrics_text_older(reply.text.text));
	}
	client_reply_free(&reply);
	return result;
}

/* 200 while this node may hold or take the address, 503 while not, or without a daemon. */
static enum MHD_Result serve_health(struct exporter *exporter, struct MHD_Connection *connection)
{
	struct client_reply reply = {0};
	struct client_answer from;
	bool answered, good;
	enum MHD_Result result;

	ask(exporter, "health", &reply, &from);
	answered = from.outcome == CLIENT_ANSWERED && reply.text.text;
	good = answered && !from.code;
	result = answer_text(connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
			     answered ? reply.text.text : from.message);
	client_reply_free(&reply);
	return result;
}

static enum MHD_Result serve_page(struct exporter *exporter, struct MHD_Connection *connection)
{
	struct client_reply reply = {0};
	struct client_answer from;
	json_t *status;
	enum MHD_Result result;

	json_fetch_status(exporter->cli, PATIENCE_S, 0, &reply, &from, &status);
	result = answer(connection, status ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
			"text/html; charset=utf-8", exporter_page(status, from.message, &exporter->history));
	json_decref(status);
	client_reply_free(&reply);
	return result;
}

static enum MHD_Result serve(void *context, struct MHD_Connection *connection, const char *url,
			     const char *method, const char *version, const char *upload, size_t *upload_size,
			     void **state)
{
	struct exporter *exporter = context;

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD)) {
		if (*upload_size) { /* read and forgotten, so that the answer arrives */
			*upload_size = 0;
			return MHD_YES;
		}
		if (!*state) {
			*state = context;
			return MHD_YES;
		}
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
	}
	if (!strcmp(url, "/metrics"))
		return serve_metrics(exporter, connection);
	if (!strcmp(url, "/healthz"))
		return serve_health(exporter, connection);
	if (!strcmp(url, "/"))
		return serve_page(exporter, connection);
	return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /, /metrics and /healthz");
}

/* ---- start ---- */

/* ADDR:PORT, [ADDR6]:PORT or PORT (on the loopback).  False: it is none. */
static bool read_address(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	char host[ADDRESS_SIZE] = "127.0.0.1";
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;
	unsigned long number = strtoul(port, NULL, 10);

	memset(address, 0, sizeof(*address));
	if (!*port || port[strspn(port, "0123456789")] || strlen(port) > 5 || number > UINT16_MAX ||
	    length >= sizeof(host))
		return false;
	if (colon && text[0] == '[' && length > 2 && text[length - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)length - 2, text + 1);
	else if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)length, text);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)number);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)number);
	return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

/* Started as root, it goes on as nobody: it speaks with strangers. */
static bool drop_rights(const struct cli *cli)
{
	const struct passwd *nobody;

	if (geteuid() != 0)
		return true;
	nobody = getpwnam("nobody");
	if (nobody && setgroups(0, NULL) == 0 && setgid(nobody->pw_gid) == 0 && setuid(nobody->pw_uid) == 0)
		return true;
	cli_say(cli, "cannot become the user nobody: %s", nobody ? strerror(errno) : "there is no such user");
	return false;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void take_sample(struct exporter *exporter)
{
	struct client_reply reply = {0};
	struct client_answer from;
	json_t *status;

	json_fetch_status(exporter->cli, PATIENCE_S, 0, &reply, &from, &status);
	history_note(&exporter->history, status, now_ms());
	json_decref(status);
	client_reply_free(&reply);
}

static void run(struct exporter *exporter, struct MHD_Daemon *http, const sigset_t *ends)
{
	struct timespec at_once = {0};
	int64_t due = now_ms();

	while (sigtimedwait(ends, NULL, &at_once) < 0) {
		int64_t left = due - now_ms();

		if (left <= 0) {
			take_sample(exporter);
			due = now_ms() + EXPORTER_PERIOD_MS;
			continue;
		}
		MHD_run_wait(http, (int32_t)(left < 500 ? left : 500)); /* a signal is heeded within that */
	}
}

int exporter_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	const char *listen = arguments->option[0] ? arguments->option[0] : "127.0.0.1:9789";
	struct exporter *exporter;
	struct sockaddr_storage address;
	struct MHD_Daemon *http;
	sigset_t ends;

	if (!read_address(listen, &address))
		return cli_usage(
		    cli, verb, "--listen `%s': ADDR:PORT or PORT is needed, such as 127.0.0.1:9789", listen);
	exporter = calloc(1, sizeof(*exporter));
	if (!exporter) {
		cli_say(cli, "out of memory");
		return CLI_FAILED;
	}
	exporter->cli = cli;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	http = MHD_start_daemon(MHD_NO_FLAG | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL,
				NULL, serve, exporter, MHD_OPTION_SOCK_ADDR, &address,
				MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				CONNECTION_TIMEOUT_S, MHD_OPTION_END);
	if (!http)
		cli_say(cli, "cannot listen on %s: %s", listen, strerror(errno));
	if (!http || !drop_rights(cli)) {
		if (http)
			MHD_stop_daemon(http);
		free(exporter);
		return CLI_FAILED;
	}
	run(exporter, http, &ends);
	MHD_stop_daemon(http);
	free(exporter);
	return CLI_DONE;
}
