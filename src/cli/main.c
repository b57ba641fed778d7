#include "base/shortage.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "report/json.h"
#include "report/safe.h"

#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EXIT_FOUND = 1, WIDTH_MOST = 1000 };

static unsigned terminal_width(void)
{
	struct winsize size;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col == 0 || size.ws_col > WIDTH_MOST ? 0 : size.ws_col;
}

static struct lt_style choose_style(const struct lt_request *request)
{
	bool to_file = request->output != NULL && !request->file_is_own;
	bool on_terminal = !to_file && isatty(STDOUT_FILENO);
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	bool wanted = (no_color == NULL || *no_color == '\0') &&
		      (terminal == NULL || strcmp(terminal, "dumb") != 0);
	return (struct lt_style){
		.color = request->color == LT_COLOR_ALWAYS ||
			 (request->color == LT_COLOR_AUTO && on_terminal && wanted),
		.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
		.width = on_terminal ? terminal_width() : 0,
		.verbosity = request->verbosity,
	};
}

/* Writes the failure of the session where people and programs look for it; returns the exit code. */
static int report_failure(struct lt_run *run)
{
	struct lt_report *report = &run->report;
	struct lt_text text = {0};
	lt_cost_take(run->started_ns, &run->report.cost);
	if (report->json) {
		lt_report_error(report, &text);
		/* The sentence below says what is wrong when this cannot be written either. */
		struct lt_session ignored;
		lt_session_init(&ignored);
		if (lt_output_write(&ignored, NULL, lt_text_get(&text), text.length) != LT_OK)
			lt_warn(run->session, "%s", ignored.message);
		lt_session_deinit(&ignored);
		lt_text_clear(&text);
		report->json = false;
	}
	lt_report_error(report, &text);
	fputs(lt_text_get(&text), stderr);
	lt_text_deinit(&text);
	return lt_status_exit_code(run->session->status == LT_OK ? LT_E_INTERNAL
								 : run->session->status);
}

static void print_warnings(const struct lt_run *run)
{
	const struct lt_session *session = run->session;
	for (size_t i = 0; run->request->verbosity >= 0 && i < session->warning_count; i++) {
		struct lt_text text = {0};
		lt_safe_add(&text, session->warnings[i],
			    run->report.style.utf8 ? LT_UTF8 : LT_ASCII);
		fprintf(stderr, "lowtide: warning: %s.\n", lt_text_get(&text));
		lt_text_deinit(&text);
	}
}

static enum lt_status fill_report(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	if (request->generate != NULL) {
		if (strcmp(request->generate, "man") == 0)
			lt_man_page(&run->out);
		else
			lt_completion_script(request->generate, &run->out);
		return LT_OK;
	}
	if (request->version) {
		lt_text_addf(&run->out, "lowtide %s\n", LT_VERSION);
		return LT_OK;
	}
	if (request->help || request->command == NULL) {
		lt_help(request->topic, &run->out);
		return LT_OK;
	}
	struct lt_progress_bar bar;
	lt_progress_bar_begin(&bar, run->session, run->report.style.utf8);
	enum lt_status status = request->command->run(run);
	lt_progress_bar_end(&bar, run->session);
	return status;
}

static enum lt_status run_request(struct lt_run *run)
{
	bool own = run->request->file_is_own && !run->request->help;
	LT_TRY(lt_output_check(run->session, run->request->output));
	LT_TRY(fill_report(run));
	if (run->out.failed || lt_shortage())
		return lt_fail_memory(run->session);
	return lt_output_write(run->session, own ? NULL : run->request->output,
			       lt_text_get(&run->out), run->out.length);
}

/*
 * A file that is opened later must not become one of the standard streams: a report would be written into
 * it. A stream that is closed is opened the wrong way round, so that using it fails as before.
 */
static bool guard_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	if (!guard_standard_streams())
		return lt_status_exit_code(LT_E_INTERNAL);
	lt_json_init();
	setlocale(LC_CTYPE, "");
	/* Large arrays go back to the system when they are freed; glibc would learn to keep those below 32 MiB. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	signal(SIGPIPE,
	       SIG_IGN); /* a closed pipe is an error of write(2), with a sentence of its own */
	signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
	struct lt_session session;
	lt_session_init(&session);
	struct lt_request request;
	struct lt_run run = {.request = &request, .session = &session, .started_ns = lt_now_ns()};
	enum lt_status status = lt_request_parse(&session, argc, argv, &request);
	session.verbosity = request.verbosity;
	run.report = (struct lt_report){
		.command = request.command != NULL ? request.command->name : "",
		.format = request.format,
		.json = request.json,
		.style = choose_style(&request),
		.session = &session,
		.pid = request.pid,
	};
	if (status == LT_OK)
		status = run_request(&run);
	int code = run.found ? EXIT_FOUND : 0;
	if (status != LT_OK)
		code = report_failure(&run);
	if (!run.report.json)
		print_warnings(&run);
	lt_run_deinit(&run);
	lt_session_deinit(&session);
	return code;
}
