"""A target that has imported the whole standard library and made objects of every family.

Writes for each tracked object, and then for what these refer to, its address, sys.getsizeof() and
gc.get_referents() to the file "record" beside it (64-bit words: address, size, count, addresses), then
says ready and sleeps.
"""
import array
import gc
import pkgutil
import sys

SKIPPED = {"antigravity", "this", "idlelib", "turtledemo", "turtle", "tkinter", "test", "lib2to3", "msilib", "winreg",
           "__phello__", "__hello__", "site", "sitecustomize", "usercustomize", "pip", "setuptools", "distutils",
           "ensurepip", "_pyrepl", "venv"}


def add_package(path, package, names):
    for inner in pkgutil.iter_modules([path]):
        name = package + "." + inner.name
        names.add(name)
        if inner.ispkg and inner.name not in ("tests", "test"):
            add_package(path + "/" + inner.name, name, names)


def import_library():
    import importlib
    import os
    import warnings

    warnings.simplefilter("ignore")
    names = set(sys.builtin_module_names)
    paths = [os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload")]
    for entry in pkgutil.iter_modules(paths):
        names.add(entry.name)
        if entry.ispkg and entry.name not in SKIPPED:
            add_package(os.path.join(paths[0], entry.name), entry.name, names)
    output = sys.stdout
    sys.stdout = open(os.devnull, "w")
    count = 0
    for name in sorted(names):
        top, _, last = name.partition(".")
        if top in SKIPPED or "__main__" in name or last in ("__main__", "windows_events", "windows_utils"):
            continue
        if top.startswith(("_test", "xx", "_xx", "_ctypes_test")) or top in ("_sysconfigdata", "nt", "msvcrt"):
            continue
        try:
            importlib.import_module(name)
            count += 1
        except Exception:  # not on this system
            pass
    sys.stdout.close()
    sys.stdout = output
    return count


class Plain:
    def __init__(self):
        self.first, self.second = [1], {2: 3}


class Slotted:
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self):
        self.left, self.right = [1], None


class SlottedChild(Slotted):
    __slots__ = ("extra",)


class SlottedWithDict(Slotted):
    pass


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    value = [1]


class DictChild(dict):
    pass


class ListChild(list):
    __slots__ = ("mark",)


class TupleChild(tuple):
    pass


class IntChild(int):
    pass


class StrChild(str):
    pass


class BytesChild(bytes):
    pass


class SetChild(set):
    pass


class Failure(Exception):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.detail = [arguments]


