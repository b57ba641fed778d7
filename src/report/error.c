#include "report/json.h"
#include "report/safe.h"

#include <string.h>

/* What to do about a failure for which no lower layer knew better. */
static const char *usual_remedy(enum lt_status status)
{
	switch (status) {
	case LT_E_USAGE:
		return "Run 'lowtide --help' for all commands and options.";
	case LT_E_NOT_PYTHON:
		return "Run 'lowtide ps' to see the CPython processes here.";
	case LT_E_PERMISSION:
		return "Run lowtide as root (sudo lowtide ...), or as the owner of the process "
		       "with CAP_SYS_PTRACE.";
	case LT_E_GONE:
		return "Run 'lowtide ps' to see the CPython processes here.";
	case LT_E_FILE:
		return "Check the path, its permissions and the free space of its disk.";
	case LT_E_BUSY:
		return "Try again in a moment, or look with --mode live.";
	case LT_E_READ:
		return "Try again; if it stays, look with --mode stop.";
	case LT_E_NO_MEMORY:
		return "Free memory on this machine, or run lowtide outside of the memory limit "
		       "that it is under.";
	case LT_OK:
	case LT_E_INTERNAL:
		break;
	}
	return "This is a fault of lowtide: please report it with the command line and the "
	       "version.";
}

/* A message is written without its full stop, and some without a capital: here it becomes a sentence. */
static void add_sentence(struct lt_text *out, const char *message, bool capital,
			 enum lt_charset charset)
{
	struct lt_text safe = {0};
	lt_safe_add(&safe, message, charset);
	if (capital && safe.length > 0 && safe.data[0] >= 'a' && safe.data[0] <= 'z')
		safe.data[0] = (char)(safe.data[0] - 'a' + 'A');
	lt_text_add(out, lt_text_get(&safe));
	if (safe.length == 0 || strchr(".!?", safe.data[safe.length - 1]) == NULL)
		lt_text_add(out, ".");
	lt_text_add(out, "\n");
	out->failed |= safe.failed;
	lt_text_deinit(&safe);
}

void lt_report_error(const struct lt_report *report, struct lt_text *out)
{
	const struct lt_session *session = report->session;
	enum lt_status status = session->status == LT_OK ? LT_E_INTERNAL : session->status;
	const char *message = session->message[0] != '\0' ? session->message
							  : "the command failed without a reason";
	const char *remedy = session->remedy[0] != '\0' ? session->remedy : usual_remedy(status);
	if (report->json) {
		json_t *error =
			json_pack("{s:s, s:i, s:o, s:o}", "status", lt_status_name(status),
				  "exit_code", lt_status_exit_code(status), "message",
				  lt_json_string(message), "remedy", lt_json_string(remedy));
		lt_json_write(report, "error", error, out);
		return;
	}
	enum lt_charset charset = report->style.utf8 ? LT_UTF8 : LT_ASCII;
	lt_text_add(out, "lowtide: ");
	add_sentence(out, message, false, charset);
	add_sentence(out, remedy, true, charset);
}
