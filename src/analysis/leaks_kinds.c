/* What a suspect is: from the way to it and from what piles up in it, to a kind, words and a change to make. */
#include "analysis/leaks_parts.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR_SECONDS = 3600 };

/* ---- Words ---- */

struct explaining {
	struct lt_suspecting *suspecting;
	struct lt_findings *findings;
	const struct lt_picture *picture;
	const struct lt_holding *holding;
	const struct lt_setting *setting;
	struct lt_suspect *suspect;
	struct lt_finding *finding;
};

#define FORMAT(e, ...) lt_finding_format((e)->findings, __VA_ARGS__)

static const char *count(const struct explaining *e, uint64_t number)
{
	return lt_findings_count(e->findings, number);
}

static const char *bytes(const struct explaining *e, uint64_t number)
{
	return lt_findings_bytes(e->findings, number);
}

/* "the list Connection.all", "the dict _by_token of shop.Store": what grows, as its author calls it. */
static const char *subject(const struct explaining *e)
{
	const char *type = e->holding->type != NULL ? e->holding->type->name : "object";
	const char *name = lt_text_get(&e->setting->name);
	const char *owner = e->setting->type != NULL ? e->setting->type->name : "";
	bool named = name[0] != '\0';
	if (e->setting->key.length > 0)
		type = FORMAT(e, "%s %s in", type, lt_text_get(&e->setting->key));
	switch (e->setting->place) {
	case LT_PLACE_CLASS:
		return named ? FORMAT(e, "the %s %s.%s", type, owner, name)
			     : FORMAT(e, "the %s of class %s", type, owner);
	case LT_PLACE_INSTANCE:
		return named ? FORMAT(e, "the %s %s of a %s", type, name, owner)
			     : FORMAT(e, "the %s of a %s", type, owner);
	default:
		return named ? FORMAT(e, "the %s %s", type, name) : FORMAT(e, "a %s", type);
	}
}

static const char *capital(const struct explaining *e, const char *text)
{
	return text[0] >= 'a' && text[0] <= 'z' ? FORMAT(e, "%c%s", text[0] - ('a' - 'A'), text + 1)
						: text;
}

/* "2,400 entries more in 30 s, 3,200 now, mostly Order." */
static const char *growth_words(const struct explaining *e)
{
	const struct lt_holding *holding = e->holding;
	const char *item = holding->item != NULL && holding->alike * 2 >= holding->seen
				   ? FORMAT(e, " Of %s new entries looked at %s are %s.",
					    count(e, holding->seen), count(e, holding->alike),
					    holding->item->name)
				   : "";
	if (holding->gained == 0)
		return FORMAT(e, "It has as many entries as before, what they hold grew by %s%s.%s",
			      bytes(e, e->suspect->growth_bytes), lt_leaks_window(e->suspecting),
			      item);
	return FORMAT(e, "It got %s entries longer%s and has %s now.%s", count(e, holding->gained),
		      lt_leaks_window(e->suspecting), count(e, holding->length), item);
}

static const char *bound_words(const struct explaining *e)
{
	switch (e->holding->type != NULL ? e->holding->type->kind : LT_KIND_OPAQUE) {
	case LT_KIND_DEQUE:
		return "give it a bound: collections.deque(maxlen=...)";
	case LT_KIND_LIST:
		return "keep the last ones only (collections.deque(maxlen=...)), or remove each "
		       "entry when its work is done";
	case LT_KIND_SET:
		return "discard each entry when its work is done, or keep a set per period and "
		       "drop "
		       "old ones";
	default:
		return "remove entries that are done or too old, or give it a bound (an "
		       "OrderedDict with popitem(last=False), cachetools.TTLCache)";
	}
}

static void place_texts(struct explaining *e, const char *kind, const char *title, const char *why,
			const char *fix)
{
	e->finding->id = kind;
	e->finding->title = title;
	e->finding->explanation = why;
	e->finding->fix = fix;
}

/* ---- By what piles up ---- */

static bool mostly(const struct lt_holding *holding, enum lt_item item)
{
	return holding->seen > 0 && holding->of[item] * 2 >= holding->seen;
}

static const char *more(const struct explaining *e)
{
	return FORMAT(e, "+%s", bytes(e, e->suspect->growth_bytes));
}