def zoo():
    """Objects of every family that src/heap/decode*.c knows, in states that differ."""
    import asyncio
    import collections
    import contextvars
    import ctypes
    import datetime
    import decimal
    import fractions
    import functools
    import io
    import itertools
    import operator
    import os
    import queue
    import re
    import struct
    import threading
    import types
    import typing
    import weakref
    import xml.etree.ElementTree

    kept = []
    keep = kept.append

    def raised(error, cause=None):
        local = [error]  # noqa: F841 - a local variable of the frame that the traceback holds
        try:
            raise error from cause
        except BaseException as caught:
            return caught

    for error in (ValueError([1], {}), OSError(2, ["no"], "name", None, "other"), StopIteration([5]),
                  SyntaxError("bad", ("file", 1, 2, "text")), ImportError("no", name="n" * 5, path="p" * 5),
                  UnicodeDecodeError("utf-8", b"abc", 0, 1, "reason"), UnicodeEncodeError("utf-8", "abc", 0, 1, "reason"),
                  SystemExit([3]), NameError("x"), AttributeError("y"), Failure(1, [2]), KeyError([1]), RecursionError()):
        keep(raised(error))
    keep(raised(ValueError("outer"), kept[0]))
    keep(raised(KeyboardInterrupt()))
    try:
        object().missing
    except AttributeError as caught:
        keep(caught)
    if sys.version_info >= (3, 11):
        group = eval("ExceptionGroup('many', [ValueError([1]), KeyError([2])])")
        group.add_note("a note")
        keep(raised(group))

    for cls in (Plain, Slotted, SlottedChild, SlottedWithDict, WithMeta):
        for index in range(40):
            thing = cls()
            keep(thing)
            if cls is SlottedChild:
                thing.extra = [index]
            if cls is SlottedWithDict:
                thing.other = [index]
            if cls is Plain and index % 3 == 0:
                thing.__dict__
            if cls is Plain and index % 5 == 0:
                thing.third = [index]
            if cls is Plain and index == 11:
                del thing.first
            if cls is Plain and index == 13:
                thing.__dict__[5] = [1]
            if cls is Plain and index == 14:
                for n in range(50):
                    setattr(thing, "attribute%d" % n, [n])
    for value in (DictChild(a=[1]), ListChild([[1]]), TupleChild([[1], 2]), IntChild(7), StrChild("text"),
                  BytesChild(b"bytes"), SetChild([1, (2,)])):
        try:
            value.attribute = [1]
        except AttributeError:
            value.mark = [2]
        keep(value)

    holes = {index: [index] for index in range(100)}
    for index in range(0, 100, 3):
        del holes[index]
    mixed = {"text": [1], 2: [2], (3,): [3]}
    strings = {"key%d" % index: [index] for index in range(300)}
    looked = {"a": [1]}
    looked.get(5)
    keep([holes, mixed, strings, looked, {}, {"one": []}, dict.fromkeys("abc")])
    ordered = collections.OrderedDict((index, [index]) for index in range(20))
    del ordered[7]
    ordered.move_to_end(3)
    keep([ordered, iter(ordered), iter(ordered.items()), ordered.keys(), ordered.items()])
    default = collections.defaultdict(list, {1: [1]})
    keep([default, collections.Counter("hello"), collections.ChainMap({}, {1: [2]}), collections.UserDict(a=[1])])
    point = collections.namedtuple("point", "x y")
    keep([point([1], 2), point, os.stat("/"), sys.version_info, __import__("time").localtime()])
    numbers = {(index,) for index in range(200)}
    numbers.discard((3,))
    keep([numbers, frozenset(numbers), {(1,)}, set(), iter(numbers)])
    for length in (0, 3, 63, 64, 65, 200):
        ring = collections.deque(([index] for index in range(length)), maxlen=500)
        ring.rotate(17)
        keep(ring)
        keep([iter(ring), reversed(ring)])
    shrunk = collections.deque(range(100))
    for _ in range(90):
        shrunk.popleft()
    shrunk.append([1])
    keep(shrunk)

    @functools.lru_cache(maxsize=8)
    def cached(argument):
        return [argument]

    @functools.lru_cache(maxsize=None)
    def unbounded(*arguments, **named):
        return [arguments]

    for index in range(12):
        cached(index)
        unbounded(index, name=[index].__len__())
    cached.note = [1]
    keep([cached, unbounded])
    keep(functools.partial(zoo, [1], key=[2]))
    keep(functools.cmp_to_key(operator.lt)([1]))
    keep([operator.itemgetter(1, (2,)), operator.attrgetter("a.b", "c"), operator.methodcaller("name", [1], key=[2])])

    text = [str(1) * 5, "\u20ac" * 3, "\U0001f600", "\xe9" * 9]
    keep([iter([1]), iter((1,)), iter({1}), iter({1: 2}), iter({1: 2}.items()), iter({1: 2}.values()), iter("text"),
          iter(b"bytes"), iter(bytearray(b"x")), reversed([1]), reversed((1, 2)), enumerate([[1]]), zip([1], [2]),
          map(str, [1]), filter(None, [1]), iter(int, 1), iter(range(5)), iter(range(10 ** 30)), range(10 ** 30),
          reversed({1: 2}), {1: [2]}.keys(), {1: [2]}.items(), text, slice([1], 2), memoryview(bytearray(b"abc")),
          array.array("d", [1.0]), iter(array.array("i", [1])), super(Plain, Plain())])

    class Sequence:
        def __getitem__(self, index):
            return [index]

        def __len__(self):
            return 3

    keep([iter(Sequence()), reversed(Sequence())])
    for made in (itertools.accumulate([[1]]), itertools.chain([1], [2]), itertools.combinations([1, 2, 3], 2),
                 itertools.combinations_with_replacement([1, 2], 2), itertools.compress([1], [1]),
                 itertools.count([].__len__()), itertools.count(1.5), itertools.cycle([[1], 2]),
                 itertools.dropwhile(bool, [0, 1]), itertools.filterfalse(bool, [0]), itertools.groupby([[1], [1], [2]]),
                 itertools.islice([1, 2, 3], 2), itertools.permutations([1, 2, 3]), itertools.product([1, 2], [3]),
                 itertools.repeat([1]), itertools.starmap(max, [(1, 2)]), itertools.takewhile(bool, [1, 0]),
                 itertools.zip_longest([1], [2, 3], fillvalue=[9])):
        next(made, None)
        keep(made)
    first, second = itertools.tee(iter([[1], [2], [3]]))
    next(first)
    keep([first, second, next(itertools.groupby([[1], [1]]))])
    if hasattr(itertools, "pairwise"):
        pairs = itertools.pairwise([[1], [2], [3]])
        next(pairs)
        keep(pairs)
    if hasattr(itertools, "batched"):
        keep(itertools.batched([1, 2, 3], 2))

    variable = contextvars.ContextVar("variable", default=[1])
    token = variable.set([2])
    variables = [contextvars.ContextVar("v%d" % index) for index in range(70)]
    context = contextvars.copy_context()
    context.run(lambda: [v.set([index]) for index, v in enumerate(variables)])
    keep([variable, token, context, variables])

    def generate(argument):
        local = [argument]
        try:
            yield local
        except ValueError:
            yield [local]
        return local

    def outer(free):
        def inner(bound=[1], *, key=[2]):
            yield free
            yield key
        return inner([3])

    fresh, started, inside, ended = generate(1), generate(2), generate(3), generate(4)
    next(started)
    next(inside)
    inside.throw(ValueError)
    list(ended)
    closed = outer([4])
    next(closed)
    keep([fresh, started, inside, ended, closed, (index for index in [[1]])])

    class Waiter:
        def __await__(self):
            yield [1]

    async def nested(depth):
        local = [depth]
        if depth:
            return await nested(depth - 1)
        await Waiter()
        return local

    async def asynchronous():
        yield [1]
        await Waiter()

    coroutine = nested(3)
    coroutine.send(None)
    agen = asynchronous()
    step = agen.asend(None)
    try:
        step.send(None)
    except StopIteration:
        pass
    keep([coroutine, nested(1), agen, step, asynchronous(), coroutine.__await__(), agen.athrow(ValueError)])
    if sys.version_info >= (3, 10):
        keep(anext(asynchronous(), [1]))  # noqa: F821

    loop = asyncio.new_event_loop()
    future = loop.create_future()
    future.add_done_callback(kept.append)
    done = loop.create_future()
    done.set_result([1])
    failed = loop.create_future()
    failed.set_exception(ValueError([1]))
    failed.exception()
    task = loop.create_task(nested(2), name="task") if sys.version_info < (3, 14) else loop.create_task(asyncio.sleep(50))

    async def sleeper():
        await future

    waiting = loop.create_task(sleeper())
    loop.call_soon(loop.stop)
    try:
        loop.run_forever()
    except RuntimeError:
        pass
    keep([loop, future, done, failed, task, waiting])

    class Finalized:
        def __del__(self):
            pass

    target = Finalized()
    keep([target, weakref.ref(target), weakref.ref(target, kept.append), weakref.proxy(target),
          weakref.WeakKeyDictionary({target: [1]}), weakref.WeakSet([target]),
          weakref.finalize(target, print, [1])])
    keep([types.MappingProxyType({1: [2]}), types.SimpleNamespace(a=[1]), types.MethodType(zoo, [1]),
          classmethod(zoo), staticmethod(zoo), property(zoo, zoo), [].append, str.join, (1).__add__, int.__add__,
          int.__dict__["real"], type.__dict__["__dict__"], dict.__dict__["fromkeys"], types.CellType([1]),
          types.CellType(), zoo.__code__, types.ModuleType("made")])
    local = threading.local()
    local.value = [1]
    keep([local, threading.Lock(), threading.RLock(), threading.Condition(), queue.Queue(), queue.SimpleQueue()])
    kept[-1][-1].put([1])
    pattern = re.compile("(a)(?P<name>b)")
    keep([pattern, pattern.match("ab"), pattern.scanner("abab"), pattern.finditer("abab"), struct.Struct("ii"),
          struct.Struct("ii").iter_unpack(bytes(16))])
    text_io = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"line\nline\n")))
    text_io.readline()
    written = io.BytesIO()
    written.write(b"abc" * 100)
    keep([text_io, written, written.getbuffer(), io.StringIO("text\n"), io.BufferedRWPair(io.BytesIO(), io.BytesIO()),
          io.BufferedWriter(io.BytesIO()), open(__file__), open(__file__, "rb"), open(__file__, "rb", buffering=0),
          io.IncrementalNewlineDecoder(None, True)])
    keep([typing.List[int], typing.Optional[int], typing.Union[int, Plain], typing.TypeVar("T"), typing.Generic,
          typing.Dict[str, typing.Any]])
    if sys.version_info >= (3, 9):
        keep([list[int], dict[str, Plain], list[typing.TypeVar("U")]])
        keep(list[typing.TypeVar("U")].__parameters__)
    if sys.version_info >= (3, 10):
        keep([int | Plain, typing.ParamSpec("P"), typing.ParamSpec("P").args])
    if sys.version_info >= (3, 12):
        scope = {}
        exec("type Alias[T] = list[T]\nclass Generic[T: int, *Ts, **P]:\n    def method[U](self) -> U: ...\n"
             "def function[T: (int, str)](x: T) -> T: ...\nAlias.__value__", scope)
        keep(scope)
    if sys.version_info >= (3, 14):
        keep(eval("(t'{kept!r:>{5}} text', iter(t'{kept}'))", {"kept": [1]}))
    tree = xml.etree.ElementTree.fromstring("<a x='1'><b>text</b>tail<c/><d/><e/><f y='2'/></a>")
    bare = xml.etree.ElementTree.Element("bare")
    keep([tree, bare, tree[0], iter(tree), tree.iter()])
    keep([decimal.Decimal("1.5"), fractions.Fraction(1, 3), datetime.datetime.now(datetime.timezone.utc),
          datetime.timedelta(1), datetime.timezone(datetime.timedelta(hours=1)), 1.5, 2j, 10 ** 100, b"bytes", bytearray(b"abc")])

    class Structure(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("p", ctypes.POINTER(ctypes.c_int))]

    number = ctypes.c_int(5)
    structure = Structure(1, ctypes.pointer(number))
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda value: value)
    keep([Structure, structure, number, callback, ctypes.pointer(number), (ctypes.c_int * 3)(1, 2, 3),
          (ctypes.py_object * 2)([1], [2]), ctypes.c_char_p(b"text"), ctypes.CDLL(None).strlen])

    def framed():
        local = [1]  # noqa: F841
        return sys._getframe()

    keep([framed(), sys._getframe()])
    return kept


def record(path, objects):
    """In one go and with few objects of its own: what it writes stays true after it."""
    words = array.array("Q")
    add, size_of, referents = words.append, sys.getsizeof, gc.get_referents
    for thing in objects:
        try:
            size = size_of(thing)
        except Exception:
            size = 0
        found = referents(thing)
        add(id(thing))
        add(size)
        add(len(found))
        words.extend(map(id, found))
    with open(path, "wb") as out:
        words.tofile(out)


def main(path):
    __import__("json").dumps({"as": ["ready", 1]})  # what ready() will use, so that it makes nothing new
    modules = import_library()
    kept = zoo()
    gc.collect()
    gc.disable()
    objects = gc.get_objects()
    tracked = len(objects)
    # Behind them what they reach directly and the collector does not track: strings, numbers, code objects.
    seen = set(map(id, objects))
    for thing in gc.get_referents(*objects[:tracked]):
        if id(thing) not in seen:
            seen.add(id(thing))
            objects.append(thing)
    record(path, objects)
    ready(modules=modules, tracked=tracked, objects=len(objects), kept=len(kept))  # noqa: F821 - given by the harness
    while True:
        __import__("time").sleep(3600)


main(__import__("os").path.join(__import__("os").path.dirname(__file__), "record"))
