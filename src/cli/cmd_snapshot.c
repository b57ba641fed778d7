#include "cli/run.h"

#include "analysis/subject.h"
#include "analysis/tide.h"
#include "base/cleanup.h"
#include "cli/output.h"
#include "report/export_heapsnapshot.h"

struct piecewise {
	struct lt_output *output;
	uint64_t bytes;
};

static enum lt_status add(void *ctx, const char *bytes, size_t length)
{
	struct piecewise *piecewise = ctx;
	piecewise->bytes += length;
	return lt_output_add(piecewise->output, bytes, length);
}

static void end_output(struct lt_output **output)
{
	lt_output_end(*output);
}

static void destroy_expressions(struct lt_expressions **expressions)
{
	lt_expressions_destroy(*expressions);
}

static enum lt_status write_heapsnapshot(struct lt_run *run, struct lt_subject *subject,
					 struct lt_tide_written *written)
{
	const struct lt_request *request = run->request;
	const struct lt_heapsnapshot_options options = {.redact = request->redact};
	LT_CLEANUP(destroy_expressions) struct lt_expressions *expressions = NULL;
	LT_CLEANUP(end_output) struct lt_output *output = NULL;
	const struct lt_picture *picture = &subject->picture;
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(lt_expressions_create(picture, &expressions));
	LT_TRY(lt_output_begin(run->session, request->output, &output));
	struct piecewise piecewise = {.output = output};
	const struct lt_sink sink = {.add = add, .ctx = &piecewise};
	LT_TRY(lt_heapsnapshot_write(picture, expressions, &options, &sink));
	/* What was found damaged on the way must not get the file's name. */
	LT_TRY(lt_subject_status(subject, LT_OK));
	LT_TRY(lt_output_commit(output));
	*written = (struct lt_tide_written){.path = request->output,
					    .redacted = request->redact,
					    .objects = picture->graph.graph.node_count,
					    .references = picture->graph.graph.edge_count,
					    .bytes = piecewise.bytes};
	return LT_OK;
}

enum lt_status lt_cmd_snapshot(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	const struct lt_tide_options options = {.redact = request->redact};
	struct lt_tide_written written = {0};
	struct lt_subject *subject = NULL;
	if (request->output == NULL) {
		lt_remedy(run->session, "Write 'lowtide snapshot %s -o FILE.tide'.",
			  request->operand);
		return lt_fail(run->session, LT_E_USAGE,
			       "the command snapshot needs a file to write");
	}
	if (request->format == LT_FORMAT_TIDE && !lt_subject_is_pid(request->operand)) {
		lt_remedy(run->session,
			  "Give a PID, or a file name that ends in .heapsnapshot to -o.");
		return lt_fail(run->session, LT_E_USAGE, "'%.200s' is a snapshot file already",
			       request->operand);
	}
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status;
	if (request->format == LT_FORMAT_HEAPSNAPSHOT)
		status = lt_subject_status(subject, write_heapsnapshot(run, subject, &written));
	else
		status = lt_tide_write(subject, request->output, &options, &written);
	if (status == LT_OK)
		status = lt_run_subject_end(run, subject);
	if (status == LT_OK)
		lt_report_snapshot(&run->report, &written, &run->out);
	lt_subject_close(subject);
	return status;
}
