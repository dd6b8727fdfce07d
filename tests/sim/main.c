/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulator's command: runs seeds, tells which failed and how, what they met, and how long it took until
 * all were equal.
 *
 *   sim --seed S [--trace]                     one seed; with everything that happens
 *   sim --seeds N [--first S] [--jobs J]       N seeds from S on, after those of --list FILE
 *   --stop                                     at the first that fails
 *   --open FILE                                leaves out, and says so, seeds that are known to fail
 *   --recovery, --brief                        how quickly copies become equal (recovery.h)
 *   --twice                                    each seed twice: it must be the same run, byte for byte
 */
#include "tests/sim/recovery.h"
#include "tests/sim/world.h"

#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILED_SHOWN = 20, LISTED_MAX = 4096, JOBS_MAX = 64 };

struct options {
	uint64_t first, seeds;
	unsigned jobs;
	bool trace, twice, stop, recovery, brief;
	const char *list, *open;
};

/* Shared by all processes: what each seed came to. */
struct outcome {
	uint8_t done; /* 1: running, 2: over */
	bool failed;
	uint32_t situations;
	int64_t settled_us;
};

struct run {
	const struct options *options;
	uint64_t *seeds;
	size_t count;
	struct outcome *outcomes;    /* of each, in shared memory */
	volatile uint32_t *failures; /* so far, there too: more or less */
};

/* ---- one seed ---- */

static void run_seed(const struct options *options, uint64_t seed, struct outcome *outcome)
{
	struct world *world = world_run(seed, options->trace ? stdout : NULL);

	if (!world) {
		fprintf(stderr, "seed %llu: out of memory\n", (unsigned long long)seed);
		exit(2);
	}
	if (options->twice) {
		struct world *again = world_run(seed, NULL);

		if (!again || again->digest != world->digest || again->now_us != world->now_us)
			world_fail(world, "the same seed came to another run");
		if (again)
			world_destroy(again);
	}
	if (world->failed)
		printf("seed %llu FAILED %s\n", (unsigned long long)seed, world->failure);
	fflush(stdout);
	outcome->failed = world->failed;
	outcome->situations = world->situations;
	outcome->settled_us = world->settled_us;
	world_destroy(world);
}

/* ---- many: a process for each job, so that a crash costs one seed only ---- */

static void run_share(const struct run *run, unsigned job)
{
	for (size_t i = job; i < run->count; i += run->options->jobs) {
		struct outcome *outcome = &run->outcomes[i];

		if (outcome->done)
			continue;
		if (run->options->stop && *run->failures)
			return;
		outcome->done = 1;
		run_seed(run->options, run->seeds[i], outcome);
		outcome->done = 2;
		*run->failures += outcome->failed;
	}
}

static pid_t start_job(const struct run *run, unsigned job)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child)
		return child;
	run_share(run, job);
	exit(0);
}