/* The function of a generator, coroutine or task; where it waits goes to `where`. */
static void generator_place(const struct explaining *e, uint32_t node, struct lt_text *name,
			    struct lt_text *where)
{
	int64_t line = 0;
	(void)lt_picture_text(e->picture, node, LT_DETAIL_NAME, name);
	LT_CLEANUP(lt_text_deinit) struct lt_text file = {0};
	if (lt_picture_text(e->picture, node, LT_DETAIL_FILE, &file) &&
	    lt_picture_number(e->picture, node, LT_DETAIL_LINE, &line))
		lt_text_addf(where, "%s:%" PRId64, lt_text_get(&file), line);
}

static void explain_tasks(struct explaining *e)
{
	place_texts(
		e, "task-set",
		FORMAT(e, "%s collects asyncio tasks that do not end: %s", capital(e, subject(e)),
		       more(e)),
		FORMAT(e,
		       "%s A task that waits for something that never comes stays, with its "
		       "coroutine and all their local variables; one that is done stays for as "
		       "long as something refers to it.",
		       growth_words(e)),
		"Give each wait a time-out (asyncio.timeout(), asyncio.wait_for()), cancel tasks "
		"whose request is over, and take them out of the collection in "
		"add_done_callback().");
}

static void explain_generators(struct explaining *e)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	if (e->holding->sample != LT_NO_NODE)
		generator_place(e, e->holding->sample, &name, &where);
	if (where.length > 0)
		lt_finding_string(e->findings, e->finding, "waits_at", lt_text_get(&where));
	const char *what = name.length > 0 ? FORMAT(e, "%s()", lt_text_get(&name)) : "a generator";
	place_texts(e, "unfinished-generator",
		    FORMAT(e, "%s keeps generators of %s that were never finished: %s",
			   capital(e, subject(e)), what, more(e)),
		    FORMAT(e,
			   "%s Each stands at a yield%s%s and keeps the local variables of its "
			   "frame until it is exhausted, closed or freed.",
			   growth_words(e), where.length > 0 ? " at " : "", lt_text_get(&where)),
		    FORMAT(e,
			   "Finish or close what was begun: contextlib.closing(), or .close() when "
			   "the reader goes away; keep the values of %s, not the generator.",
			   what));
}

static void explain_exceptions(struct explaining *e)
{
	place_texts(
		e, "kept-exception",
		FORMAT(e, "%s keeps exceptions with their tracebacks: %s", capital(e, subject(e)),
		       more(e)),
		FORMAT(e,
		       "%s The traceback of each refers to the frames that it passed through, "
		       "and these keep all their local variables: %s for each entry.",
		       growth_words(e),
		       bytes(e, e->holding->gained > 0
					? e->suspect->growth_bytes / e->holding->gained
					: e->suspect->growth_bytes)),
		"Keep str(error) or traceback.format_exception(error) instead of the exception, or "
		"take its frames away: error.__traceback__ = None.");
}

static void explain_threads(struct explaining *e)
{
	place_texts(
		e, "unjoined-threads", FORMAT(e, "Threads are started and do not end: %s", more(e)),
		FORMAT(e,
		       "%s Each thread keeps the local variables of its frames, its thread-local "
		       "values and its stack until its function returns.",
		       growth_words(e)),
		"Give what they wait for a time-out, end and join them when their work is done, or "
		"use a pool of fixed size (concurrent.futures.ThreadPoolExecutor).");
}

static void explain_modules(struct explaining *e)
{
	place_texts(
		e, "repeated-modules", FORMAT(e, "Modules are loaded again and again: %s", more(e)),
		FORMAT(e,
		       "%s Each load makes a module with functions, classes and constants of its "
		       "own, and the entry keeps it.",
		       growth_words(e)),
		"Load each source once and keep the module under a name that does not change; take "
		"what is no longer used out of sys.modules.");
}

