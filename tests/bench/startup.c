/*
 * startup: how long a VMM takes from exec to its first KVM_RUN, and how much memory besides guest
 * RAM it holds by then; sarang and QEMU's microvm side by side in one run.
 *
 *   startup ROUNDS LABEL COMMAND... [--vs LABEL COMMAND...]
 *
 * The VMM is started under a seccomp filter that stops it, through ptrace, at ioctl(KVM_RUN) and
 * nowhere else, so that it runs at full speed until then, whatever it is linked with. Rounds of the
 * commands are interleaved; medians are printed as a table and as JSON. Guest RAM must be shared
 * memory (a memfd) in every command: it is what is left out of the memory figures.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 4
#define ROUNDS_MAX   200

struct sample {
	uint64_t time_ns;
	uint64_t rss_kib;     /* anonymous and file pages that are mapped: what the process shows */
	uint64_t private_kib; /* of these, pages nobody else shares: what it costs */
};

struct command {
	const char *label;
	char **argv;
	struct sample samples[ROUNDS_MAX];
	unsigned count;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* From here on, ioctl(fd, KVM_RUN) stops for the tracer. */
static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)KVM_RUN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static uint64_t read_field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void read_proc(pid_t pid, const char *file, char *text, size_t room)
{
	char path[64];
	size_t len = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	in = fopen(path, "r");
	if (in) {
		len = fread(text, 1, room - 1, in);
		fclose(in);
	}
	text[len] = '\0';
}

/* Private memory outside shared mappings: every mapping but those of a memfd. */
static uint64_t private_kib(pid_t pid)
{
	char path[64], line[512];
	uint64_t total = 0;
	int guest = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	in = fopen(path, "r");
	while (in && fgets(line, sizeof(line), in)) {
		if (strstr(line, "/memfd:") || strstr(line, "anon_inode:"))
			guest = 1;
		else if (strspn(line, "0123456789abcdef-") >= 17)
			guest = 0; /* the first line of another mapping */
		if (!guest &&
		    (!strncmp(line, "Private_Clean:", 14) || !strncmp(line, "Private_Dirty:", 14)))
			total += strtoull(line + 14, NULL, 10);
	}
	if (in)
		fclose(in);
	return total;
}

static void take_memory(pid_t pid, struct sample *sample)
{
	char text[8192];

	read_proc(pid, "status", text, sizeof(text));
	sample->rss_kib = read_field(text, "RssAnon:") + read_field(text, "RssFile:");
	sample->private_kib = private_kib(pid);
}

static void child(char **argv)
{
	int null_fd = open("/dev/null", O_RDWR);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
		_exit(126);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP); /* until the parent has set its options */
	if (install_filter() < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(127);
}

/* Lets the process go on until a thread of it reaches KVM_RUN. 0, or -1 when it ended before that.
 */
static int wait_for_run(pid_t pid, uint64_t *exec_ns)
{
	const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			     PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status, event, signal;
	pid_t who;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, options);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	while ((who = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (who == pid)
				return -1;
			continue;
		}
		event = status >> 16;
		signal = WSTOPSIG(status);
		if (event == PTRACE_EVENT_SECCOMP)
			return 0;
		if (event == PTRACE_EVENT_EXEC && who == pid)
			*exec_ns = now_ns();
		/* A new thread's first stop, and our own events, are not signals to pass on. */
		if (event || signal == SIGSTOP || signal == SIGTRAP)
			signal = 0;
		ptrace(PTRACE_CONT, who, NULL, (long)signal);
	}
	return -1;
}

static int measure(struct command *command)
{
	struct sample *sample = &command->samples[command->count];
	uint64_t exec_ns = 0;
	pid_t pid = fork();
	int ret;

	if (pid < 0)
		return -1;
	if (pid == 0)
		child(command->argv);
	ret = wait_for_run(pid, &exec_ns);
	sample->time_ns = now_ns() - exec_ns;
	if (!ret)
		take_memory(pid, sample);
	kill(pid, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		continue;
	if (!ret)
		command->count++;
	return ret;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(const struct command *command, size_t field)
{
	uint64_t values[ROUNDS_MAX];
	unsigned i;

	for (i = 0; i < command->count; i++)
		memcpy(&values[i], (const char *)&command->samples[i] + field, sizeof(values[i]));
	qsort(values, command->count, sizeof(values[0]), compare_u64);
	return values[command->count / 2];
}

static void report(const struct command *commands, unsigned count)
{
	unsigned i;

	printf("%-16s %14s %14s %14s %8s\n", "exec to KVM_RUN", "median ms", "resident KiB",
	       "private KiB", "ratio");
	for (i = 0; i < count; i++) {
		const struct command *c = &commands[i];
		uint64_t ns = median(c, offsetof(struct sample, time_ns));

		printf("%-16s %14.2f %14" PRIu64 " %14" PRIu64 " %7.1fx\n", c->label,
		       (double)ns / 1e6, median(c, offsetof(struct sample, rss_kib)),
		       median(c, offsetof(struct sample, private_kib)),
		       (double)ns / (double)median(&commands[0], offsetof(struct sample, time_ns)));
	}
	printf("{\"bench\": \"startup\", \"rounds\": %u, \"results\": [", commands[0].count);
	for (i = 0; i < count; i++)
		printf("%s{\"vmm\": \"%s\", \"time_ns\": %" PRIu64 ", \"resident_kib\": %" PRIu64
		       ", \"private_kib\": %" PRIu64 "}",
		       i ? ", " : "", commands[i].label,
		       median(&commands[i], offsetof(struct sample, time_ns)),
		       median(&commands[i], offsetof(struct sample, rss_kib)),
		       median(&commands[i], offsetof(struct sample, private_kib)));
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static struct command commands[COMMANDS_MAX];
	unsigned count = 0, rounds, round, i;
	int arg = 2;

	rounds = argc > 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	if (!rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: startup ROUNDS LABEL COMMAND... [--vs LABEL COMMAND...]\n");
		return 1;
	}
	while (arg + 1 < argc && count < COMMANDS_MAX) {
		commands[count].label = argv[arg];
		commands[count++].argv = &argv[arg + 1];
		while (arg < argc && strcmp(argv[arg], "--vs"))
			arg++;
		if (arg < argc)
			argv[arg++] = NULL;
	}
	for (round = 0; round < rounds; round++)
		for (i = 0; i < count; i++)
			if (measure(&commands[i]) < 0) {
				fprintf(stderr, "startup: %s ended before its first KVM_RUN\n",
					commands[i].label);
				return 1;
			}
	report(commands, count);
	return 0;
}
