"""NumPy's arrays: their sizes are what they say themselves, and the array behind a view is found through the view."""
import pytest
from decoding import decode
from harness import Target, corpus_interpreter

SCRIPT = '''
import sys, types
import numpy
app = types.ModuleType("app")
sys.modules["app"] = app
app.whole = numpy.zeros(5000)
app.table = numpy.ones((30, 40), dtype="int16")
app.columns = numpy.zeros((60, 50), order="F")
app.views = [numpy.arange(100_000) * 2.0][0][10:20]
app.objects = numpy.array([{"n": i} for i in range(3000)] + [None], dtype=object)
class Own(numpy.ndarray):
    pass
app.own = numpy.ones(777).view(Own)
app.empty = numpy.zeros((0, 7))
arrays = [app.whole, app.table, app.columns, app.views, app.views.base, app.objects, app.own, app.own.base, app.empty]
ready(arrays=[[id(one), sys.getsizeof(one), id(one.base) if one.base is not None else 0, id(one.dtype)] for one in arrays],
      objects=id(app.objects), items=[id(one) for one in app.objects])
'''


@pytest.fixture(scope="module")
def target():
    if corpus_interpreter() is None:
        pytest.skip("numpy: not here (scripts/corpus.py tells why)")
    with Target(corpus_interpreter(), SCRIPT) as process:
        process.wait_asleep()
        yield process


def test_arrays_are_decoded(target):
    arrays = target.facts["arrays"]
    decoded, unreadable = decode(target.pid, [one[0] for one in arrays])
    assert unreadable == 0
    for (address, size, base, dtype), found in zip(arrays, decoded):
        assert found.size == size, (found, arrays)
        assert not found.conservative and found.owned >= {dtype, base} - {0}, found
    objects = next(one for one in decoded if one.address == target.facts["objects"])
    assert objects.owned >= set(target.facts["items"])


def test_what_only_arrays_hold_is_found(target, lowtide):
    result = lowtide("types", "--all", "--json", target.pid)
    rows = {row["type"]: row for row in result.json["result"]["rows"]}
    assert rows["ndarray"]["count"] >= 8 and rows["ndarray"]["bytes"] >= 800_000, rows["ndarray"]
    assert rows["dict"]["count"] >= 3000, rows["dict"]