static void explain_classes(struct explaining *e)
{
	const struct lt_type *class =
		e->holding->sample != LT_NO_NODE
			? lt_picture_type_of_class(e->picture, e->holding->sample)
			: NULL;
	const char *name = class != NULL ? class->name : "the class";
	const char *such = class != NULL ? FORMAT(e, " such as %s", name) : "";
	place_texts(e, "repeated-classes",
		    FORMAT(e, "Classes%s are made again and again: %s", such, more(e)),
		    FORMAT(e,
			   "%s A class statement, namedtuple() or make_dataclass() that runs again "
			   "makes a new class of a kilobyte or more, with its own methods.",
			   growth_words(e)),
		    FORMAT(e,
			   "Make %s once, at module level, or keep it in a cache by its columns.",
			   name));
}

static void explain_handlers(struct explaining *e)
{
	place_texts(
		e, "logging-handler",
		FORMAT(e, "Handlers are added to a logger again and again: %s", more(e)),
		FORMAT(e,
		       "%s Every record goes through all of them, so logging also gets slower "
		       "and each line is written more often.",
		       growth_words(e)),
		"Add handlers once, where the service starts (if not logger.handlers), and remove "
		"a temporary one with logger.removeHandler() in a finally.");
}

static void explain_records(struct explaining *e)
{
	place_texts(e, "logging-handler",
		    FORMAT(e, "The buffer of a %s is never flushed: %s",
			   e->setting->type != NULL ? e->setting->type->name : "log handler",
			   more(e)),
		    FORMAT(e,
			   "%s Each record keeps the arguments of its message until the handler "
			   "passes it on.",
			   growth_words(e)),
		    "Give the handler a target, a capacity that is reached and a flushLevel at or "
		    "below the level of what it gets.");
}

static void explain_callbacks(struct explaining *e)
{
	place_texts(e, "callback-list",
		    FORMAT(e, "%s collects callbacks: %s", capital(e, subject(e)), more(e)),
		    FORMAT(e,
			   "%s A bound method keeps its object alive, and a function that was "
			   "defined inside another one keeps the variables that it uses.",
			   growth_words(e)),
		    "Take each callback out again when its owner goes (a disconnect or unsubscribe "
		    "in close()), register it once instead of once a request, or keep "
		    "weakref.WeakMethod of it.");
}

static void explain_weak(struct explaining *e)
{
	const char *type = e->setting->type != NULL ? e->setting->type->name : "weak container";
	if (!lt_picture_derives(e->picture, e->setting->type, "weakref", "WeakKeyDictionary")) {
		place_texts(
			e, "weak-value-container",
			FORMAT(e, "The entries of a %s stay: %s", type, more(e)),
			FORMAT(e,
			       "%s It refers to them weakly: something else keeps them alive, or "
			       "they keep themselves alive.",
			       growth_words(e)),
			FORMAT(e,
			       "Look for what holds them (lowtide path PID TYPE); the %s "
			       "empties itself when that is gone.",
			       type));
		return;
	}
	place_texts(e, "weak-value-container",
		    FORMAT(e, "The entries of a %s keep themselves alive: %s", type, more(e)),
		    FORMAT(e,
			   "%s An entry goes when nothing else refers to its key; here the values "
			   "refer to their keys, so none ever goes.",
			   growth_words(e)),
		    "Let the value refer to its key weakly (weakref.ref), or keep the value as an "
		    "attribute of the key instead of in the container.");
}

static void explain_buffers(struct explaining *e)
{
	const char *item = e->holding->item != NULL   ? e->holding->item->name
			   : e->holding->type != NULL ? e->holding->type->name
						      : "buffer";
	if (e->holding->buffer_bytes > 0) {
		lt_finding_int(e->findings, e->finding, "buffers_looked_at", e->holding->seen);
		lt_finding_int(e->findings, e->finding, "buffer_bytes", e->holding->buffer_bytes);
	}
	bool entries = e->holding->seen > 0;
	place_texts(
		e, "c-buffer",
		FORMAT(e, "%s holds more and more memory of %s%s: %s", capital(e, subject(e)), item,
		       entries ? " objects" : "", more(e)),
		FORMAT(e,
		       "%s A %s is a small object; its memory lies outside of it, where "
		       "sys.getsizeof() of the container does not see it, and a view or slice "
		       "keeps the whole buffer.",
		       entries ? growth_words(e)
			       : FORMAT(e, "It grew from %s to %s%s.",
					bytes(e, e->holding->point->held[0]),
					bytes(e, e->suspect->retained_bytes),
					lt_leaks_window(e->suspecting)),
		       item),
		"Keep a copy of the part that is needed (bytes(view), array.copy()) and let the "
		"buffer go, close what has a close(), or write the data out by portions.");
}