/* The seed that was running when the job died. */
static void note_crash(const struct run *run, unsigned job, int status)
{
	for (size_t i = job; i < run->count; i += run->options->jobs)
		if (run->outcomes[i].done == 1) {
			run->outcomes[i].done = 2;
			run->outcomes[i].failed = true;
			printf("seed %llu FAILED: ended by %s %d\n", (unsigned long long)run->seeds[i],
			       WIFSIGNALED(status) ? "signal" : "code",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		}
}

static void run_all(const struct run *run)
{
	pid_t jobs[JOBS_MAX];

	for (unsigned job = 0; job < run->options->jobs; job++)
		jobs[job] = start_job(run, job);
	for (unsigned job = 0; job < run->options->jobs; job++) {
		int status = 0;

		while (jobs[job] > 0 && waitpid(jobs[job], &status, 0) == jobs[job] && status) {
			note_crash(run, job, status);
			jobs[job] = start_job(run, job);
		}
	}
}

/* ---- what is told at the end ---- */

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void tell_times(const struct run *run)
{
	int64_t *times = calloc(run->count, sizeof(*times)), sum = 0;
	size_t count = 0;

	for (size_t i = 0; times && i < run->count; i++)
		if (run->outcomes[i].done == 2 && !run->outcomes[i].failed) {
			sum += run->outcomes[i].settled_us;
			times[count++] = run->outcomes[i].settled_us;
		}
	if (times && count) {
		qsort(times, count, sizeof(*times), compare_times);
		printf("until all were equal: mean %lld ms, median %lld, p90 %lld, p99 %lld, longest %lld\n",
		       (long long)(sum / (int64_t)count / 1000), (long long)times[count / 2] / 1000,
		       (long long)times[count * 9 / 10] / 1000, (long long)times[count * 99 / 100] / 1000,
		       (long long)times[count - 1] / 1000);
	}
	free(times);
}

/* Returns how many situations were met by less than one seed in a hundred. */
static unsigned tell_situations(const struct run *run)
{
	unsigned rare = 0;

	for (unsigned s = 0; s < SITUATIONS; s++) {
		size_t count = 0;

		for (size_t i = 0; i < run->count; i++)
			count += run->outcomes[i].situations >> s & 1;
		printf("  %-22s %6.2f %%\n", situation_name((enum situation)s),
		       100.0 * (double)count / (double)run->count);
		rare += count * 100 < run->count;
	}
	return rare;
}

static int tell(const struct run *run, double seconds)
{
	size_t failed = 0, shown = 0;
	unsigned rare;

	for (size_t i = 0; i < run->count; i++)
		failed += run->outcomes[i].failed;
	printf("%zu seeds, %zu failed, %.1f s (%.1f seeds a second)\n", run->count, failed, seconds,
	       (double)run->count / seconds);
	tell_times(run);
	rare = tell_situations(run);
	for (size_t i = 0; i < run->count && shown < FAILED_SHOWN; i++)
		if (run->outcomes[i].failed) {
			printf("%s%llu", shown ? " " : "failed: ", (unsigned long long)run->seeds[i]);
			shown++;
		}
	if (shown)
		printf("\n");
	if (run->count >= 1000 && rare)
		printf("%u situations are too rare\n", rare);
	return failed || (run->count >= 1000 && rare);
}

/* ---- the command ---- */

/* The seeds that failed once come first. */
static size_t read_list(const char *path, uint64_t *seeds)
{
	FILE *file = path ? fopen(path, "r") : NULL;
	char line[256];
	size_t count = 0;

	if (path && !file) {
		perror(path);
		exit(2);
	}
	while (file && fgets(line, sizeof(line), file) && count < LISTED_MAX) {
		char *end;
		uint64_t seed = strtoull(line, &end, 10);

		if (end != line)
			seeds[count++] = seed;
	}
	if (file)
		fclose(file);
	return count;
}

/* Seeds that are known to fail, and why, are told, not run. */
static void leave_out_open(const struct options *options, struct run *run)
{
	uint64_t *open = calloc(LISTED_MAX, sizeof(*open));
	size_t count = open ? read_list(options->open, open) : 0, kept = 0;

	for (size_t i = 0; i < run->count; i++) {
		bool is_open = false;

		for (size_t k = 0; k < count; k++)
			is_open |= open[k] == run->seeds[i];
		if (is_open)
			printf("seed %llu left out: an open failure\n", (unsigned long long)run->seeds[i]);
		else
			run->seeds[kept++] = run->seeds[i];
	}
	run->count = kept;
	free(open);
}

static int run_many(const struct options *options)
{
	struct run run = {.options = options, .seeds = calloc(options->seeds + LISTED_MAX, sizeof(uint64_t))};
	struct timespec begun, ended;
	int result;

	if (!run.seeds)
		return 2;
	run.count = read_list(options->list, run.seeds);
	for (uint64_t i = 0; i < options->seeds; i++)
		run.seeds[run.count++] = options->first + i;
	leave_out_open(options, &run);
	run.outcomes = mmap(NULL, (run.count + 1) * sizeof(*run.outcomes), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.outcomes == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	run.failures = &run.outcomes[run.count].situations;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	run_all(&run);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	result =
	    tell(&run, (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
	free(run.seeds);
	return result;
}

static int run_one(const struct options *options)
{
	struct outcome outcome = {0};

	run_seed(options, options->first, &outcome);
	printf("seed %llu: %s, equal after %lld ms\n", (unsigned long long)options->first,
	       outcome.failed ? "FAILED" : "good", (long long)outcome.settled_us / 1000);
	for (unsigned s = 0; s < SITUATIONS; s++)
		if (outcome.situations >> s & 1)
			printf("  %s\n", situation_name((enum situation)s));
	return outcome.failed;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
	    {"open", required_argument, NULL, 'o'},  {"seed", required_argument, NULL, 's'},
	    {"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
	    {"jobs", required_argument, NULL, 'j'},  {"list", required_argument, NULL, 'l'},
	    {"trace", no_argument, NULL, 't'},       {"twice", no_argument, NULL, '2'},
	    {"stop", no_argument, NULL, 'x'},        {"recovery", no_argument, NULL, 'r'},
	    {"brief", no_argument, NULL, 'b'},       {NULL, 0, NULL, 0},
	};
	struct options options = {.first = 1, .jobs = 1};
	int option;

	/* worlds are large and mostly empty: each is mapped afresh, not wiped */
	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
		case 'f':
			options.first = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			options.seeds = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			options.jobs = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'l':
			options.list = optarg;
			break;
		case 'o':
			options.open = optarg;
			break;
		case 't':
			options.trace = true;
			break;
		case 'x':
			options.stop = true;
			break;
		case 'r':
			options.recovery = true;
			break;
		case 'b':
			options.brief = true;
			break;
		case '2':
			options.twice = true;
			break;
		default:
			fprintf(
			    stderr,
			    "usage: sim --seed S [--trace] | --seeds N [--first S] [--jobs J] [--list FILE] [--open FILE] [--twice] [--stop] | --recovery [--brief]\n");
			return 2;
		}
	}
	if (options.recovery)
		return !recovery_run(options.brief);
	if (!options.jobs || options.jobs > JOBS_MAX)
		options.jobs = 1;
	return options.seeds || options.list ? run_many(&options) : run_one(&options);
}