static void explain_untracked(struct explaining *e)
{
	place_texts(
		e, "untracked-container",
		FORMAT(e, "%s grows by values that the collector does not track: %s",
		       capital(e, subject(e)), more(e)),
		FORMAT(e,
		       "%s gc.get_objects() shows neither numbers, strings and bytes nor tuples "
		       "of them, so tools that count its objects miss this.",
		       e->holding->point->rebound
			       ? FORMAT(e, "Each time a longer %s replaces it.",
					e->holding->type != NULL ? e->holding->type->name
								 : "object")
			       : growth_words(e)),
		FORMAT(e, "Let it not grow for ever: %s.", bound_words(e)));
}

/* ---- By where it is ---- */

/* The function of an lru_cache by its name. */
static void wrapped_name(const struct explaining *e, uint32_t cache, struct lt_text *name)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(e->picture, cache, &refs);
	for (size_t i = 0; i < refs.count && name->length == 0; i++) {
		uint32_t node = refs.data[i].kind == LT_REF_MEMBER &&
						refs.data[i].index == LT_MEMBER_wrapped
					? lt_heap_graph_find(&e->picture->graph, refs.data[i].to)
					: LT_NO_NODE;
		if (node != LT_NO_NODE)
			(void)lt_picture_text(e->picture, node, LT_DETAIL_NAME, name);
	}
	if (name->length == 0)
		lt_text_add(name, "a function");
}

/* A bound counts when it will be met within the hour. */
static bool is_near(const struct explaining *e, int64_t bound)
{
	double left = (double)bound - (double)e->holding->length;
	double rate = e->suspecting->seconds > 0
			      ? (double)e->holding->gained / e->suspecting->seconds
			      : 0;
	return bound >= 0 && left >= 0 && (rate <= 0 || left / rate <= NEAR_SECONDS);
}

static bool names_a_bound(const char *name)
{
	static const char *const words[] = {"max", "limit", "capacity", "bound"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(name, words[i]) != NULL)
			return true;
	return false;
}

/* An attribute of the object that owns the container and that says how long it may get: max_entries. */
static bool declared_bound(const struct explaining *e, uint32_t owner, struct lt_text *name,
			   int64_t *ret_bound)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(e->picture, owner, &refs);
	size_t count = refs.count;
	for (size_t i = 0; i < count; i++) {
		uint32_t dict = refs.data[i].kind == LT_REF_DICT
					? lt_heap_graph_find(&e->picture->graph, refs.data[i].to)
					: LT_NO_NODE;
		if (dict != LT_NO_NODE)
			lt_picture_refs(e->picture, dict, &refs);
	}
	for (size_t i = 0; i < refs.count; i++) {
		const struct lt_ref *ref = &refs.data[i];
		uint32_t value = lt_heap_graph_find(&e->picture->graph, ref->to);
		if ((ref->kind != LT_REF_ATTRIBUTE && ref->kind != LT_REF_VALUE) ||
		    value == LT_NO_NODE || lt_leaks_kind(e->picture, value) != LT_KIND_INT)
			continue;
		LT_CLEANUP(lt_text_deinit) struct lt_text number = {0};
		lt_leaks_key(e->picture, ref->name, name);
		if (!names_a_bound(lt_text_get(name)) ||
		    !lt_picture_text(e->picture, value, LT_DETAIL_LITERAL, &number))
			continue;
		*ret_bound = strtoll(lt_text_get(&number), NULL, 10);
		if (is_near(e, *ret_bound))
			return true;
	}
	return false;
}

/* django.db.backends.base.base: the log of queries of a connection. */
static bool is_query_log(const struct explaining *e)
{
	return e->setting->place == LT_PLACE_INSTANCE &&
	       strcmp(lt_text_get(&e->setting->name), "queries_log") == 0 &&
	       lt_picture_derives(e->picture, e->setting->type, "django.db.backends.base.base",
				  "BaseDatabaseWrapper");
}

/* What says how long it may get makes it less of a suspect; the bound of Django's log is that of a mistake. */
static void consider_bound(struct explaining *e)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	int64_t bound = -1;
	enum lt_kind kind = e->holding->type != NULL ? e->holding->type->kind : LT_KIND_OPAQUE;
	bool found = false;
	if (kind == LT_KIND_DEQUE) {
		found = lt_picture_number(e->picture, e->holding->node, LT_DETAIL_MAXSIZE,
					  &bound) &&
			is_near(e, bound);
		lt_text_add(&name, "maxlen");
	} else if (kind != LT_KIND_LRU_CACHE && e->setting->place == LT_PLACE_INSTANCE &&
		   e->holding->gained > 0) {
		found = declared_bound(e, e->setting->owner, &name, &bound);
	}
	if (!found || is_query_log(e))
		return;
	if (e->finding->severity > LT_LOW)
		e->finding->severity = LT_LOW;
	lt_finding_int(e->findings, e->finding, "bound", (uint64_t)bound);
	const char *limit = count(e, (uint64_t)bound);
	e->finding->explanation = FORMAT(e, "%s Its %s is %s: it fills up to that.",
					 e->finding->explanation, lt_text_get(&name), limit);
	e->finding->fix =
		FORMAT(e, "Nothing, if %s entries may take what they take; else a smaller %s.",
		       limit, lt_text_get(&name));
}

static void explain_cache(struct explaining *e)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	int64_t hits = 0, misses = 0, maxsize = -1;
	uint32_t node = e->holding->node;
	(void)lt_picture_number(e->picture, node, LT_DETAIL_HITS, &hits);
	(void)lt_picture_number(e->picture, node, LT_DETAIL_MISSES, &misses);
	(void)lt_picture_number(e->picture, node, LT_DETAIL_MAXSIZE, &maxsize);
	wrapped_name(e, node, &name);
	const char *function = lt_text_get(&name);
	uint64_t calls = (uint64_t)hits + (uint64_t)misses;
	lt_finding_int(e->findings, e->finding, "hits", (uint64_t)hits);
	lt_finding_int(e->findings, e->finding, "misses", (uint64_t)misses);
	if (maxsize < 0)
		lt_finding_string(e->findings, e->finding, "maxsize", "None");
	else
		lt_finding_int(e->findings, e->finding, "maxsize", (uint64_t)maxsize);
	const char *ratio = FORMAT(e, "Of %s calls %s found their result (%.0f %%).",
				   count(e, calls), count(e, (uint64_t)hits),
				   calls > 0 ? 100.0 * (double)hits / (double)calls : 0.0);
	if (maxsize >= 0) {
		if (e->finding->severity > LT_LOW && is_near(e, maxsize))
			e->finding->severity = LT_LOW;
		place_texts(e, "lru-cache-filling",
			    FORMAT(e, "The cache of %s() fills up to its maxsize of %s: %s",
				   function, count(e, (uint64_t)maxsize), more(e)),
			    FORMAT(e, "%s It stops at %s entries. %s", growth_words(e),
				   count(e, (uint64_t)maxsize), ratio),
			    FORMAT(e,
				   "Nothing, if %s entries may take what they take; else a "
				   "smaller maxsize.",
				   count(e, (uint64_t)maxsize)));
		return;
	}
	place_texts(
		e, "lru-cache-unbounded",
		FORMAT(e, "The cache of %s() has no bound: %s", function, more(e)),
		FORMAT(e,
		       "%s maxsize is None (lru_cache(maxsize=None) or functools.cache), so every "
		       "new combination of arguments stays for ever. %s",
		       growth_words(e), ratio),
		FORMAT(e,
		       "Give %s() a bound: @lru_cache(maxsize=1024), sized by the arguments that "
		       "recur; on a method use functools.cached_property or a dict of self.",
		       function));
}

static void explain_place(struct explaining *e)
{
	const char *what = subject(e);
	const char *title = FORMAT(e, "%s grows: %s", capital(e, what), more(e));
	const char *growth = growth_words(e), *bound = bound_words(e);
	const char *owner = e->setting->type != NULL ? e->setting->type->name : "the object";
	switch (e->setting->place) {
	case LT_PLACE_MODULE:
		place_texts(e, "module-container", title,
			    FORMAT(e, "%s A variable of a module lives as long as the process.",
				   growth),
			    FORMAT(e, "If entries are not removed anywhere, %s.", bound));
		return;
	case LT_PLACE_CLASS:
		place_texts(
			e, "class-attribute", title,
			FORMAT(e,
			       "%s It is an attribute of the class %s, shared by all its "
			       "instances, and lives as long as the class.",
			       growth, owner),
			FORMAT(e,
			       "If it is meant for each instance, make it in __init__; if it is a "
			       "registry, use a weakref.WeakSet or WeakValueDictionary, or %s.",
			       bound));
		return;
	case LT_PLACE_INSTANCE:
		place_texts(e, "instance-attribute", title,
			    FORMAT(e, "%s The %s that owns it lives on, so its content does too.",
				   growth, owner),
			    FORMAT(e, "In %s, %s.", owner, bound));
		return;
	case LT_PLACE_CLOSURE:
		place_texts(e, "closure-cell", title,
			    FORMAT(e,
				   "%s It is a variable of an outer function that an inner one "
				   "uses: it lives as long as the inner function, and nothing "
				   "outside can empty it.",
				   growth),
			    FORMAT(e, "Use functools.lru_cache(maxsize=...) for a cache, else %s.",
				   bound));
		return;
	case LT_PLACE_DEFAULT: {
		LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
		if (e->setting->owner == LT_NO_NODE ||
		    !lt_picture_text(e->picture, e->setting->owner, LT_DETAIL_NAME, &name))
			lt_text_add(&name, "the function");
		place_texts(
			e, "default-argument",
			FORMAT(e, "A default argument of %s() grows: %s", lt_text_get(&name),
			       more(e)),
			FORMAT(e,
			       "%s A default value is made once, when the def runs, and all calls "
			       "share it.",
			       growth),
			FORMAT(e, "Make the default None in %s() and create the %s in the body.",
			       lt_text_get(&name),
			       e->holding->type != NULL ? e->holding->type->name : "value"));
		return;
	}
	case LT_PLACE_THREAD_LOCAL:
		place_texts(
			e, "thread-local", title,
			FORMAT(e,
			       "%s It belongs to a threading.local() object in a thread that is "
			       "still running; it goes when the thread ends, and threads of a pool "
			       "do not.",
			       growth),
			"Clear it at the end of each unit of work (request, job, transaction).");
		return;
	case LT_PLACE_CONTEXT:
		place_texts(
			e, "context-variable", title,
			FORMAT(e,
			       "%s It is the value of a context variable that was set once and is "
			       "changed in place: all that runs in this context, and in its "
			       "copies, shares it.",
			       growth),
			"Set a fresh value for each request and give it back: token = "
			"var.set([]), var.reset(token) in a finally.");
		return;
	case LT_PLACE_LOCAL:
		place_texts(e, "local-variable", title,
			    FORMAT(e, "%s It is a variable of a function that is still running.",
				   growth),
			    FORMAT(e, "In that function, %s.", bound));
		return;
	case LT_PLACE_SUSPENDED:
		place_texts(e, "unfinished-generator", title,
			    FORMAT(e,
				   "%s It is a variable of a generator or coroutine that is "
				   "suspended.",
				   growth),
			    FORMAT(e, "Close the generator when it is done, or %s.", bound));
		return;
	case LT_PLACE_EXCEPTION:
		explain_exceptions(e);
		return;
	case LT_PLACE_CACHE:
	case LT_PLACE_UNKNOWN:
		break;
	}
	place_texts(e, "unknown", title, growth, FORMAT(e, "%s.", capital(e, bound)));
}

/* weakref.finalize(x, x.close): the registry of the finalizers refers to the bound method. */
static void explain_finalizers(struct explaining *e)
{
	place_texts(
		e, "callback-list", FORMAT(e, "Finalizers pile up that never run: %s", more(e)),
		FORMAT(e,
		       "%s weakref.finalize() keeps its function and arguments until the object "
		       "goes; a bound method or an argument that refers to the object keeps the "
		       "object itself, so it never goes.",
		       growth_words(e)),
		"Give weakref.finalize() a function (a staticmethod) and the values that it needs, "
		"never the object or a method of it.");
}

static void explain_query_log(struct explaining *e)
{
	place_texts(
		e, "instance-attribute",
		FORMAT(e, "Django keeps the text of every query: %s", more(e)),
		FORMAT(e,
		       "%s With settings.DEBUG on, connection.queries keeps the SQL of each query, "
		       "up to 9,000 a connection. A request empties it; a loop, a command or a "
		       "worker outside of requests never does.",
		       growth_words(e)),
		"Set DEBUG = False in production; in a long loop call django.db.reset_queries().");
}

static bool is_weak_container(const struct explaining *e)
{
	static const char *const names[] = {"WeakKeyDictionary", "WeakValueDictionary"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (lt_picture_derives(e->picture, e->setting->type, "weakref", names[i]))
			return true;
	}
	return lt_picture_derives(e->picture, e->setting->type, "_weakrefset", "WeakSet");
}

static void choose(struct explaining *e)
{
	const struct lt_holding *holding = e->holding;
	const struct lt_picture *picture = e->picture;
	const struct lt_setting *setting = e->setting;
	bool in_instance = setting->place == LT_PLACE_INSTANCE;
	enum lt_kind kind = holding->type != NULL ? holding->type->kind : LT_KIND_OPAQUE;
	bool sys_modules = setting->root != NULL && setting->root->kind == LT_ROOT_MODULES;
	if (kind == LT_KIND_LRU_CACHE)
		explain_cache(e);
	else if (setting->place == LT_PLACE_CLASS && setting->type != NULL &&
		 strcmp(setting->type->name, "finalize") == 0 &&
		 strcmp(setting->type->module, "weakref") == 0)
		explain_finalizers(e);
	else if (is_query_log(e))
		explain_query_log(e);
	else if (in_instance && is_weak_container(e))
		explain_weak(e);
	else if (in_instance && lt_picture_derives(picture, setting->type, "logging", "Handler"))
		explain_records(e);
	else if (mostly(holding, LT_ITEM_HANDLER))
		explain_handlers(e);
	else if (mostly(holding, LT_ITEM_THREAD))
		explain_threads(e);
	else if (sys_modules || mostly(holding, LT_ITEM_MODULE))
		explain_modules(e);
	else if (mostly(holding, LT_ITEM_TASK))
		explain_tasks(e);
	else if (mostly(holding, LT_ITEM_GENERATOR))
		explain_generators(e);
	else if (mostly(holding, LT_ITEM_EXCEPTION))
		explain_exceptions(e);
	else if (mostly(holding, LT_ITEM_CLASS) || setting->of_subclasses)
		explain_classes(e);
	else if (mostly(holding, LT_ITEM_CALLABLE))
		explain_callbacks(e);
	else if (mostly(holding, LT_ITEM_BUFFER) ||
		 (!holding->point->container &&
		  lt_leaks_is_item(picture, holding->node, LT_ITEM_BUFFER)))
		explain_buffers(e);
	else if (!holding->point->container &&
		 lt_leaks_is_item(picture, holding->node, LT_ITEM_UNTRACKED))
		explain_untracked(e);
	else
		explain_place(e);
}

void lt_suspect_explain(struct lt_suspecting *suspecting, const struct lt_holding *holding,
			struct lt_suspect *suspect)
{
	LT_CLEANUP(lt_setting_deinit) struct lt_setting setting = {0};
	lt_setting_find(suspecting, holding->node, &setting);
	struct explaining e = {
		.suspecting = suspecting,
		.findings = &suspecting->findings,
		.picture = suspecting->findings.picture,
		.holding = holding,
		.setting = &setting,
		.suspect = suspect,
		.finding = &suspect->finding,
	};
	if (holding->length > 0) {
		lt_finding_int(e.findings, e.finding, "entries", holding->length);
		lt_finding_int(e.findings, e.finding, "entries_gained", holding->gained);
	}
	if (holding->item != NULL) {
		lt_finding_string(e.findings, e.finding, "item_type",
				  FORMAT(&e, "%s.%s", holding->item->module, holding->item->name));
		lt_finding_int(e.findings, e.finding, "items_looked_at", holding->seen);
		lt_finding_int(e.findings, e.finding, "items_of_type", holding->alike);
	}
	choose(&e);
	consider_bound(&e);
}
